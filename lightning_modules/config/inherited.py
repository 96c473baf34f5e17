"""Arguments that a class takes over from the one whose place it takes in a configuration."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from datamodules.config.shipped import with_config_paths

Key = tuple[str, ...]


def inherited(words: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """One line a class whose arguments were given for another one before it.

    The parser drops what the new class does not know; what both know stays, and may mean something else.

    Args:
        words: The command line, whose files and options go on top of each other.
        config: What came of it: mappings, with ``class_path`` and ``init_args`` where there is a class.
    """
    classes = dict(_classes(config, ()))
    current: dict[Key, str] = {}
    given_for: dict[Key, str | None] = {}
    for key, value in _settings(with_config_paths(words), classes):
        owner = next((key[:end] for end in range(len(key) - 1, 0, -1) if key[:end] in classes), None)
        if owner is not None:
            given_for[key] = current.get(owner)
        if key in classes and isinstance(value, str):
            current[key] = _name(value)
    lines = []
    for place, path in classes.items():
        name = _name(path)
        kept: dict[str, list[str]] = {}
        for key, former in given_for.items():
            owns = key[: len(place)] == place and not any(
                key[:end] in classes for end in range(len(place) + 1, len(key))
            )
            found, value = _find(config, key)
            if owns and len(key) > len(place) and former not in (None, name) and found:
                word = ".".join(key[len(place) :])
                kept.setdefault(str(former), []).append(word if key in classes else f"{word}={value}")
        option = ".".join(place)
        lines += [
            f"{option}: {name} takes over {', '.join(words)} of {former}, whose place it takes; what should differ is set"
            f" by --{option}.NAME=VALUE"
            for former, words in kept.items()
        ]
    return lines


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _classes(config: Any, key: Key) -> Iterator[tuple[Key, str]]:
    """Keys of a configuration that hold a class, the outer before the inner, and the class."""
    if not isinstance(config, Mapping):
        return
    if isinstance(config.get("class_path"), str):
        yield key, config["class_path"]
        config = config.get("init_args") or {}
    for name, value in config.items():
        yield from _classes(value, (*key, name))


def _find(config: Any, key: Key) -> tuple[bool, Any]:
    for name in key:
        if isinstance(config, Mapping) and "class_path" in config:
            config = config.get("init_args") or {}
        if not isinstance(config, Mapping) or name not in config:
            return False, None
        config = config[name]
    return True, config


def _settings(words: Sequence[str], classes: Mapping[Key, str]) -> Iterator[tuple[Key, Any]]:
    """Keys and values in the order in which the parser reads them; a class comes before its arguments."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, equals, text = word.partition("=")
        value = text if equals else following
        if option in ("--config", "-c"):
            yield from _of_file(yaml.safe_load(Path(value).read_text(encoding="utf-8")), ())
        elif option.startswith("--") and value and not value.startswith("--"):
            key = tuple(part for part in option[2:].split(".") if part not in ("init_args", "class_path"))
            is_part = key in classes and value.startswith("{")
            yield from _of_file(yaml.safe_load(value) if is_part else value, key)


def _of_file(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    if not isinstance(value, Mapping):
        if key:
            yield key, value
        return
    if isinstance(value.get("class_path"), str):
        yield key, value["class_path"]
        value = value.get("init_args") or {}
    for name, each in value.items():
        if name == "init_args":  # of a class that an earlier file names
            yield from _of_file(each, key)
        else:
            yield from _of_file(each, (*key, str(name)))
