"""An encoder and a back end as one network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from torch import Tensor, nn

from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.encoders.encoder import Encoder
from lightning_modules.networks.encoders.published import PublishedEncoder
from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import keep_own_head, load_strictly, read_weights

_PUBLISHED = (
    "ssl_model.model.",  # SSL_Anti-spoofing, SLS, Nes2Net
    "m_ssl.model.",  # AntiDeepfake
)
"""With what the names of the encoder begin in published detectors; the rest are the back end's."""


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
    def min_samples(self) -> int:
        """The shortest clip, of an encoder that hears waveforms."""
        return self.encoder.shortest[-1]

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.back_end.num_classes

    def load_official(self, path: str | Path) -> Self:
        """Load an encoder that was published with what classifies by it, or weights that this project wrote.

        A head for other classes, or of other parts than the back end's, is left out.

        Raises:
            ValueError: The file holds another encoder or another back end.
        """
        state = read_weights(path)
        self.encoder.weights_sha256 = None  # what it holds is no longer that file's
        prefix = next((each for each in _PUBLISHED if any(name.startswith(each) for name in state)), None)
        if prefix is None and isinstance(self.encoder, PublishedEncoder) and not _is_ours(state):
            self._load_with_head(self.encoder, path)
            return self
        if prefix is None:
            load_strictly(self, state, path)
            return self
        encoder = {name: tensor for name, tensor in state.items() if name.startswith(prefix)}
        back_end = {
            name.removeprefix("back_end."): tensor for name, tensor in state.items() if name not in encoder
        }
        head = f"{self.back_end.classifier}."
        load_strictly(self.back_end, keep_own_head(self.back_end, back_end, head, path), path)
        self.encoder.load_state({name.removeprefix(prefix): encoder[name] for name in encoder}, path)
        return self

    def _load_with_head(self, encoder: PublishedEncoder, path: str | Path) -> None:
        """Loads a published encoder, and its head into a back end that has the same parts."""
        encoder.load_official(path)
        head = {
            name if name.startswith("norm.") else f"{self.back_end.classifier}.{name}": tensor
            for name, tensor in encoder.parts(path).head.items()
        }
        load_strictly(self.back_end, keep_own_head(self.back_end, head, "", path), path)

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


def _is_ours(state: Mapping[str, Tensor]) -> bool:
    return any(name.startswith("back_end.") for name in state)
