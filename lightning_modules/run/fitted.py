"""What scoring fitted on training clips beside the weights: thresholds, and banks of embeddings.

It lies in the run's folder as ``fitted/<digest>.safetensors``, with what it comes from as metadata: the settings of the
model and the data, a hash of the weights and one of the clips. A checkpoint is never written again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from datamodules.files import write_bytes_atomically

if TYPE_CHECKING:
    from datamodules.clips import Clip

FOLDER = "fitted"
# what of a configuration changes neither scores nor the clips that something is fitted to
_WITHOUT_EFFECT = {
    "model": {"optimizer", "lr_scheduler", "weights", "compile_network"},
    "data": {
        "root",
        "predict",
        "batch_size",
        "eval_batch_size",
        "num_workers",
        "in_memory",
        "seed",
        "drop_last",
    },
}


@dataclass(frozen=True)
class Fitted:
    """What scoring fitted; empty before.

    Attributes:
        thresholds: Machine instance -> score above which a clip counts as anomalous.
        tensors: By name, e.g. the embeddings of normal clips.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.thresholds or self.tensors)


class Source(NamedTuple):
    """What something was fitted with, and to.

    Attributes:
        settings: Those of the configuration that decide scores, as JSON: the rule among them.
        weights: Hash of the weights.
        clips: Hash of the training clips; None where they are not at hand.
    """

    settings: str
    weights: str
    clips: str | None

    @property
    def file(self) -> str:
        """Name of the file."""
        digest = hashlib.sha256(f"{self.settings}\n{self.weights}".encode()).hexdigest()
        return f"{digest[:16]}.safetensors"


def settings_of(config: Mapping[str, Any]) -> str:
    """What of a resolved configuration decides scores, as JSON."""
    kept = {
        part: {
            "class_path": config[part]["class_path"],
            **{key: value for key, value in config[part]["init_args"].items() if key not in left_out},
        }
        for part, left_out in _WITHOUT_EFFECT.items()
    }
    return json.dumps(kept, sort_keys=True, default=str)


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of the tensors of a module, by name; the first 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(f"{name}\n".encode())
        digest.update(state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def clips_hash(clips: Iterable["Clip"]) -> str:
    """SHA-256 of clips, whatever their order: keys, targets, places, and sizes and times of their files."""
    lines = sorted(
        f"{clip.key}\t{clip.target}\t{clip.start_s}\t{clip.stop_s}\t{_stamp(clip.path)}\n" for clip in clips
    )
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _stamp(path: str) -> str:
    try:
        status = Path(path).stat()
    except OSError:  # within a pack or a file of tracks
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def write_fitted(folder: Path, source: Source, fitted: Fitted) -> Path:
    """Writes into the run's folder; returns the file."""
    from safetensors.torch import save

    path = folder / FOLDER / source.file
    about = {**source._asdict(), "thresholds": json.dumps(fitted.thresholds)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in fitted.tensors.items()}
    write_bytes_atomically(path, save(tensors, {name: value or "" for name, value in about.items()}))
    return path


def read_fitted(folders: Sequence[Path], source: Source) -> Fitted | None:
    """What was fitted with the same settings, weights and clips, in the first of some runs' folders that has it.

    Raises:
        ValueError: A file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    for path in (folder / FOLDER / source.file for folder in folders):
        if not path.is_file():
            continue
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata()
                thresholds, clips = json.loads(about["thresholds"]), about["clips"]
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error}); delete it, and a test fits anew") from None
        if source.clips is None or clips == source.clips:
            return Fitted(thresholds, tensors)
    return None
