"""AST: Audio Spectrogram Transformer.

Source: Gong, Chung and Glass, "AST: Audio Spectrogram Transformer" (Interspeech 2021), on the distilled vision
transformer of Touvron et al., "Training data-efficient image transformers & distillation through attention"
(ICML 2021).
Shape letters: b clip, d width of a token, f row and t column of the grid of patches.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.hugging_face import ast_settings, timm_names
from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import keep_own_head, load_strictly, read_weights

logger = logging.getLogger(__name__)

_PATCH = 16
_NORM_EPS = 1e-6  # of vision transformers
_HEAD_NORM_EPS = 1e-5  # PyTorch's
_NUM_CLASS_TOKENS = 2  # of the class and of the distillation


def _grid_size(input_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of patches of an input of (mel, frame)."""
    mel, frame = input_size
    return (mel - _PATCH) // stride + 1, (frame - _PATCH) // stride + 1


# By their number of patches, the grids of the published AudioSet models, which differ in stride.
_AUDIOSET_GRIDS = {f * t: (f, t) for f, t in (_grid_size((128, 1024), stride) for stride in (10, 12, 14, 16))}

_HEADS_OF_IMAGES = ("head.", "head_dist.", "pooler.")
_DISTILLED = {  # by width
    192: "tiny_distilled_patch16_224",
    384: "small_distilled_patch16_224",
    768: "base_distilled_patch16_384",
}


