"""Arguments that a class takes over from the one whose place it takes in a configuration."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from datamodules.config.shipped import with_config_paths

Key = tuple[str, ...]  # as it is typed, without `init_args`


def inherited(words: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """One line for each class that has arguments which were given for another one before it.

    The parser drops what the new class does not know; what both know stays, and may mean something else.

    Args:
        words: The command line, whose files and options go on top of each other.
        config: What came of it: mappings, with ``class_path`` and ``init_args`` where there is a class.
    """
    classes = dict(_classes(config, ()))
    current: dict[Key, str] = {}
    kept: dict[tuple[Key, str], dict[Key, None]] = {}  # (place of a class, former class) -> arguments
    for key, value in _settings(with_config_paths(words), classes):
        place = next((key[:end] for end in range(len(key) - 1, 0, -1) if key[:end] in classes), None)
        if place is not None:
            for arguments in kept.values():
                arguments.pop(key, None)  # given anew
            if place in current:
                kept.setdefault((place, current[place]), {})[key] = None
        if key in classes and isinstance(value, str):
            current[key] = _name(value)
    return [
        f"{'.'.join(place)}: {_name(classes[place])} takes over {', '.join(found)} of {former}, whose place it takes;"
        f" set what should differ, --{'.'.join(place)}.NAME=VALUE"
        for (place, former), arguments in kept.items()
        if former != _name(classes[place])
        and (found := [_said(key, place, config, classes) for key in arguments if _has(config, key)])
    ]


def _said(key: Key, place: Key, config: Mapping[str, Any], classes: Mapping[Key, str]) -> str:
    name = ".".join(key[len(place) :])
    return name if key in classes else f"{name}={_inside(config, key[:-1])[key[-1]]}"


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _has(config: Mapping[str, Any], key: Key) -> bool:
    return key[-1] in _inside(config, key[:-1])


def _inside(config: Any, key: Key) -> Mapping[str, Any]:
    """What a key of a configuration holds, of a class its arguments."""
    for name in (None, *key):
        if name is not None:
            config = config.get(name)
        if isinstance(config, Mapping) and "class_path" in config:
            config = config.get("init_args")
        if not isinstance(config, Mapping):
            return {}
    return config


def _classes(config: Any, key: Key) -> Iterator[tuple[Key, str]]:
    """Keys of a configuration that hold a class, and the class."""
    if not isinstance(config, Mapping):
        return
    if isinstance(config.get("class_path"), str):
        yield key, config["class_path"]
        config = config.get("init_args") or {}
    for name, value in config.items():
        yield from _classes(value, (*key, name))


def _settings(words: Sequence[str], classes: Mapping[Key, str]) -> Iterator[tuple[Key, Any]]:
    """Keys and values in the order in which the parser reads them; a class comes before its arguments."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, equals, text = word.partition("=")
        value = text if equals else following
        if option in ("--config", "-c"):
            yield from _flat(yaml.safe_load(Path(value).read_text(encoding="utf-8")), ())
        elif option.startswith("--") and value and not value.startswith("--"):
            parts = option.removeprefix("--").split(".")
            key = tuple(part for part in parts if part not in ("init_args", "class_path"))
            is_part = key in classes and value.startswith("{")
            yield from _flat(yaml.safe_load(value) if is_part else value, key)


def _flat(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    if not isinstance(value, Mapping):
        yield key, value
        return
    if isinstance(value.get("class_path"), str):
        yield key, value["class_path"]
    for name, each in value.items():
        if name != "class_path":
            yield from _flat(each, key if name == "init_args" else (*key, str(name)))
