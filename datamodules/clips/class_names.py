"""Classes by their names: what a data set counts in its own order, a method may count in another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Heads = Mapping[str, Sequence[str]]
_SHOWN = 8  # names in a message


def as_texts(option: str, names: Mapping[Any, str] | None) -> dict[str, str]:
    """Names as YAML gives them: ``{1: fake}`` has a number, where lists and folders have the text.

    Args:
        option: What they are the value of, for messages.
        names: The names.

    Raises:
        ValueError: If a name is a truth value, of which YAML does not keep how it was written.
    """
    for name in names or {}:
        if isinstance(name, bool) or name is None:
            words = "yes, on or true" if name else "no, off, false or null"
            raise ValueError(f"data.{option}: YAML reads a name as {name}: put {words} into quotes")
    return {str(name): str(other) for name, other in (names or {}).items()}


def renamed(heads: Heads, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Head -> name of each index of `heads`, by the option ``data.class_names``; two of them may be alike.

    Raises:
        ValueError: `names` holds a class that is none of `heads`.
    """
    known = [name for classes in heads.values() for name in classes]
    for name in names:
        if name not in known:
            raise ValueError(f"data.class_names: the data have no class {name!r}: name one of {_few(known)}")
    return {head: [names.get(name, name) for name in classes] for head, classes in heads.items()}


def distinct(heads: Heads) -> dict[str, list[str]]:
    """Each name of a head once."""
    return {head: list(dict.fromkeys(classes)) for head, classes in heads.items()}


def same_order(ours: Heads, theirs: Heads) -> bool:
    """Whether both count the same classes alike; the name of an only head is left to either."""
    if len(ours) == len(theirs) == 1:
        return [list(classes) for classes in ours.values()] == [list(classes) for classes in theirs.values()]
    return [(head, list(names)) for head, names in ours.items()] == [
        (head, list(names)) for head, names in theirs.items()
    ]


def describe_difference(found: Heads, wanted: Heads, *, complete: bool) -> str | None:
    """Says which names of `found` are not in `wanted`, or with `complete` which are missing; None where all fit."""
    if len(found) != len(wanted) or (len(wanted) > 1 and found.keys() != wanted.keys()):
        return f"labels {_few(found)} where {_few(wanted)} were expected"
    for classes, names in _pairs(found, wanted):
        if unknown := [name for name in classes if name not in names]:
            return f"classes {_few(classes)} where {_few(names)} were expected (not known: {_few(unknown)})"
        if complete and (missing := [name for name in names if name not in classes]):
            return f"classes {_few(classes)} where {_few(names)} were expected (missing: {_few(missing)})"
    return None


def recounted(targets: NDArray[np.int64], found: Heads, wanted: Heads) -> NDArray[np.int64]:
    """Targets that count classes as `wanted`, of targets that count them as `found`.

    Args:
        targets: (clip,) or (clip, head); -1, unknown, stays.
        found: Head -> name of each index.
        wanted: The same names, or more, in another order of heads and classes.
    """
    columns = targets.reshape(len(targets), -1)
    order = [0] if len(found) == 1 else [list(found).index(head) for head in wanted]
    counted = [
        np.array([*(names.index(name) for name in classes), -1])[columns[:, column]]  # -1 is the last
        for column, (classes, names) in zip(order, _pairs(found, wanted), strict=True)
    ]
    return np.stack(counted, axis=1).reshape(targets.shape)


def _pairs(found: Heads, wanted: Heads) -> list[tuple[list[str], list[str]]]:
    """Classes of either side, head by head in the order of `wanted`."""
    if len(found) == len(wanted) == 1:
        return [(list(*found.values()), list(*wanted.values()))]
    return [(list(found[head]), list(names)) for head, names in wanted.items()]


def _few(names: Mapping[str, object] | Sequence[str]) -> str:
    shown = ", ".join(list(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
