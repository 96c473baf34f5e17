"""Where a run writes, and how its id stays the same across requeues and restarts."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    def restarts(self) -> list[Path]:
        """What a restart can continue from, the newest first; they need not exist."""
        best = sorted(
            self.checkpoints.glob("best*.ckpt"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        return [self.last_checkpoint, self.previous_checkpoint, *best]

    def chosen_checkpoint(self, mode: str) -> Path | None:
        """What scores: the best checkpoint, or the last one where none is best."""
        return self.best_checkpoint(mode) or (
            self.last_checkpoint if self.last_checkpoint.is_file() else None
        )

    def best_checkpoint(self, mode: str) -> Path | None:
        """The best checkpoint by the score in its name (see `callbacks.standard.best_checkpoint`), if any."""
        found = sorted(self.checkpoints.glob("best*.ckpt"), key=_score_in_name)
        return (found[0] if mode == "min" else found[-1]) if found else None


def _score_in_name(path: Path) -> float:
    match = re.match(r"best=(-?[\d.]+(?:e[+-]?\d+)?)", path.stem)
    return float(match.group(1)) if match else 0.0


def stable_id(config: Mapping[str, Any]) -> str:
    """Returns the SLURM job's id or a digest of ``config``: the same on all ranks and after a requeue.

    A key without a value counts as none, so that a later version may add an optional one and find its earlier runs.
    """
    array_job, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_JOB_ID")
    if array_job:
        return f"slurm-{array_job}-{os.environ['SLURM_ARRAY_TASK_ID']}"
    if job:
        return f"slurm-{job}"
    return hashlib.sha256(json.dumps(_stated(config), sort_keys=True, default=str).encode()).hexdigest()[:10]


def _stated(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _stated(each) for key, each in value.items() if each is not None}
    return [_stated(each) for each in value] if isinstance(value, list | tuple) else value
