"""Which published network a file's weights are of, by the names and shapes of its tensors."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lightning_modules.networks.hugging_face import timm_names

State = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A published network.

    Attributes:
        config: The shipped configuration that it is scored by.
        class_path: Of the network, where it is not the configuration's.
        network: Arguments of the network in place of the configuration's.
        frontend: Likewise of the front end.
        classes: Names of the classes, where the source tells them.
    """

    config: str
    class_path: str | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    frontend: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = ()


def recognise(state: State) -> Recognised | None:
    """Tell of which network weights are; None where they are of none that is known.

    Raises:
        ValueError: They are of one, but not for sound, or for sound of an unknown form.
    """
    names = plain_names(state)
    return next((tell(names) for mark, tell in _MARKS.items() if mark in names), None)


def plain_names(state: State) -> dict[str, Tensor]:
    """Tensors by the names that networks are known by, without prefixes of published code."""
    return {_PREFIX.sub("", name): tensor for name, tensor in timm_names(state).items()}


def head_sizes(state: State) -> dict[str, int]:
    """Head -> number of classes of a classifier; empty where there is none."""
    names = plain_names(state)
    pattern = _AFTER_NORM if "fc_norm.weight" in names else _HEAD
    found = ((pattern.fullmatch(name), tensor) for name, tensor in names.items())
    return {match[1] or "class": len(tensor) for match, tensor in found if match}


def _fine_tuned(state: State) -> Recognised:
    """Detectors on wav2vec 2.0, by the first layer of their back ends."""
    if "LL.weight" in state:
        return Recognised(config="ssd_xlsr_aasist.yaml")
    if "fc0.weight" in state:
        return Recognised(config="ssd_xlsr_sls.yaml")
    nest = "Nested_Res2Net_TDNN"
    if f"{nest}.fc.weight" in state:
        squeezed = state[f"{nest}.Build_in_Res2Nets.0.se.se.1.weight"]
        is_attentive = f"{nest}.pooling.linear1.weight" in state
        settings = {
            "dim": len(state[f"{nest}.bn.weight"]),
            "se_ratio": squeezed.shape[1] // squeezed.shape[0],
            "pooling": "attentive_statistics" if is_attentive else "mean",
        }
        back_end = {"class_path": "lightning_modules.networks.back_ends.Nes2NetX", "init_args": settings}
        return Recognised(config="ssd_xlsr_nes2net.yaml", network={"back_end": back_end})
    raise ValueError(
        "a detector on wav2vec 2.0 with another back end than AASIST, SLS or Nes2Net-X: name its configuration with"
        " config="
    )


def _aasist(state: State) -> Recognised:
    is_light = state["pos_S"].shape[-1] == 24  # channels of the last block; else 64
    return Recognised(
        config="ssd_aasist.yaml", class_path="lightning_modules.networks.AASIST.light" if is_light else None
    )


def _lcnn(state: State) -> Recognised:
    """Two front ends were published with this network, and its files hold their filters: (bin, filter)."""
    filters = state.get("m_frontend.0.lfcc_fb")
    num_bins = 256 if filters is None else len(filters)
    frontends = {256: {}, 257: {"n_fft": 512, "max_frequency": None}}  # of the baselines, of the toy example
    if num_bins not in frontends:
        raise ValueError(f"LCNN on filters of {num_bins} bins: name its configuration with config=")
    return Recognised(config="ssd_lcnn_lstm_sum.yaml", frontend=frontends[num_bins])


