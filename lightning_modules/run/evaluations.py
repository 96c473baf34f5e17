"""What a split was scored on, and how: a run's own data and settings have plain names, all else its own."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lightning_modules.run.fitted import CONDITION, settings_of
from lightning_modules.run.folder import Run
from lightning_modules.run.provenance import data_hash, recorded_data_hash

_NAMING = (
    "edition",
    "year",
    "subset",
    "test_split",
    "machine",
    "id",
    "condition",
)  # of data sets, for their names
LIMITS = {"test": "limit_test_batches", "validation": "limit_val_batches"}


class Evaluation(NamedTuple):
    """A split of some data, scored with some settings.

    Attributes:
        split: Name of the split.
        name: What its files, and what is logged, are called: the split, or ``test@ASVspoof-2021_DF-eval-1a2b3c`` of
            other data or settings than the run's own.
        data_set: Class and edition of the data, as ``ASVspoof-2021_DF-eval``.
        data_hash: Of the keys and targets of the split, see `provenance.data_hash`.
        settings: Digest of what decides scores: of model and data, precision, limits.
    """

    split: str
    name: str
    data_set: str
    data_hash: str
    settings: str

    @property
    def is_own(self) -> bool:
        """Whether it is of the run's own data, settings and checkpoints: its result, which reports take."""
        return self.name == self.split


class Evaluations:
    """Tells evaluations of a run's own data from others, in a process that evaluates with one configuration.

    Own is what the run's config.yaml says, or without such a file what the checkpoint of the run carries: the same
    settings, and the same data folder or else the same clips as were evaluated there before.

    Args:
        run: Whose folder.
        config: The resolved configuration.
        carried: That of the checkpoint which was named.

    Attributes:
        checkpoint: What scores. One that is none of the run's, where it has some, gives no result of its own.
    """

    def __init__(self, run: Run, config: Mapping[str, Any], carried: Mapping[str, Any] | None = None) -> None:
        self._run, self._config, self._carried = run, config, carried
        self._known: dict[tuple[str, Path | None], Evaluation] = {}
        self.checkpoint: Path | None = None

    @property
    def knows_own(self) -> bool:
        """Whether something says what is own; else what is evaluated first becomes that."""
        return self._own_config() is not self._config

    def of(self, split: str, rows: Iterable[Any]) -> Evaluation:
        """Names the evaluation of a split with these rows; they are looked at once."""
        key = split, self.checkpoint
        if key not in self._known:
            self._known[key] = self._of(split, data_hash(rows))
        return self._known[key]

    def _of(self, split: str, rows: str) -> Evaluation:
        settings = _settings(self._config, split)
        data_set = _data_set(self._config["data"])
        foreign = self._foreign_checkpoint()
        name = split
        if foreign or not self._is_own(split, rows, settings):
            name = f"{split}@{data_set}-{_digest([rows, settings, foreign])[:6]}"
        return Evaluation(split, name, data_set, rows, _digest(settings)[:8])

    def _is_own(self, split: str, rows: str, settings: Mapping[str, Any]) -> bool:
        own = self._own_config()
        own_settings = _settings(own, split)
        if own_settings.get("condition") != settings.get("condition") or not _agree(own_settings, settings):
            return False
        before = recorded_data_hash(self._run, split)
        return _roots(own) == _roots(self._config) or before in ("", rows)

    def _own_config(self) -> Mapping[str, Any]:
        path, run = self._run.folder / "config.yaml", vars(self._run)
        if path.is_file():
            return yaml.safe_load(path.read_text(encoding="utf-8"))
        carried = self._carried or {}
        is_of_run = all(carried.get("run", {}).get(key) == run[key] for key in ("experiment", "id"))
        return carried if is_of_run else self._config

    def _foreign_checkpoint(self) -> str | None:
        """Path of a checkpoint that is none of the run's, where it has some."""
        if self.checkpoint is None or not any(self._run.checkpoints.glob("*.ckpt")):
            return None
        path = self.checkpoint.resolve()
        return None if path.parent == self._run.checkpoints.resolve() else str(path)


def _settings(config: Mapping[str, Any], split: str) -> dict[str, Any]:
    """What decides scores, but not on which machine; nothing is said of the condition of clean clips, as once."""
    kept = json.loads(settings_of(config))
    trainer = config.get("trainer") or {}
    limit = trainer.get(LIMITS[split])
    # 0: not tested by fit, which says nothing of how
    is_whole = not limit or (isinstance(limit, float) and limit == 1)
    arguments = config["data"].get("init_args", {})
    condition = [arguments.get(name) for name in CONDITION] if arguments.get("condition") else None
    return {
        **({"condition": condition} if condition else {}),
        "model": kept["model"],
        "data": {name: value for name, value in kept["data"].items() if not name.endswith("root")},
        "precision": str(trainer.get("precision") or "32-true"),
        "limit": None if is_whole else limit,
        "fast_dev_run": trainer.get("fast_dev_run") or False,
    }


def _agree(own: Any, now: Any, key: str = "") -> bool:
    """Whether settings are equal as far as both say them: a later version may have more."""
    if isinstance(own, Mapping) and isinstance(now, Mapping):
        return all(_agree(own[name], now[name], name) for name in own.keys() & now.keys())
    if key == "class_path":  # which may be a former one
        return str(own).rpartition(".")[2] == str(now).rpartition(".")[2]
    if isinstance(own, Sequence) and isinstance(now, Sequence) and not isinstance(own, str):
        return len(own) == len(now) and all(map(_agree, own, now))
    return own == now


def _roots(config: Mapping[str, Any]) -> dict[str, Any]:
    arguments = config["data"].get("init_args", {})
    return {name: value for name, value in arguments.items() if name.endswith("root")}


def _data_set(data: Mapping[str, Any]) -> str:
    """``ASVspoof-2021_DF-eval``: letters that any file system and W&B take."""
    arguments = data.get("init_args", {})
    parts = [data["class_path"].rpartition(".")[2]]
    parts += [str(arguments[name]) for name in _NAMING if arguments.get(name) is not None]
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_") for part in parts)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
