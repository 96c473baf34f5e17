"""Checkpoints without the weights that files of encoders hold and no training changes."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

_ENTRIES = ("state_dict", "current_model_state")  # the second beside averages of weights
_RECORD = "encoder_weights"
_SETTINGS = "encoder_settings"


@runtime_checkable
class Encoder(Protocol):
    """What of `networks.encoders.Encoder` checkpoints ask."""

    weights_sha256: str | None

    def from_weights(self) -> set[str]:
        """Names of what the file of weights tells and training leaves as it is."""
        ...

    def as_built(self) -> dict[str, Any]:
        """Arguments in place of the configuration's, where a file of weights decides them."""
        ...


def leave_out(model: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Takes out of a checkpoint what never trains and came of a file, and records which file that was."""
    files, settings = {}, {}
    for prefix, encoder in _encoders(model):
        if built := encoder.as_built():
            settings[prefix] = built
        if names := {f"{prefix}{name}" for name in encoder.from_weights()}:
            files[prefix] = encoder.weights_sha256
            for entry in _ENTRIES:
                if entry in checkpoint:
                    kept = checkpoint[entry].items()
                    checkpoint[entry] = {name: value for name, value in kept if name not in names}
    if files:
        checkpoint[_RECORD] = files
    if settings:
        checkpoint[_SETTINGS] = settings


def without_weights(arguments: Any) -> Any:
    """Arguments of modules, and of modules within them, without the files that these began with.

    >>> without_weights({"encoder": {"init_args": {"weights": "xlsr2_300m.pt", "layers": "last"}}})
    {'encoder': {'init_args': {'weights': None, 'layers': 'last'}}}
    """
    if isinstance(arguments, Mapping):
        return {
            name: None if name == "weights" and isinstance(each, str | Mapping) else without_weights(each)
            for name, each in arguments.items()
        }
    return [without_weights(each) for each in arguments] if isinstance(arguments, list) else arguments


def as_built(arguments: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a method that is built without the files that it began with, as it was with them.

    Args:
        arguments: Of the configuration that the checkpoint carries.
        checkpoint: Replaces all weights; where it leaves some out, all stay as they are.
    """
    if left_out(checkpoint):
        return dict(arguments)
    found = without_weights(arguments)
    for prefix, settings in checkpoint.get(_SETTINGS, {}).items():
        part = found
        for name in prefix.rstrip(".").split("."):
            part = part.get(name, {}).get("init_args", {})
        part.update(settings)
    return found


def left_out(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Prefix of each encoder of which a checkpoint leaves weights out -> SHA-256 of the file that has them."""
    return checkpoint.get(_RECORD, {})


def require_same(model: nn.Module, files: Mapping[str, str]) -> None:
    """Sees that what a checkpoint leaves out is there.

    Args:
        model: With the encoders.
        files: As `left_out` gives them.

    Raises:
        ValueError: The encoder's weights are another file's, or were not loaded.
    """
    encoders = dict(_encoders(model))
    for prefix, sha256 in files.items():
        own = encoders[prefix].weights_sha256 if prefix in encoders else None
        if own != sha256:
            there = "has none" if own is None else f"has another file's, SHA-256 {own[:16]}…"
            raise ValueError(
                f"the checkpoint holds only what trained, on an encoder of the weights with SHA-256 {sha256[:16]}…, and"
                f" {prefix.rstrip('.')} {there}: name that file as its weights"
            )


def are_of_elsewhere(model: nn.Module) -> None:
    """Tells encoders that what they hold is no longer their files', so that checkpoints keep all of it."""
    for _, encoder in _encoders(model):
        encoder.weights_sha256 = None


def _encoders(model: nn.Module) -> Iterator[tuple[str, Encoder]]:
    """Prefix and encoder."""
    for name, module in model.named_modules():
        if isinstance(module, Encoder):
            yield f"{name}.", module
