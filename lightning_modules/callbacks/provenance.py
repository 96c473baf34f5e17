"""Where figures come from: configuration, code, package versions and the lists of clips."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.callbacks.wandb_loggers import wandb_runs
from lightning_modules.runs import Run, write_atomically

_PACKAGES = ("torch", "torchaudio", "torchvision", "lightning", "torchmetrics", "numpy", "scipy", "soundfile")
_SPLITS = {"fit": ("train", "validation"), "validate": ("validation",), "test": ("test",)}


class Provenance(Callback):
    """Writes ``provenance.json`` into the run's folder, and the same with the whole configuration to W&B.

    Args:
        run: Whose folder.
        config: The resolved configuration as YAML.
    """

    def __init__(self, run: Run, config: str) -> None:
        self._run = run
        self._config = yaml.safe_load(config)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Describes the run once the data module has read the splits of the stage."""
        if not trainer.is_global_zero or stage not in _SPLITS:
            return
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        splits = getattr(data, "clips", None) or getattr(data, "pairs", {})
        hashes = {name: data_hash(splits[name]) for name in _SPLITS[stage] if splits.get(name)}
        path = self._run.folder / "provenance.json"
        before = json.loads(path.read_text())["data_hash"] if path.is_file() else {}
        record = {
            "commit": commit(),
            "data_hash": before | hashes,
            "packages": {"python": platform.python_version()} | _versions(),
        }
        write_atomically(path, json.dumps(record, indent=2) + "\n")
        tags = [f"seed-{self._config.get('seed_everything')}", type(pl_module).__name__, type(data).__name__]
        for run in wandb_runs(trainer):
            run.config.update({**self._config, **record}, allow_val_change=True)
            run.tags = tuple(dict.fromkeys([*run.tags, *tags]))


def data_hash(rows: Iterable[Any]) -> str:
    """SHA-256 of the keys and targets of a split's rows, whatever their order; the first 16 hexadecimal digits."""
    lines = sorted(f"{row.key}\t{getattr(row, 'target', '')}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def recorded_data_hash(run: Run, split: str) -> str:
    """The hash of a split that the run last read, empty where it is not known."""
    path = run.folder / "provenance.json"
    return json.loads(path.read_text())["data_hash"].get(split, "") if path.is_file() else ""


def commit() -> str:
    """``git describe`` of the code, empty outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}
