"""Configurations as text: what is wrong with a YAML file as such, and what differs between two."""

import math
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


def check_file(path: str | Path) -> None:
    """Reads a YAML file without unfolding its aliases (``*name``); what is not there or no file the parser tells of.

    Raises:
        ConfigFileError: It is no mapping in UTF-8, a key comes twice in one place, so that one of them would be
            lost, or the aliases unfold to more than `MAX_NODES` values; names the file and the line.
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
        return
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


def _size(node: yaml.Node, sizes: dict[int, float]) -> float:
    if id(node) not in sizes:
        sizes[id(node)] = math.inf  # until counted: what is met within itself has no end
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


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
