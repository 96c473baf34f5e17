"""Configurations as text: what is wrong with a YAML file as such, and what differs between two."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

MAX_NODES = 100_000  # the longest shipped configuration has some hundred


class ConfigFileError(ValueError):
    """A configuration that cannot be read, or none at all: wrong use of a command."""


def as_yaml(config: Mapping[str, Any]) -> str:
    """Plain values as the configuration parser reads them back: a name of a run such as ``1e22398475`` is no number."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))


def check_file(path: str | Path) -> list[str]:
    """Reads a YAML file without unfolding its aliases (``*name``); what is not there or no file the parser tells of.

    Returns:
        Its values as they are written, without keys.

    Raises:
        ConfigFileError: It is no mapping in UTF-8, a key comes twice in one place, so that one of them would be
            lost, a number means another one than it looks, or the aliases unfold to more than `MAX_NODES` values; names
            the file and the line.
    """
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigFileError(f"{path}: no text in UTF-8 ({error.reason} at byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigFileError(f"{path}{line}: no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigFileError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    except OSError:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ConfigFileError(f"{path}: expected keys and values, one a line, as `name: value`")
    size = _size(root, {})
    if size > MAX_NODES:
        raise ConfigFileError(
            f"{path}: its aliases unfold to {size} values, more than {MAX_NODES}: write them out"
        )
    for key in _repeated_keys(root, set()):
        line = key.start_mark.line + 1
        raise ConfigFileError(
            f"{path}, line {line}: key {key.value} comes twice in one place: keep one of them"
        )
    values = [node for node in _all_nodes(root, set()) if isinstance(node, yaml.ScalarNode)]
    for node in values:
        if other := _otherwise(node):
            raise ConfigFileError(f"{path}, line {node.start_mark.line + 1}: {other}")
    return [node.value for node in values]


def misread(text: str) -> Iterator[tuple[float, str]]:
    """The numbers in a value that YAML 1.1 reads otherwise than a person, as they are read and what to do instead.

    >>> [number for number, _ in misread("[10, 010, '010', 1:30]")]
    [8, 90]
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # text, or the parser says what is wrong
        return
    for node in _all_nodes(root, set()) if root else ():
        if isinstance(node, yaml.ScalarNode) and (other := _otherwise(node)):
            yield yaml.safe_load(node.value), other


def _otherwise(node: yaml.ScalarNode) -> str | None:
    """Says which number a value is taken for that a person reads as another one."""
    text, kind = node.value, node.tag.rpartition(":")[2]
    if node.style is not None or kind not in ("int", "float"):  # text in quotes is text
        return None
    if ":" in text:
        meant = f"{text} is {yaml.safe_load(text)}, a number to the base of 60"
    elif kind == "int" and re.fullmatch(r"[-+]?0[0-9_]+", text) and int(text, 8) != int(text):
        meant = f"{text} is {int(text, 8)}, a number to the base of 8"
    else:
        return None
    return f"{meant} in YAML: write the number that is meant, or '{text}' in quotes for text"


def _size(node: yaml.Node, sizes: dict[int, float]) -> float:
    if id(node) not in sizes:
        sizes[id(node)] = math.inf  # until counted: what is met within itself has no end
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _all_nodes(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    """The node and all below, keys left out, each once."""
    if id(node) not in seen:
        seen.add(id(node))
        yield node
        below = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else _children(node)
        for child in below:
            yield from _all_nodes(child, seen)


def _repeated_keys(node: yaml.Node, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        names = [key.value for key in keys]
        yield from (key for place, key in enumerate(keys) if key.value != "<<" and key.value in names[:place])
    for child in _children(node):
        yield from _repeated_keys(child, seen)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
