"""Modules as class paths and arguments, and back, of networks, front ends and scorers alone."""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from inspect import isclass, ismethod, signature
from pkgutil import resolve_name
from typing import Any, get_args, get_type_hints

from torch import nn

# What lies in these imports neither Lightning nor a data set; anything else is not run.
FLOORS = tuple(f"lightning_modules.{name}" for name in ("networks", "frontends", "package.scorers"))


def describe(scorer: nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns class path and arguments of a scorer: modules as the configuration has them, values as they are.

    Args:
        scorer: Has its arguments as attributes.
        config: Arguments of the Lightning module, resolved.

    Raises:
        ValueError: A module is of a class outside of `FLOORS`.
    """
    init_args = {}
    for name in signature(type(scorer)).parameters:
        value = getattr(scorer, name)
        init_args[name] = (
            _describe_module(value, config.get(name), name) if isinstance(value, nn.Module) else value
        )
    return {"class_path": f"{type(scorer).__module__}.{type(scorer).__name__}", "init_args": init_args}


def _describe_module(module: nn.Module, config: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    if config is None:  # the Lightning module's default
        config = {"class_path": f"{type(module).__module__}.{type(module).__name__}"}
    find(config["class_path"], f"model.{name}")
    init_args = {**config.get("init_args", {}), **config.get("dict_kwargs", {})}
    for part, value in init_args.items():
        inner = getattr(module, part, None)
        if isinstance(inner, nn.Module) and isinstance(value, Mapping):
            init_args[part] = _describe_module(inner, value, f"{name}.init_args.{part}")
    if hasattr(module, "reset_classifier") and hasattr(module, "num_classes"):
        init_args["num_classes"] = module.num_classes  # the head is that of the data's classes
    if hasattr(module, "as_packaged"):  # an encoder
        init_args |= module.as_packaged()  # pyright: ignore[reportCallIssue]
    return {"class_path": config["class_path"], "init_args": init_args}


def build(spec: Any, place: str) -> Any:
    """Builds what a ``{class_path, init_args}`` describes, arguments first; other values stay as they are.

    Args:
        spec: A value of a configuration.
        place: Its key, for messages.

    Raises:
        ValueError: The class is none of `FLOORS`, or does not take the arguments.
    """
    if not isinstance(spec, dict) or "class_path" not in spec:
        return spec
    arguments = {name: build(value, f"{place}.{name}") for name, value in spec.get("init_args", {}).items()}
    constructor = find(spec["class_path"], place)
    settings = _settings(constructor)
    try:
        return constructor(
            **{
                name: settings[name](**value) if name in settings and isinstance(value, dict) else value
                for name, value in arguments.items()
            }
        )
    except TypeError as error:
        raise ValueError(f"{place}: {spec['class_path']} does not take these arguments ({error})") from None


def _settings(constructor: Callable[..., nn.Module]) -> dict[str, type]:
    """Arguments that are of a dataclass, or None, which a description has as plain values."""
    function = constructor.__init__ if isclass(constructor) else constructor
    kinds = {name: get_args(kind) or (kind,) for name, kind in get_type_hints(function).items()}
    return {
        name: each for name, found in kinds.items() for each in found if isclass(each) and is_dataclass(each)
    }


def find(path: Any, place: str) -> Callable[..., nn.Module]:
    """Returns the module class of a path, or a class method that makes one, such as ``AASIST.light``.

    Raises:
        ValueError: The path leads elsewhere.
    """
    wrong = ValueError(f"{place}: {path!r} is no module of {', '.join(FLOORS)}; nothing else is run")
    if not str(path).startswith(tuple(f"{floor}." for floor in FLOORS)):
        raise wrong
    try:
        found: Any = resolve_name(path)
    except (ImportError, AttributeError, ValueError):
        raise wrong from None
    owner = found.__self__ if ismethod(found) else found
    if not (isclass(owner) and issubclass(owner, nn.Module) and owner.__module__.startswith(FLOORS)):
        raise wrong
    if found is not owner and not isinstance(owner.__dict__.get(found.__name__), classmethod):
        raise wrong
    return found
