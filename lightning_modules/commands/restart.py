"""Where training begins: at its start, or from a checkpoint that was made with the same optimizer and schedule."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lightning_modules.run.checkpoints import carried_config, first_readable, read_checkpoint
from lightning_modules.run.folder import Run

_IN_CHECKPOINT = (
    "optimizer",
    "lr_scheduler",
    "encoder_lr",
)  # arguments of a model whose values a checkpoint brings along


class Restart(NamedTuple):
    """A checkpoint, or none, and what was done until there."""

    path: Path | None = None
    optimizer_steps: int = 0
    batches: int = 0

    @property
    def logged(self) -> int:
        """The step that loggers count on from: of batches that stepped, of which one may hold several steps."""
        return min(self.optimizer_steps, self.batches)


def find_restart(run: Run, named: str | None, config: str) -> Restart:
    """The newest whole checkpoint of a run, or another one.

    Args:
        run: The run.
        named: What ``--ckpt_path`` names.
        config: The resolved configuration as YAML.

    Raises:
        ValueError: It is damaged, nothing to continue from, or of another optimizer or schedule.
    """
    found = (Path(named), read_checkpoint(named)) if named else first_readable(run.restarts)
    if found is None:
        return Restart()
    path, checkpoint = found
    if missing := [key for key in ("state_dict", "optimizer_states", "loops") if key not in checkpoint]:
        raise ValueError(
            f"{path}: no checkpoint to continue from (no {missing[0]!r}); published weights are for model.weights"
        )
    before, now = carried_config(checkpoint) or {}, yaml.safe_load(config)
    if changes := list(changed_settings(before.get("model") or {}, now["model"])):
        raise ValueError(
            f"{path}: continues with the optimizer and schedule that it was made with, and not with"
            f" {', '.join(changes)}: set the former values, or begin another run with another --run.id, with these"
            f" weights by --model.weights={path}"
        )
    if changes := list(changed_shares(before.get("model") or {}, now["model"])):
        raise ValueError(
            f"{path}: holds what trained, and other parts would train with {', '.join(changes)}: set the former values,"
            f" or begin another run with another --run.id, with these weights by --model.weights={path}"
        )
    was, given = _resampler(before), _resampler(now)
    if was and given and was != given:
        raise ValueError(
            f"{path}: was trained on clips that {was} resampled: set data.resampler={was}, or begin another run with"
            f" another --run.id, with these weights by --model.weights={path}"
        )
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
    return Restart(path, checkpoint["global_step"], batches)


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Settings of a model's optimizer and schedule that differ, as ``key=value (formerly value)``.

    A key without a value counts as none; a length that was the run's own is left to `WholeRun`.
    """
    old, new = ({name: _init_args(each).get(name) for name in _IN_CHECKPOINT} for each in (before, now))
    if not _init_args(before):
        return  # of a version whose checkpoints carry no configuration
    was, given = dict(_flat(old, "model")), dict(_flat(new, "model"))
    for key in dict.fromkeys([*was, *given]):
        grown = key.endswith(".total_steps") and key not in was
        if was.get(key) != given.get(key) and not grown:
            yield f"{key}={given.get(key)} (formerly {was.get(key)})"


def changed_shares(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What says how much of an encoder trains, where it differs, as `changed_settings` tells it."""
    if not _init_args(before):
        return
    old, new = (
        {
            key: value
            for key, value in _flat({"network": _init_args(each).get("network")}, "model")
            if key.endswith(".trainable") or ".lora." in key
        }
        for each in (before, now)
    )
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            yield f"{key}={new.get(key)} (formerly {old.get(key)})"


def _resampler(config: Mapping[str, Any]) -> str | None:
    """That of the data module, None where it has none."""
    arguments = _init_args(config.get("data") or {})
    return (arguments["resampler"] or "soxr_hq") if "resampler" in arguments else None


def _init_args(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return part.get("init_args") or {}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Keys as they are typed, and values that are set; of a class its name, which outlives a move."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name == "class_path":
                yield key, each.rpartition(".")[2]
            else:
                yield from _flat(each, key if name == "init_args" else f"{key}.{name}")
    elif value is not None:
        yield key, value
