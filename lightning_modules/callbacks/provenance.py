"""Notes where figures come from."""

import json
import platform
from collections.abc import Mapping
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from datamodules.files import write_text_atomically
from lightning_modules.base import data_of
from lightning_modules.hub.sources import fetched
from lightning_modules.run.evaluations import Evaluations
from lightning_modules.run.folder import Run
from lightning_modules.run.provenance import commit, data_hash, versions
from lightning_modules.run.tracking import wandb_runs

_SPLITS = {"fit": ("train", "validation"), "validate": ("validation",), "test": ("test",)}


class Provenance(Callback):
    """Writes ``provenance.json`` into the run's folder, and the same with the whole configuration to W&B.

    Args:
        run: Whose folder.
        config: The resolved configuration as YAML.
        evaluations: Tells the run's own data, which alone is described.
    """

    def __init__(self, run: Run, config: str, evaluations: Evaluations) -> None:
        self._run, self._evaluations = run, evaluations
        self._config = yaml.safe_load(config)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Describes the run once the data module has read the splits of the stage."""
        if not trainer.is_global_zero or stage not in _SPLITS:
            return
        data = data_of(trainer)
        hashes = self._own_hashes(stage, data.rows)
        if hashes is None:
            return
        path = self._run.folder / "provenance.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        record = before | {
            "commit": commit(),
            "data_hash": before.get("data_hash", {}) | hashes,
            "packages": {"python": platform.python_version()} | versions(),
        }
        if sources := fetched():
            record["hub"] = before.get("hub", {}) | dict(sources)
        write_text_atomically(path, json.dumps(record, indent=2) + "\n")
        tags = [f"seed-{self._config.get('seed_everything')}", type(pl_module).__name__, type(data).__name__]
        for run in wandb_runs(trainer):
            run.config.update({**self._config, **record}, allow_val_change=True)
            run.tags = tuple(dict.fromkeys([*run.tags, *tags]))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Adds by which rule layers are trained on a CPU, which a checkpoint may have said."""
        from lightning_modules.networks.cpu_rule import Ruled  # and with it all networks

        rules = {each.rule for each in pl_module.modules() if isinstance(each, Ruled)}
        if trainer.is_global_zero and rules:
            path, rule = self._run.folder / "provenance.json", {"convolution_rule": rules.pop()}
            record = json.loads(path.read_text(encoding="utf-8")) | rule
            write_text_atomically(path, json.dumps(record, indent=2) + "\n")
            for run in wandb_runs(trainer):
                run.config.update(rule, allow_val_change=True)

    def _own_hashes(self, stage: str, rows: Mapping[str, Any]) -> dict[str, str] | None:
        """Of the splits of a stage; None where other data or settings than the run's own are evaluated."""
        names = [name for name in _SPLITS[stage] if rows.get(name)]
        if stage == "fit":
            return {name: data_hash(rows[name]) for name in names}
        found = [self._evaluations.of(name, rows[name]) for name in names]
        return {each.split: each.data_hash for each in found} if all(each.is_own for each in found) else None
