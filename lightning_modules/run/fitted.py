"""What scoring fitted on training clips beside the weights: thresholds, and banks of embeddings.

It lies in the run's folder as ``fitted/<digest>-<clips>.safetensors``, with what it comes from as metadata: settings of
model and data, a hash of the weights and one of the clips. A checkpoint is never written again.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from datamodules.files import write_bytes_atomically
from lightning_modules.run.encoder_weights import without_weights

if TYPE_CHECKING:
    from datamodules.clips import Clip

FOLDER = "fitted"
CONDITION = ("condition", "noise", "rooms")
"""Arguments of data sets that degrade the clips of an evaluation."""
# what of a configuration changes neither scores nor the clips that something is fitted to
_WITHOUT_EFFECT = {
    "model": {"optimizer", "lr_scheduler", "encoder_lr", "weights", "compile_network"},
    "data": {
        "root",
        "predict",
        "batch_size",
        "eval_batch_size",
        "num_workers",
        "in_memory",
        "seed",
        "drop_last",
        "allow_truncated",  # which the clips tell
        "class_names",  # targets count as clips do
        "corpora",  # folders, of which the clips are others or the same
        "degrade",
        *CONDITION,  # training clips are clean where something is fitted to them
    },
}


@dataclass(frozen=True)
class Fitted:
    """What scoring fitted; empty before.

    Attributes:
        thresholds: Machine instance -> score above which a clip counts as anomalous.
        tensors: By name, e.g. the embeddings of normal clips.
        found: Machine instance -> how its threshold was found, by name.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.thresholds or self.tensors)


class Origin(NamedTuple):
    """What something was fitted with, and to.

    Attributes:
        settings: Those of the configuration that decide scores, as JSON: the rule among them.
        weights: Hash of the weights.
        clips: Hash of the training clips; None where they are not at hand.
    """

    settings: str
    weights: str
    clips: str | None

    def name(self, clips: str) -> str:
        """Name of the file, of some clips or by a pattern for them."""
        digest = hashlib.sha256(f"{self.settings}\n{self.weights}".encode()).hexdigest()
        return f"{digest[:16]}-{clips}.safetensors"


def settings_of(config: Mapping[str, Any]) -> str:
    """What of a resolved configuration decides scores, as JSON."""
    kept = {
        part: {
            "class_path": config[part]["class_path"],
            **{
                key: without_weights(value)
                for key, value in config[part].get("init_args", {}).items()
                if key not in left_out and (key, value) != ("resampler", "torchaudio")  # the only one once
            },
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
    """What tells that a clip's sound has changed."""
    from datamodules.audio import packed  # and with it the decoders, which a start does without

    if (clip := packed.find(path)) is not None:
        return f"{clip.checksum} {clip.num_samples}"
    file = next((each for each in (Path(path), *Path(path).parents) if each.exists()), Path(path).parent)
    status = file.stat()  # of a track, its file's
    return f"{status.st_size} {status.st_mtime_ns}"


def write_fitted(folder: Path, origin: Origin, fitted: Fitted) -> None:
    """Writes into the run's folder."""
    from safetensors.torch import save

    assert origin.clips is not None, "something was fitted to them"
    texts = {"thresholds": json.dumps(fitted.thresholds), "found": json.dumps(fitted.found)}
    about = {**origin._asdict(), **texts}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in fitted.tensors.items()}
    write_bytes_atomically(folder / FOLDER / origin.name(origin.clips), save(tensors, about))


def read_fitted(
    folders: Sequence[Path], origin: Origin, training_clips: Callable[[], str | None]
) -> Fitted | None:
    """What was fitted with the same settings and weights to the same clips.

    What a release before December 2026 fitted counts where its clips are None alone, for thresholds were not checked.

    Args:
        folders: Of runs; the first that has it counts.
        origin: Where its clips are None, any will do, if they are but one set.
        training_clips: Finds their hash where they are several.

    Raises:
        ValueError: A file is damaged, or several are left.
    """
    paths = _find(folders, origin)
    if len(paths) > 1:
        paths = _find(folders, origin._replace(clips=training_clips()))
    if len(paths) > 1:
        raise ValueError(
            f"{paths[0].parent}: fitted to {len(paths)} sets of training clips: set data.root to those of the run, or"
            " delete the files of the others"
        )
    return _read(paths[0], take_older=origin.clips is None) if paths else None


def _find(folders: Sequence[Path], origin: Origin) -> list[Path]:
    found = (sorted((folder / FOLDER).glob(origin.name(origin.clips or "*"))) for folder in folders)
    return next(filter(None, found), [])


def _read(path: Path, *, take_older: bool) -> Fitted | None:
    """None where it is of a release that did not check its thresholds, unless such are taken."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            if "found" not in about and not take_older:
                return None
            thresholds, found = json.loads(about["thresholds"]), json.loads(about.get("found", "{}"))
            # Copies lie in memory as what was fitted did: products of matrices differ in their last bits by that.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return Fitted(thresholds, tensors, found)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it, and a test fits anew") from None
