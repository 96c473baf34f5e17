"""Reads tables/<split>_clips.csv of runs: at which rank each clip's true class came."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class _Clips:
    path: Path
    ranks: dict[str, int]  # key -> rank, 0 where the class is unknown
    targets: dict[str, tuple[str, ...]]


def read_ranks(
    folders: Sequence[str | Path], *, split: str = "test", head: str | None = None
) -> NDArray[np.int64]:
    """Ranks of the true class in several runs on the same clips, without those of unknown class.

    Args:
        folders: Of the runs.
        split: Which was scored.
        head: Whose classes; None where the network has but one.

    Returns:
        int64 (run, clip), 1 = top; the clips in the order of the first run.

    Raises:
        ValueError: A table is missing or wrong, or runs differ in their clips or in what these are labelled.
    """
    runs = [_read(Path(folder) / "tables" / f"{split}_clips.csv", head) for folder in folders]
    for run in runs[1:]:
        _check_same(runs[0], run)
    ranks = np.array([[run.ranks[key] for key in runs[0].ranks] for run in runs], np.int64)
    return ranks[:, (ranks > 0).all(axis=0)]


def _read(path: Path, head: str | None) -> _Clips:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; score the run: lightning_modules.test --ckpt_path ...")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or [])
        column = _rank_column(path, columns, head)
        labels = [name for name in columns if name.endswith("_target")]
        clips = _Clips(path=path, ranks={}, targets={})
        for row in reader:
            where, key = f"{path}:{reader.line_num}", row["key"]
            if None in row.values():
                raise ValueError(f"{where}: the line of {key} is cut off; test the run again")
            if key in clips.ranks:
                raise ValueError(f"{where}: {key} comes a second time; keep one line for each clip")
            try:
                clips.ranks[key] = int(row[column] or 0)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{where}: {column} {row[column]!r} of {key}: expected a rank from 1"
                ) from None
            clips.targets[key] = tuple(row[name] for name in labels)
    return clips


def _rank_column(path: Path, columns: Sequence[str], head: str | None) -> str:
    heads = [name.removesuffix("_rank") for name in columns if name.endswith("_rank")]
    if "key" not in columns or not heads:
        raise ValueError(f"{path}: columns {', '.join(columns) or 'none'}: expected key and <head>_rank")
    if head is None and len(heads) > 1:
        raise ValueError(f"{path}: several heads: name one of {', '.join(heads)}")
    if head is not None and head not in heads:
        raise ValueError(f"{path}: no head {head}; it has {', '.join(heads)}")
    return f"{head or heads[0]}_rank"


def _check_same(first: _Clips, other: _Clips) -> None:
    if different := first.ranks.keys() ^ other.ranks.keys():
        key = min(different)
        owner = first if key in first.ranks else other
        raise ValueError(
            f"{first.path} has {len(first.ranks)} clips, {other.path} {len(other.ranks)}, and {key} is only in "
            f"{owner.path}: test both on the same clips"
        )
    for key, target in first.targets.items():
        if other.targets[key] != target:
            found = " and ".join(" ".join(each.targets[key]) for each in (first, other))
            raise ValueError(
                f"{first.path} and {other.path}: {key} is labelled {found}: use one set of labels"
            )