def _ast(state: State) -> Recognised:
    if "mlp_head.1.weight" not in state:
        raise ValueError(
            "a transformer for images, without a head for sound: train from it with model.weights"
        )
    num_classes, width = state["mlp_head.1.weight"].shape
    num_positions = state["pos_embed"].shape[1] - 2
    strides = {(112 // stride + 1) * (1008 // stride + 1): stride for stride in (10, 12, 14, 16)}
    if num_positions not in strides:
        raise ValueError(
            f"AST of {num_positions} positions, which are not those of 1024 frames: name its configuration with config="
        )
    sizes = {"embed_dim": width, "depth": _count(state, r"blocks\.(\d+)\."), "num_heads": width // 64}
    of_audioset = {"mean": -4.2677393, "std": 4.5689974} if num_classes == 527 else {}
    return Recognised(
        config="event_ast.yaml",
        network={**sizes, "stride": strides[num_positions]},
        frontend=of_audioset,
    )


def ast_of_hugging_face(settings: Mapping[str, Any], features: Mapping[str, Any]) -> Recognised:
    """Tell of which AST a folder of Hugging Face is.

    Args:
        settings: Its ``config.json``.
        features: Its ``preprocessor_config.json``, or nothing.

    Raises:
        ValueError: It is one that AST here cannot be.
    """
    stride = settings["time_stride"]
    if settings["frequency_stride"] != stride or settings["patch_size"] != 16:
        raise ValueError("AST of other patches than 16 x 16, or of another stride in bands than in frames")
    size = [settings["num_mel_bins"], settings["max_length"]]
    known = {"mean": features.get("mean", -4.2677393), "std": features.get("std", 4.5689974)}
    names = {int(number): name for number, name in settings.get("id2label", {}).items()}
    return Recognised(
        config="event_ast.yaml",
        network={
            "input_size": size,
            "stride": stride,
            "embed_dim": settings["hidden_size"],
            "depth": settings["num_hidden_layers"],
            "num_heads": settings["num_attention_heads"],
            "norm_eps": settings["layer_norm_eps"],
        },
        frontend={
            "num_mel_bins": size[0],
            "num_frames": size[1],
            **(known if features.get("do_normalize", True) else {"mean": 0.0, "std": 0.5}),
        },
        classes=[names[number] for number in sorted(names)],
    )


def _datar(state: State) -> Recognised:
    depths = [_count(state, rf"stages\.{stage}\.attns\.(\d+)\.") for stage in range(4)]
    dim = len(state["patch_proj.0.weight"])
    return Recognised(config="event_datar.yaml", network={"dim": dim, "depths": depths})


def _slowfast(state: State) -> Recognised:
    heads = head_sizes(state)
    if len(heads) == 1:
        return Recognised(config="event_audio_slowfast.yaml")
    return Recognised(config="event_audio_slowfast_epic_kitchens.yaml", network={"heads": heads})


def _vision_transformer(state: State) -> Recognised:  # noqa: ARG001
    raise ValueError(
        "a vision transformer, without a head for sound and without the token of distillation, which AST has"
    )


def _resnet(state: State) -> Recognised:
    if state["conv1.weight"].shape[1] == 3:
        raise ValueError("a ResNet for images, without a head for sound: train from it with model.weights")
    has_bottlenecks = "layer1.0.conv3.weight" in state
    depth = 50 if has_bottlenecks else 34 if "layer1.2.conv1.weight" in state else 18
    return Recognised(config="event_resnet.yaml", network={"depth": depth})


def _beats(state: State) -> Recognised:
    _refuse_without_head(state, "predictor.weight")
    direction = state["encoder.pos_conv.0.weight_v"]
    num_buckets, num_heads = state["encoder.layers.0.self_attn.relative_attention_bias.weight"].shape
    width, patch_width = state["post_extract_proj.weight"].shape
    sizes = {
        "depth": _count(state, r"encoder\.layers\.(\d+)\."),
        "width": width,
        "num_heads": num_heads,
        "ffn_width": len(state["encoder.layers.0.fc1.weight"]),
        "patch_width": patch_width,
        "kernel_size": direction.shape[2],
        "groups": width // direction.shape[1],
        "num_buckets": num_buckets,
    }
    return _on_encoder("BEATs", sizes, pooling="mean")


def _eat(state: State) -> Recognised:
    _refuse_without_head(state, "head.weight")
    return _on_encoder("EAT", _sizes(state), pooling="class_tokens", norm_eps=1e-6)


def _passt(state: State) -> Recognised:
    _refuse_without_head(state, "head.1.weight")
    num_rows, num_columns = state["freq_new_pos_embed"].shape[2], state["time_new_pos_embed"].shape[3]
    strides = {112 // stride + 1: stride for stride in (10, 12, 14, 16)}
    if num_rows not in strides:
        raise ValueError(f"PaSST of {num_rows} rows of patches: name its configuration with config=")
    sizes = {**_sizes(state), "num_columns": num_columns, "stride": strides[num_rows]}
    return _on_encoder("PaSST", sizes, pooling="class_tokens", norm_eps=1e-5)


def _sizes(state: State) -> dict[str, int]:
    """Of a transformer whose heads have 64 channels, as those of vision have."""
    width = len(state["blocks.0.norm1.weight"])
    return {"depth": _count(state, r"blocks\.(\d+)\."), "width": width, "num_heads": max(width // 64, 1)}


def _refuse_without_head(state: State, head: str) -> None:
    if head not in state:
        raise ValueError(_NO_HEAD)


def _on_encoder(name: str, sizes: Mapping[str, int], **pooled: Any) -> Recognised:
    """A linear layer on the states of an encoder."""
    rooms = "lightning_modules.networks"
    return Recognised(
        config=f"event_{name.lower()}.yaml",
        network={
            "encoder": {"class_path": f"{rooms}.encoders.{name}", "init_args": dict(sizes)},
            "back_end": {
                "class_path": f"{rooms}.back_ends.PooledLinear",
                "init_args": {"dim": sizes["width"], **pooled},
            },
        },
    )


def _dasheng(state: State) -> Recognised:  # noqa: ARG001
    raise ValueError(_NO_HEAD)


_MARKS: dict[str, Callable[[State], Recognised]] = {
    "patch_embedding.weight": _beats,
    "extra_tokens": _eat,
    "time_new_pos_embed": _passt,
    "time_pos_embed": _dasheng,
    "ssl_model.model.mask_emb": _fine_tuned,  # before those that have the same back end on the waveform
    "m_ssl.model.mask_emb": _fine_tuned,
    "pos_S": _aasist,
    "m_transform.0.0.weight": _lcnn,
    "dist_token": _ast,
    "blocks.0.attn.qkv.weight": _vision_transformer,
    "patch_proj.0.weight": _datar,
    "s1.pathway0_stem.conv.weight": _slowfast,
    "layer4.0.conv1.weight": _resnet,
}
_NO_HEAD = "an encoder without a head: train from it with model.network.encoder.weights"
_PREFIX = re.compile(r"^(?:v|audnet|(?:model\.)?modality_encoders\.IMAGE|model|net)\.")
_HEAD = re.compile(r"(?:mlp_head\.1|cls_head|fc|predictor|head\.1|head\.projection_?(\w*))\.weight")
_AFTER_NORM = re.compile("()head.weight")  # of EAT; that of a vision transformer is for images
ACCEPTED = (
    "load_model takes a checkpoint of lightning_modules.fit, a folder that lightning_modules.export wrote, or published"
    " weights of AASIST, AASIST-L, LCNN lstm_sum, XLS-R with AASIST, SLS or Nes2Net-X, AST (a folder of Hugging Face"
    " too), DAT, AudioSlowFast, VGGSound's ResNets, or fine-tuned BEATs, EAT, SSLAM or PaSST"
)


def _count(state: State, pattern: str) -> int:
    """Blocks that are numbered from 0 in the names of tensors."""
    return len({found[1] for name in state if (found := re.match(pattern, name))})
