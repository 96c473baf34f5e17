"""What must hold between the parts of a configuration, found before anything is written."""

import warnings
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any

import torch
from lightning.pytorch.cli import ReduceLROnPlateau
from torch import nn

import datamodules
from datamodules.config.files import ConfigFileError
from lightning_modules import optimization
from lightning_modules.base import EvaluatedModule


def refuse_other_data(model: EvaluatedModule, data: Any) -> None:
    """Refuses a data module of another kind than the method is made for.

    Raises:
        ConfigFileError: Names those of the right kind.
    """
    kind = model.kind_of_data()
    if kind is None or isinstance(data, kind):
        return
    classes = {name: getattr(datamodules, name) for name in datamodules.__all__}
    fitting = [name for name, each in classes.items() if issubclass(each, kind) and each is not kind]
    raise ConfigFileError(
        f"data: {type(data).__name__} is no {kind.__name__}, which {type(model).__name__} is trained on: set data to"
        f" {' or '.join(fitting) or f'a subclass of {kind.__name__}'}"
    )


def refuse_wrong_optimizer(model: EvaluatedModule, arguments: Mapping[str, Any]) -> None:
    """Makes the optimizer and its schedule for a weight that nobody trains, and steps the schedule once.

    Args:
        model: Has the factories of both.
        arguments: Of the model in the configuration, which name the keys of what is wrong.

    Raises:
        ConfigFileError: One of them cannot be made; names the key where a single one is wrong.
    """
    weight = nn.Parameter(torch.zeros(1, 1))  # Muon takes matrices alone
    optimizer = _made("optimizer", model.optimizer_factory, [weight], arguments)
    if model.lr_scheduler_factory is None:
        return
    _made("lr_scheduler", lambda built: _stepped(model.lr_scheduler_factory(built)), optimizer, arguments)  # pyright: ignore[reportOptionalCall]


def _stepped(schedule: Any) -> Any:
    """A schedule that has been stepped, for some arguments show only then to be wrong."""
    optimization.require_monitor(schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no step of the optimizer came before
        schedule.step(0.0) if isinstance(schedule, ReduceLROnPlateau) else schedule.step()
    return schedule


def _made(part: str, make: Callable[[Any], Any], of: Any, arguments: Mapping[str, Any]) -> Any:
    try:
        return make(of)
    except (ValueError, TypeError, ArithmeticError, LookupError, AssertionError) as error:
        spec = arguments.get(part) or {}
        given = dict(spec.get("init_args") or {})
        key = next((key for key in given if _works_without(key, spec["class_path"], of, given)), None)
        values = ", ".join(f"{name}={value}" for name, value in given.items())
        place = f"model.{part}({values})" if key is None else f"model.{part}.{key} is {given[key]}"
        raise ConfigFileError(f"{place}: {error or type(error).__name__}") from None


def _works_without(key: str, class_path: str, of: Any, given: Mapping[str, Any]) -> bool:
    """Whether the default of one argument mends the others."""
    others = {name: value for name, value in given.items() if name != key}
    try:
        built = resolve_name(class_path)(of, **others)
        if not isinstance(built, torch.optim.Optimizer):
            _stepped(built)
    except Exception:
        return False
    return True
