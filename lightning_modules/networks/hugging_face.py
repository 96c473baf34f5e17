"""Transformers of spectrograms and images as Hugging Face writes them: AST, and DeiT and ViT, which it begins with."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_modules.hub.sources import local

# Names before and since version 5 of transformers -> those of timm, and of AST's head.
_NAMES = (
    (r"^(audio_spectrogram_transformer|deit|vit)\.", ""),
    (r"^embeddings\.(cls_token)$", r"\1"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed."),
    (r"^(encoder\.layer|layers)\.(?=\d)", "blocks."),
    (r"(?<=\d)\.attention\.(attention\.)?(query|q_proj)\.", ".attn.q."),
    (r"(?<=\d)\.attention\.(attention\.)?(key|k_proj)\.", ".attn.k."),
    (r"(?<=\d)\.attention\.(attention\.)?(value|v_proj)\.", ".attn.v."),
    (r"(?<=\d)\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"(?<=\d)\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(?<=\d)\.output\.dense\.", ".mlp.fc2."),
    (r"(?<=\d)\.layernorm_before\.", ".norm1."),
    (r"(?<=\d)\.layernorm_after\.", ".norm2."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.layernorm\.", "mlp_head.0."),
    (r"^classifier\.dense\.", "mlp_head.1."),
    (r"^(cls_)?classifier\.(?=weight|bias)", "head."),
    (r"^distillation_classifier\.", "head_dist."),
)


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors by the names of timm; queries, keys and values are one tensor there.

    Tensors of anything else stay as they are.
    """
    if not any(name.endswith("embeddings.patch_embeddings.projection.weight") for name in state):
        return dict(state)
    renamed = {_renamed(name): tensor for name, tensor in state.items()}
    joined: dict[str, Tensor] = {}
    for name, tensor in renamed.items():
        whole = re.sub(r"\.attn\.[qkv]\.", ".attn.qkv.", name)
        if whole != name:
            parts = [renamed.get(whole.replace(".qkv.", f".{part}.")) for part in "qkv"]
            found = [part for part in parts if part is not None]
            tensor = torch.cat(found)  # of another shape than the network's where one is missing
        joined[whole] = tensor
    return joined


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def read_settings(path: str | Path, name: str = "config.json") -> dict[str, Any]:
    """What a JSON file in a folder of Hugging Face, or beside a file of weights, says; empty where there is none.

    Raises:
        ValueError: It is damaged.
    """
    place = local(path)
    folder = place if place.is_dir() else place.parent
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{folder / name}: no JSON ({error}): download it again") from None
    return found if isinstance(found, dict) else {}


def ast_settings(path: str | Path) -> dict[str, Any]:
    """``config.json`` of an AST; empty where there is none, or that of another model."""
    found = read_settings(path)
    return found if found.get("model_type") == "audio-spectrogram-transformer" else {}
