"""Small files of BEATs in the published layout."""

from typing import Any

import torch

SMALL: Any = {"depth": 2, "width": 32, "num_heads": 4, "ffn_width": 48, "patch_width": 24}
CFG = {
    "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_attention_heads": 4, "encoder_ffn_embed_dim": 48,
    "embed_dim": 24, "conv_pos": 128, "conv_pos_groups": 16, "num_buckets": 320, "max_distance": 800,
    "deep_norm": True, "layer_norm_first": False, "relative_position_embedding": True, "gru_rel_pos": True,
    "activation_fn": "gelu", "input_patch_size": 16, "conv_bias": False, "finetuned_model": False,
}  # fmt: skip


def write(path, network, cfg=CFG, **more):
    torch.save({"cfg": cfg, "model": network.state_dict() | more}, path)
    return str(path)
