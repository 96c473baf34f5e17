"""An encoder and a back end as one network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from torch import Tensor, nn

from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.encoders.encoder import Encoder
from lightning_modules.networks.encoders.published import PublishedEncoder
from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import keep_own_head, load_strictly, read_weights


class EncoderClassifier(nn.Module):
    """Classifies what an encoder hears.

    Args:
        encoder: Gives hidden states of waveforms (batch, 1, time), or of the features of a front end.
        back_end: Its ``dim`` and ``num_layers`` are the encoder's.
        num_classes: Number of logits; None leaves the back end its own.

    Raises:
        ValueError: They do not fit each other.
    """

    def __init__(self, encoder: Encoder, back_end: BackEnd, *, num_classes: int | None = None) -> None:
        super().__init__()
        for name in ("dim", "num_layers"):
            given, taken = getattr(encoder, name), getattr(back_end, name)
            if given != taken:
                raise ValueError(
                    f"back_end.{name}={taken}: {type(encoder).__name__} gives {given} with layers={encoder.layers}: set"
                    f" back_end.init_args.{name} to it"
                )
        self.encoder = encoder
        self.back_end = back_end
        self.embedding_dim = back_end.embedding_dim
        if num_classes is not None and num_classes != back_end.num_classes:
            back_end.reset_classifier(num_classes)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The encoder's, to compute anew or to shard."""
        return self.encoder.blocks

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.back_end.num_classes

    def forward(self, inputs: Tensor, length: Tensor | None = None) -> Output:
        """Classify clips.

        Args:
            inputs: What the encoder hears, (batch, ..., time).
            length: int64 (batch,), of each clip in steps of ``inputs``; None where all fill the batch.
        """
        return self.back_end(self.encoder(inputs, length))

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by an untrained one of other classes."""
        self.back_end.reset_classifier(num_classes)

    def load_official(self, path: str | Path) -> Self:
        """Load an encoder that was published with its head, or weights that this project wrote.

        The head goes into a back end that has the same parts; else that stays as it is, and the log says so.

        Raises:
            ValueError: The file is damaged, or of another network.
        """
        state = read_weights(path)
        if any(name.startswith("back_end.") for name in state):  # ours
            load_strictly(self, state, path)
            return self
        if not isinstance(self.encoder, PublishedEncoder):
            raise ValueError(
                f"{path}: no weights of an {type(self).__name__}: name those of the encoder in its init_args.weights"
            )
        self.encoder.load_official(path)
        head = {
            name if name.startswith("norm.") else f"{self.back_end.classifier}.{name}": tensor
            for name, tensor in self.encoder.parts(path).head.items()
        }
        load_strictly(self.back_end, keep_own_head(self.back_end, head, "", path), path)
        return self
