"""AST, the audio spectrogram transformer, as an encoder."""

from pathlib import Path
from typing import Self

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.ast import AST, fit_positions
from lightning_modules.networks.encoders.encoder import Encoder, Layers, Rows, Stages, Trainable
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.patches import check_features
from lightning_modules.networks.encoders.published import source_fingerprint

_PATCH = 16


class ASTEncoder(Encoder):
    """`AST` without its head: overlapping patches, a class and a distillation token.

    Positions are fitted to the frames of a batch as the published code does, so that a clip is encoded by other ones
    beside a longer clip: clips of one length alone make a batch. Published are models of 1024 frames, to which
    `ASTFbank` fills clips.

    Args:
        weights: A file of the published code or a distilled vision transformer, see `AST.load_official`; null begins at
            random.
        depth: Number of blocks.
        width: Of a token.
        num_heads: Heads of attention.
        input_size: Mel bands and frames that the position embeddings are for.
        stride: From patch to patch, in bands and in frames.
        norm_eps: Of `AST`.
        layers: Of `Encoder`, as are ``trainable``, ``lora`` and ``rows``.
    """

    num_class_tokens = 2

    def __init__(
        self,
        weights: str | None = None,
        *,
        depth: int = 12,
        width: int = 768,
        num_heads: int = 12,
        input_size: tuple[int, int] = (128, 1024),
        stride: int = 10,
        norm_eps: float | None = None,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
        rows: Rows = "mean",
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, lora=lora, rows=rows)
        self.width = width
        self.network = AST(
            1,
            input_size=input_size,
            stride=stride,
            embed_dim=width,
            depth=depth,
            num_heads=num_heads,
            norm_eps=norm_eps,
        )
        del self.network.mlp_head
        self.num_rows = self.network.grid_size[0]
        if weights is not None:
            self.load_official(weights)
            self.weights_sha256 = source_fingerprint(weights)
        self.choose()

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks from the input to the output."""
        return list(self.network.blocks)

    @property
    def after_blocks(self) -> list[nn.Module]:
        """The last norm."""
        return [self.network.norm]

    @property
    def shortest(self) -> tuple[int, ...]:
        """Shape of the shortest features that it hears, (mel, frame)."""
        return self.network.num_mel_bins, _PATCH

    def load_official(self, path: str | Path) -> Self:
        """Load what `AST.load_official` does, but for the head.

        Raises:
            ValueError: The file holds another model or positions on an unknown grid.
        """
        self.network.load_official(path)
        return self

    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        """Computes the hidden states of features (batch, mel, frame); see `Encoder.encode`.

        Raises:
            ValueError: For features that no patch fits into, and for clips of several lengths.
        """
        network = self.network
        check_features(inputs, network.num_mel_bins, _PATCH, type(self).__name__)
        frames = inputs.shape[2]
        if length is not None and bool((length != frames).any()):
            raise ValueError(
                f"clips of {int(length.min())} to {frames} frames in a batch: AST fits its positions to all of them:"
                " set model.frontend.init_args.num_frames, to which clips are filled, or a batch size of 1"
            )
        patches = network.patch_embed(inputs.unsqueeze(1))  # (b, d, f, t)
        grid = (patches.shape[2], patches.shape[3])
        positions = fit_positions(network.pos_embed, network.grid_size, grid)
        classes, places = positions.tensor_split([self.num_class_tokens], dim=1)
        classes = classes + torch.cat([network.cls_token, network.dist_token], dim=1)
        tokens = patches + rearrange(places, "1 (f t) d -> 1 d f t", f=grid[0])
        tokens = rearrange(tokens, "b d f t -> b (t f) d")
        states = [torch.cat([classes.expand(tokens.shape[0], -1, -1), tokens], dim=1)]
        for block in self.blocks[:depth]:
            states.append(block(states[-1]))
        columns = torch.full((inputs.shape[0],), grid[1], device=inputs.device)
        return Stages(states, network.norm(states[-1]) if last else None, columns)
