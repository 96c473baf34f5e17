"""YAML files of a few lines that would unfold to more than a machine holds."""

import math
from pathlib import Path

import yaml

MAX_NODES = 100_000  # the longest shipped configuration has some hundred


def check_size(path: str | Path) -> None:
    """Counts what a YAML file holds once its aliases (``*name``) are unfolded, without unfolding them.

    Raises:
        ValueError: More than `MAX_NODES` values, or an anchor within itself; names the file.
    """
    try:
        size = _size(yaml.compose(Path(path).read_text(), Loader=yaml.SafeLoader), {})
    except (OSError, UnicodeError, yaml.YAMLError):
        return  # the parser tells of these
    if size > MAX_NODES:
        raise ValueError(
            f"{path}: its aliases unfold to {size} values, more than {MAX_NODES}: write them out"
        )


def _size(node: yaml.Node | None, sizes: dict[int, float]) -> float:
    if id(node) not in sizes:
        sizes[id(node)] = math.inf  # until counted: what is met within itself has no end
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in children)
    return sizes[id(node)]
