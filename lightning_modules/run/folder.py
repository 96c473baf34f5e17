"""Where a run writes, and how its id stays the same across requeues and restarts."""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_AVERAGE = "best-average.ckpt"
WAITING = "wandb/waiting"  # what waits in a run's folder for `sync`
_PLAIN_NAME = re.compile(r"[\w.-]+")


@dataclass(kw_only=True)
class Run:
    """One run's folder, ``<root>/<experiment>/<id>/``.

    Attributes:
        experiment: What is tried; runs of one experiment lie side by side.
        id: Names the run and its W&B run; the same id continues the same folder. Null takes the SLURM
            job's id, or else a digest of the configuration, so that the same command continues its run.
        root: Folder of all experiments.
    """

    experiment: str = "experiment"
    id: str | None = None
    root: str = "runs"

    def __post_init__(self) -> None:
        for key, name in (("experiment", self.experiment), ("id", self.id)):
            if name is not None and (not _PLAIN_NAME.fullmatch(name) or name.startswith(".")):
                raise ValueError(
                    f"run.{key}: {name!r} is no folder name; use letters, digits, '_', '-' and '.'"
                )

    @property
    def folder(self) -> Path:
        """The run's folder; needs an id."""
        assert self.id is not None, "the command line gives it one before anything is built"
        return Path(self.root) / self.experiment / self.id

    @property
    def checkpoints(self) -> Path:
        """Folder of ``last.ckpt`` and the best ones."""
        return self.folder / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint that a restart continues from."""
        return self.checkpoints / "last.ckpt"

    @property
    def previous_checkpoint(self) -> Path:
        """The one before, see `callbacks.last_checkpoint`."""
        return self.checkpoints / "last-1.ckpt"

    @property
    def average_checkpoint(self) -> Path:
        """The mean of the best ones, see `run.average`; nothing goes on from it."""
        return self.checkpoints / _AVERAGE

    @property
    def restarts(self) -> list[Path]:
        """What a restart can continue from, the newest first; they need not exist."""
        kept = (path for path in self.checkpoints.glob("best*.ckpt") if path != self.average_checkpoint)
        best = sorted(kept, key=lambda path: path.stat().st_mtime, reverse=True)
        return [self.last_checkpoint, self.previous_checkpoint, *best]

    def chosen_checkpoint(self, mode: str) -> Path | None:
        """What scores: the mean of the best checkpoints, or the best one, or the last one where none is best."""
        return chosen_checkpoint(self.folder, mode)

    def best_checkpoint(self, mode: str) -> Path | None:
        """The best of `best_checkpoints`, if any."""
        return next(iter(self.ranked_checkpoints(mode)), None)

    def ranked_checkpoints(self, mode: str) -> list[Path]:
        """All of `best_checkpoints`, the best first."""
        return _ranked_checkpoints(self.checkpoints, mode)

    @property
    def best_checkpoints(self) -> list[Path]:
        """Those with a score in their names (see `callbacks.best_checkpoint`); earlier versions kept NaN too."""
        return _best_checkpoints(self.checkpoints)


def chosen_checkpoint(folder: Path, mode: str) -> Path | None:
    """What scores in a run's folder, wherever that was moved; see `Run.chosen_checkpoint`."""
    checkpoints = folder / "checkpoints"
    average, last = checkpoints / _AVERAGE, checkpoints / "last.ckpt"
    ranked = _ranked_checkpoints(checkpoints, mode)
    return next((path for path in (average, *ranked, last) if path.is_file()), None)


def checkpoint_of(path: str | Path) -> Path:
    """The checkpoint that a path names: of a run's folder the one that scores it; any other path is itself.

    Raises:
        ValueError: A run's folder holds none.
    """
    folder = Path(path).expanduser()
    if not (folder / "checkpoints").is_dir():
        return folder
    config = folder / "config.yaml"
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    found = chosen_checkpoint(folder, settings.get("checkpoints", {}).get("mode", "min"))
    if found is None:
        raise ValueError(f"{folder}: a run without a checkpoint: train it first, or name another")
    return found


def _ranked_checkpoints(checkpoints: Path, mode: str) -> list[Path]:
    found = sorted(_best_checkpoints(checkpoints), key=_score_in_name)
    return found if mode == "min" else found[::-1]


def _best_checkpoints(checkpoints: Path) -> list[Path]:
    found = sorted(checkpoints.glob("best*.ckpt"))
    return [path for path in found if not math.isnan(_score_in_name(path))]


def _score_in_name(path: Path) -> float:
    match = re.match(r"best=(-?(?:[\d.]+(?:e[+-]?\d+)?|inf))", path.stem)
    return float(match.group(1)) if match else math.nan


# Of later keys the values that are what was done before there were these
_AS_BEFORE = {"resampler": "torchaudio", "allow_truncated": False}


def stable_id(config: Mapping[str, Any]) -> str:
    """Returns the SLURM job's id or a digest of ``config``: the same on all ranks and after a requeue.

    A key without a value, or with what was done without it, counts as none, so that a later version may add an optional
    one and find its earlier runs.
    """
    array_job, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_JOB_ID")
    if array_job:
        return f"slurm-{array_job}-{os.environ['SLURM_ARRAY_TASK_ID']}"
    if job:
        return f"slurm-{job}"
    return hashlib.sha256(json.dumps(_stated(config), sort_keys=True, default=str).encode()).hexdigest()[:10]


def _stated(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _stated(each)
            for key, each in value.items()
            if each is not None and (key not in _AS_BEFORE or each != _AS_BEFORE[key])
        }
    return [_stated(each) for each in value] if isinstance(value, list | tuple) else value
