"""Names of the tensors of encoders of speech in fairseq and in Hugging Face's models, one for one."""

import re
from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from lightning_modules.networks.encoders.architectures import Family

Layout = Literal["fairseq", "huggingface"]

# fairseq, Hugging Face; # is a number, and names that end in a dot go on with weight or bias
_PAIRS = (
    ("mask_emb", "masked_spec_embed"),
    ("feature_extractor.conv_layers.#.0.", "feature_extractor.conv_layers.#.conv."),
    ("layer_norm.", "feature_projection.layer_norm."),
    ("post_extract_proj.", "feature_projection.projection."),
    ("encoder.pos_conv.0.bias", "encoder.pos_conv_embed.conv.bias"),
    ("encoder.pos_conv.0.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    ("encoder.pos_conv.0.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    ("encoder.layers.#.self_attn.k_proj.", "encoder.layers.#.attention.k_proj."),
    ("encoder.layers.#.self_attn.v_proj.", "encoder.layers.#.attention.v_proj."),
    ("encoder.layers.#.self_attn.q_proj.", "encoder.layers.#.attention.q_proj."),
    ("encoder.layers.#.self_attn.out_proj.", "encoder.layers.#.attention.out_proj."),
    ("encoder.layers.#.self_attn.grep_linear.", "encoder.layers.#.attention.gru_rel_pos_linear."),
    ("encoder.layers.#.self_attn.grep_a", "encoder.layers.#.attention.gru_rel_pos_const"),
    (
        "encoder.layers.#.self_attn.relative_attention_bias.",
        "encoder.layers.#.attention.rel_attn_embed.",
    ),
    ("encoder.layers.#.self_attn_layer_norm.", "encoder.layers.#.layer_norm."),
    ("encoder.layers.#.fc1.", "encoder.layers.#.feed_forward.intermediate_dense."),
    ("encoder.layers.#.fc2.", "encoder.layers.#.feed_forward.output_dense."),
    ("encoder.layers.#.final_layer_norm.", "encoder.layers.#.final_layer_norm."),
    ("encoder.layer_norm.", "encoder.layer_norm."),
    ("quantizer.vars", "quantizer.codevectors"),
    ("quantizer.weight_proj.", "quantizer.weight_proj."),
    ("project_q.", "project_q."),
    ("final_proj.", "project_hid."),
    ("label_embs_concat", "label_embs_concat"),
)
# of the norm that follows a convolution, by whether each has one
_CONV_NORM = {
    True: ("feature_extractor.conv_layers.#.2.1.", "feature_extractor.conv_layers.#.layer_norm."),
    False: ("feature_extractor.conv_layers.#.2.", "feature_extractor.conv_layers.#.layer_norm."),
}
# Of parts that only pre-training has, by Hugging Face's names.
_OF_WAV2VEC2 = (
    "quantizer.codevectors",
    "quantizer.weight_proj.weight",
    "quantizer.weight_proj.bias",
    "project_q.weight",
    "project_q.bias",
    "project_hid.weight",
    "project_hid.bias",
)
PRETRAINING: Mapping[Family, tuple[str, ...]] = {
    "wav2vec2": _OF_WAV2VEC2,
    "hubert": ("project_hid.weight", "project_hid.bias", "label_embs_concat"),
    "wavlm": (),
}
# Before the names of Hugging Face until 2024.
_FORMER = {
    "encoder.pos_conv_embed.conv.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv_embed.conv.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
}
# What stands before all names of the encoder in files of fine-tuned detectors, beside other parts.
_OF_DETECTORS = ("ssl_model.model.", "m_ssl.model.")
_PROJECTIONS: Mapping[Layout, str] = {
    "fairseq": "post_extract_proj.weight",
    "huggingface": "feature_projection.projection.weight",
}


def renamed(name: str, *, to: Layout, layer_norm: bool) -> str | None:
    """The name of a tensor in the other layout, None of one that is not known.

    >>> renamed("encoder.layers.3.fc1.bias", to="huggingface", layer_norm=True)
    'encoder.layers.3.feed_forward.intermediate_dense.bias'
    """
    for pair in (*_PAIRS, _CONV_NORM[layer_norm]):
        source, target = pair if to == "huggingface" else pair[::-1]
        pattern = re.escape(source).replace(r"\#", r"(?P<number>\d+)")
        if match := re.fullmatch(pattern + ("(?P<end>weight|bias)" if source.endswith(".") else ""), name):
            found = match.groupdict()
            return target.replace("#", found.get("number", "")) + found.get("end", "")
    return None


def layout_of(state: Mapping[str, Tensor], path: object) -> tuple[Layout, str]:
    """In which layout the names of a file are, and what stands before them.

    Raises:
        ValueError: In none.
    """
    for layout, projection in _PROJECTIONS.items():
        for name in state:
            if name == projection or name.endswith(f".{projection}"):
                return layout, name.removesuffix(projection)
    raise ValueError(
        f"{path}: no encoder of speech: neither {' nor '.join(_PROJECTIONS.values())} is among its tensors"
    )


def in_huggingface(
    state: Mapping[str, Tensor], path: object, *, family: Family
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors by Hugging Face's names without a prefix, and by their own names those of a detector's other parts.

    What has no counterpart keeps its name.

    Raises:
        ValueError: The names begin with a prefix that is not known.
    """
    layout, prefix = layout_of(state, path)
    known = (*_OF_DETECTORS, "") if layout == "fairseq" else (f"{family}.", "")
    if prefix not in known:
        raise ValueError(
            f"{path}: names begin with {prefix!r}, and known of an encoder of the family {family} are"
            f" {', '.join(repr(each) for each in known if each)} and none"
        )
    beside = prefix in _OF_DETECTORS
    others = {name: tensor for name, tensor in state.items() if beside and not name.startswith(prefix)}
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name not in others}
    if layout == "huggingface":
        return {_FORMER.get(name, name): tensor for name, tensor in own.items()}, others
    layer_norm = "feature_extractor.conv_layers.1.2.1.weight" in own
    return {
        renamed(name, to="huggingface", layer_norm=layer_norm) or name: tensor for name, tensor in own.items()
    }, others