def fit_positions(pos_embed: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Cut position embeddings from the centre where there are too many, stretch them where there are too few.

    The published rules; those of the class tokens stay.

    Args:
        pos_embed: (1, 2 + f * t, d).
        old: Its rows f and columns t.
        new: Wanted rows f' and columns t'.

    Returns:
        (1, 2 + f' * t', d).
    """
    if old == new:
        return pos_embed
    class_tokens, patches = pos_embed.tensor_split([_NUM_CLASS_TOKENS], dim=1)
    grid = rearrange(patches, "1 (f t) d -> 1 d f t", f=old[0])
    for dim, wanted in ((3, new[1]), (2, new[0])):
        num = grid.shape[dim]
        if wanted <= num:
            grid = grid.narrow(dim, num // 2 - wanted // 2, wanted)
        else:
            grid = F.interpolate(
                grid, (grid.shape[2], wanted) if dim == 3 else (wanted, new[1]), mode="bilinear"
            )
    return torch.cat([class_tokens, rearrange(grid, "1 d f t -> 1 (f t) d")], dim=1)


class AST(nn.Module):
    """Transformer over overlapping patches of 16 x 16; the plain constructor gives the paper's base size.

    Args:
        num_classes: Number of logits.
        input_size: Mel bands and frames that the position embeddings are for. Clips may have any number of frames
            from 16; position embeddings are cut or stretched to it as the published code does.
        stride: From patch to patch, in bands and in frames.
        embed_dim: Width of a token.
        depth: Number of blocks.
        num_heads: Number of heads of attention.
        norm_eps: Added to variances by all norms. None is the published code's, 1e-6, and 1e-5 in the head; Hugging
            Face's AST has 1e-12.
    """

    def __init__(
        self,
        num_classes: int = 309,
        *,
        input_size: tuple[int, int] = (128, 1024),
        stride: int = 10,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        norm_eps: float | None = None,
    ) -> None:
        from timm.models.vision_transformer import Block  # takes a second

        super().__init__()
        if min(input_size) < _PATCH:
            raise ValueError(f"input_size={tuple(input_size)}: expected at least {_PATCH} bands and frames")
        self.num_mel_bins = input_size[0]
        self.grid_size = _grid_size(input_size, stride)
        self.embedding_dim = embed_dim
        num_tokens = _NUM_CLASS_TOKENS + self.grid_size[0] * self.grid_size[1]
        self.patch_embed = nn.Conv2d(1, embed_dim, _PATCH, stride=stride)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.dist_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, embed_dim))
        self._norm_eps = norm_eps
        norm_layer: Any = partial(
            nn.LayerNorm, eps=_NORM_EPS if norm_eps is None else norm_eps
        )  # timm calls it, though it asks for a class
        block = partial(Block, embed_dim, num_heads, qkv_bias=True, norm_layer=norm_layer)
        self.blocks = nn.Sequential(*(block() for _ in range(depth)))
        self.norm = norm_layer(embed_dim)
        self._initialize()
        self.reset_classifier(num_classes)

    @classmethod
    def base(cls, num_classes: int = 309, **settings) -> "AST":
        """86 million parameters."""
        return cls(num_classes, **settings)

    @classmethod
    def small(cls, num_classes: int = 309, **settings) -> "AST":
        """22 million parameters."""
        return cls(num_classes, embed_dim=384, num_heads=6, **settings)

    @classmethod
    def tiny(cls, num_classes: int = 309, **settings) -> "AST":
        """6 million parameters."""
        return cls(num_classes, embed_dim=192, num_heads=3, **settings)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by an untrained one of other classes."""
        self.num_classes = num_classes
        eps = _HEAD_NORM_EPS if self._norm_eps is None else self._norm_eps
        head = nn.Sequential(
            nn.LayerNorm(self.embedding_dim, eps=eps), nn.Linear(self.embedding_dim, num_classes)
        )
        self.mlp_head = head.to(self.pos_embed)

    def _initialize(self) -> None:
        """As the vision transformer; convolution and head keep the defaults of PyTorch."""
        for token in (self.cls_token, self.dist_token, self.pos_embed):
            nn.init.trunc_normal_(token, std=0.02)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def load_official(self, path: str | Path) -> Self:
        """Load AST, published by its authors or on Hugging Face, or a distilled vision transformer, of any grid.

        Position embeddings are cut or stretched, and kernels of three colours added up, as the published code does.

        Raises:
            ValueError: When the file holds another model or positions on an unknown grid.
        """
        state, settings = timm_names(read_weights(path)), ast_settings(path)
        heads_of_images = [key for key in state if key.removeprefix("v.").startswith(_HEADS_OF_IMAGES)]
        logger.info(
            "AST: left in %s, the heads for images: %s", path, ", ".join(heads_of_images) or "none there"
        )
        state = {
            key.removeprefix("v.").replace("patch_embed.proj.", "patch_embed."): value
            for key, value in state.items()
            if key not in heads_of_images
        }
        if "pos_embed" in state and "dist_token" not in state:
            raise ValueError(
                f"{path}: a vision transformer without dist_token, the token of distillation, which AST has beside that"
                f" of the class: take weights of a distilled one{self._distilled()}"
            )
        self._compare(settings, path)
        kernel = state.get("patch_embed.weight")
        of_images = kernel is not None and kernel.shape[1] == 3
        self._adapt_positions(state, settings, path, of_images=of_images)
        if kernel is not None and of_images:
            state["patch_embed.weight"] = kernel.sum(dim=1, keepdim=True)
            logger.info("AST: adapted patch_embed.weight, the sum of its three colours")
        load_strictly(self, keep_own_head(self, state, "mlp_head.", path), path)
        return self

    def _distilled(self) -> str:
        """Where weights of this width are."""
        size = _DISTILLED.get(self.embedding_dim)
        return f", such as hf://timm/deit_{size}.fb_in1k" if size else ""

    def _compare(self, settings: Mapping[str, Any], path: str | Path) -> None:
        """Compare what no tensor shows with what ``config.json`` says."""
        attention: Any = self.blocks[0]
        ours = {
            "num_attention_heads": ("num_heads", attention.attn.num_heads),
            "hidden_act": ("the activation", "gelu"),
        }
        for key, (name, own) in ours.items():
            if (theirs := settings.get(key, own)) != own:
                raise ValueError(f"{path}: {key} is {theirs}, and {name} of this AST {own}")
        eps = settings.get("layer_norm_eps")
        if eps is not None and eps != self._norm_eps:
            logger.info(
                "AST: %s was computed with layer_norm_eps=%g: for its very scores set norm_eps to it",
                path,
                eps,
            )

    def _adapt_positions(
        self, state: dict[str, Tensor], settings: Mapping[str, Any], path: str | Path, *, of_images: bool
    ) -> None:
        if "pos_embed" not in state:
            return  # for load_strictly to tell
        num = state["pos_embed"].shape[1] - _NUM_CLASS_TOKENS
        if settings:
            mel, frame = settings["num_mel_bins"], settings["max_length"]
            size = (
                (mel - _PATCH) // settings["frequency_stride"] + 1,
                (frame - _PATCH) // settings["time_stride"] + 1,
            )
        elif of_images:
            size = (round(num**0.5),) * 2
        else:
            rows = self.grid_size[0]
            size = _AUDIOSET_GRIDS.get(num, (rows, num // rows))
        if size[0] * size[1] != num:
            raise ValueError(
                f"{path}: {num} position embeddings fill no grid of {size[0]} rows: build this AST with the"
                " stride and mel bands of the checkpoint"
            )
        if size != self.grid_size:
            state["pos_embed"] = fit_positions(state["pos_embed"], size, self.grid_size)
            logger.info("AST: adapted pos_embed from a grid of %s to %s", size, self.grid_size)

    def forward(self, features: Tensor) -> Output:
        """Classify clips.

        Args:
            features: (batch, mel, frame), of at least 16 frames.

        Returns:
            Embedding (batch, embed_dim), the mean of the class and the distillation token, and logits
            (batch, num_classes), both of the type of the weights.

        Raises:
            ValueError: For another number of mel bands or fewer frames.
        """
        _, mel, frame = features.shape
        if mel != self.num_mel_bins or frame < _PATCH:
            expected = f"(batch, {self.num_mel_bins}, at least {_PATCH})"
            raise ValueError(f"features {tuple(features.shape)}: this AST expects {expected}, see input_size")
        patches = self.patch_embed(features.unsqueeze(1))  # (b, d, f, t)
        class_tokens = torch.cat([self.cls_token, self.dist_token], dim=1).expand(len(patches), -1, -1)
        tokens = torch.cat([class_tokens, rearrange(patches, "b d f t -> b (f t) d")], dim=1)
        tokens = tokens + fit_positions(self.pos_embed, self.grid_size, (patches.shape[2], patches.shape[3]))
        # Each token is normalized by itself, and only two are read.
        tokens = self.norm(self.blocks(tokens)[:, :_NUM_CLASS_TOKENS])
        with torch.autocast(features.device.type, enabled=False):  # half precision would tie scores
            embedding = tokens.to(self.pos_embed.dtype).mean(dim=1)
            return Output(embedding, self.mlp_head(embedding))
