"""Sizes of the public encoders of speech, and how fairseq and Hugging Face configure them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

Family = Literal["wav2vec2", "wavlm", "hubert"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What tells one encoder of speech from another.

    All have seven convolutions of strides 5, 2, 2, 2, 2, 2, 2 and kernels 10, 3, 3, 3, 3, 2, 2.

    Attributes:
        family: Whose blocks.
        width: Of a token.
        depth: Number of blocks.
        heads: Of attention.
        feed_forward: Width of a block's hidden layer.
        conv_width: Channels of the convolutions.
        layer_norm: Norm layers after each convolution and before each part of a block; false norms channels over the
            clip after the first convolution, and after each part of a block.
        conv_bias: Whether convolutions have one.
    """

    family: Family = "wav2vec2"
    width: int
    depth: int
    heads: int
    feed_forward: int
    conv_width: int = 512
    layer_norm: bool = True
    conv_bias: bool = True

    def settings(self) -> dict[str, Any]:
        """Keys of a configuration of Hugging Face."""
        return {
            "model_type": self.family,
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": self.feed_forward,
            "conv_dim": [self.conv_width] * 7,
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
            "conv_stride": [5, 2, 2, 2, 2, 2, 2],
            "conv_bias": self.conv_bias,
            "feat_extract_norm": "layer" if self.layer_norm else "group",
            "do_stable_layer_norm": self.layer_norm,
            "hidden_act": "gelu",
            "feat_extract_activation": "gelu",
            "num_conv_pos_embeddings": 128,
            "num_conv_pos_embedding_groups": 16,
            "layer_norm_eps": 1e-5,
        } | ({"num_buckets": 320, "max_bucket_distance": 800} if self.family == "wavlm" else {})

    def fairseq_settings(self) -> dict[str, Any]:
        """Keys of a model's configuration of fairseq."""
        width = self.conv_width
        return {
            "_name": self.family,
            "extractor_mode": "layer_norm" if self.layer_norm else "default",
            "encoder_layers": self.depth,
            "encoder_embed_dim": self.width,
            "encoder_ffn_embed_dim": self.feed_forward,
            "encoder_attention_heads": self.heads,
            "activation_fn": "gelu",
            "layer_norm_first": self.layer_norm,
            "conv_feature_layers": f"[({width}, 10, 5)] + [({width}, 3, 2)] * 4 + [({width}, 2, 2)] * 2",
            "conv_bias": self.conv_bias,
            "conv_pos": 128,
            "conv_pos_groups": 16,
        } | (
            {
                "relative_position_embedding": True,
                "num_buckets": 320,
                "max_distance": 800,
                "gru_rel_pos": True,
            }
            if self.family == "wavlm"
            else {}
        )

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Of a complete configuration of Hugging Face.

        Raises:
            ValueError: It is of no encoder of these families, or of one with other details.
        """
        if settings.get("model_type") not in ("wav2vec2", "wavlm", "hubert"):
            raise ValueError(f"model_type={settings.get('model_type')}: not wav2vec2, wavlm or hubert")
        found = cls(
            family=settings["model_type"],
            width=settings["hidden_size"],
            depth=settings["num_hidden_layers"],
            heads=settings["num_attention_heads"],
            feed_forward=settings["intermediate_size"],
            conv_width=settings["conv_dim"][0],
            layer_norm=settings["do_stable_layer_norm"],
            conv_bias=settings["conv_bias"],
        )
        for key, value in found.settings().items():
            given = settings[key]
            if (list(given) if isinstance(value, list) else given) != value:
                raise ValueError(f"{key}={given}: only encoders with {value} are known here")
        return found

    @classmethod
    def of_fairseq(cls, settings: Mapping[str, Any], family: Family) -> Self:
        """Of a model's configuration of fairseq, as far as it goes; what it leaves out is as in fairseq's own defaults.

        Raises:
            ValueError: It is of an encoder with other details.
        """
        base = cls(width=768, depth=12, heads=12, feed_forward=3072, layer_norm=False, conv_bias=False)
        settings = base.fairseq_settings() | dict(settings)
        convolutions = re.findall(r"\d+", str(settings["conv_feature_layers"]))
        found = cls(
            family=family,
            width=settings["encoder_embed_dim"],
            depth=settings["encoder_layers"],
            heads=settings["encoder_attention_heads"],
            feed_forward=settings["encoder_ffn_embed_dim"],
            conv_width=int(convolutions[0]) if convolutions else 512,
            layer_norm=settings["layer_norm_first"],
            conv_bias=settings["conv_bias"],
        )
        expected = found.fairseq_settings()
        for key in expected.keys() - {"_name", "conv_feature_layers"}:
            if key in settings and settings[key] != expected[key]:
                raise ValueError(f"{key}={settings[key]}: only encoders with {expected[key]} are known here")
        return found

    def differences(self, other: Self) -> Iterator[str]:
        """What another architecture has instead, as ``width=768 instead of 1024``."""
        theirs = asdict(other)
        for key, value in asdict(self).items():
            if theirs[key] != value:
                yield f"{key}={theirs[key]} instead of {value}"


_BASE = Architecture(width=768, depth=12, heads=12, feed_forward=3072, layer_norm=False, conv_bias=False)
_LARGE = Architecture(width=1024, depth=24, heads=16, feed_forward=4096)
_1B = Architecture(width=1280, depth=48, heads=16, feed_forward=5120)

ARCHITECTURES = {
    "wav2vec2_base": _BASE,
    "wav2vec2_large": _LARGE,
    "xlsr_300m": _LARGE,
    "xlsr_1b": _1B,
    "xlsr_2b": Architecture(width=1920, depth=48, heads=16, feed_forward=7680),
    "mms_300m": _LARGE,
    "mms_1b": _1B,
    "wavlm_base": replace(_BASE, family="wavlm"),
    "wavlm_large": replace(_LARGE, family="wavlm", conv_bias=False),
    "hubert_base": replace(_BASE, family="hubert"),
    "hubert_large": replace(_LARGE, family="hubert"),
}


def named(architecture: Architecture) -> list[str]:
    """Names of the table that stand for an architecture."""
    return [name for name, each in ARCHITECTURES.items() if each == architecture]
