"""Rows of evaluations.csv as detectors, seeds, corpora and conditions."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FILES = "evaluations"
TABLE = "evaluations.csv"
CLEAN = "clean"


class Detector(NamedTuple):
    """A row of the matrix: one recipe, whatever its seed.

    Attributes:
        trained_on: Names of corpora.
        method: Experiment, and what tells apart those of the same name.
        resources: ``open`` with a pretrained encoder, else ``closed``; empty where older versions did not say it.
    """

    trained_on: str
    method: str
    resources: str


class Column(NamedTuple):
    """Trials that everybody was scored on.

    Attributes:
        corpus: As the table calls it.
        split: ``test`` or ``validation``.
        data_hash: Of the trials, empty unless others have the same name.
    """

    corpus: str
    split: str
    data_hash: str = ""

    def __str__(self) -> str:
        marks = [self.split] * (self.split != "test") + [self.data_hash[:4]] * bool(self.data_hash)
        return f"{self.corpus} ({', '.join(marks)})" if marks else self.corpus


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One row.

    Attributes:
        detector: What was scored.
        seed: Of its training.
        checkpoint: Its path.
        column: On which trials.
        condition: What these went through before.
        public: Name of the corpus that all call so; ``data_set`` of others.
        clips: Number of trials.
        trials: Their table.
    """

    detector: Detector
    seed: str
    checkpoint: str
    column: Column
    condition: str
    public: tuple[str, str]
    clips: int
    trials: Path


class Evaluations(NamedTuple):
    """What a table holds.

    Attributes:
        rows: One of each detector, seed, column and condition.
        remarks: What the reader of a table of them must know.
    """

    rows: Sequence[Evaluated]
    remarks: Sequence[str]


def is_table(path: str | Path) -> bool:
    """Whether a path names a table of evaluations, or a folder that has one."""
    return Path(path).suffix == ".csv" or (Path(path) / TABLE).is_file()


def read_evaluations(path: Path, checkpoints: Iterable[str] | None = None) -> Evaluations:
    """Reads a table, or the rows of some checkpoints by their hashes.

    Raises:
        ValueError: There is no such table, or it is none of `evaluate`'s.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file: lightning_modules.evaluate writes it")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        raw = list(reader)
        if missing := [
            name for name in ("corpus", "split", "seed", "data_hash") if name not in (reader.fieldnames or ())
        ]:
            raise ValueError(
                f"{path}:1: no column {missing[0]!r}: this is no evaluations.csv of lightning_modules.evaluate"
            )
    if checkpoints is not None:
        wanted = set(checkpoints)
        raw = [row for row in raw if row.get("checkpoint_hash") in wanted]
    scored = [row for row in raw if row.get("trials")]
    remarks = list(_left_out(raw))
    labels = _labels(scored)
    lists = _lists(scored)
    found: dict[tuple[object, ...], Evaluated] = {}
    again: Counter[str] = Counter()
    for row in scored:
        name = row["corpus"], row["split"]
        each = Evaluated(
            detector=labels[_recipe(row)],
            seed=row["seed"],
            checkpoint=row.get("checkpoint", ""),
            column=Column(*name, row["data_hash"] if len(lists[name]) > 1 else ""),
            condition=row.get("condition") or CLEAN,
            public=(row.get("public") or row["corpus"], row.get("data_set") or ""),
            clips=int(row.get("clips") or 0),
            trials=_beside(path, row["trials"]),
        )
        key = each.detector, each.seed, each.column, each.condition
        again[f"{each.detector.method}, seed {each.seed}"] += key in found
        found[key] = each
    remarks += [
        f"{who}: {count} evaluations were made again, with other weights, settings or as another run; the last of each"
        " counts"
        for who, count in again.items()
        if count
    ]
    for name, each in lists.items():
        if len(each) > 1:
            clips = " and ".join(f"{count} in list {data_hash[:4]}" for data_hash, count in each.items())
            remarks.append(
                f"{Column(*name)}: different clips, {clips}: columns of their own, and nothing is averaged over both"
            )
    return Evaluations(list(found.values()), remarks)


def _left_out(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if count := sum(not row.get("trials") for row in rows):
        yield (
            f"{count} of {len(rows)} rows have no table of trials, as of other tasks and older versions, and are left"
            " out; where a row is removed, lightning_modules.evaluate makes it again"
        )


def _recipe(row: Mapping[str, str]) -> tuple[str, ...]:
    """What rows that differ in nothing but the seed have in common."""
    kind = re.split("[=.]", Path(row.get("checkpoint") or "").name)[0]
    return row.get("trained_on", ""), row.get("experiment", ""), row.get("recipe") or row.get("run", ""), kind


def _labels(rows: Sequence[Mapping[str, str]]) -> dict[tuple[str, ...], Detector]:
    """Names of detectors: the experiment, and where that is not enough, a run of it and which checkpoint."""
    first = {_recipe(row): row for row in reversed(rows)}
    recipes = {key: {other[2] for other in first if other[:2] == key[:2]} for key in first}
    kinds = {key: {other[3] for other in first if other[:3] == key[:3]} for key in first}
    labels = {}
    for key in dict.fromkeys(map(_recipe, rows)):
        trained_on, experiment, _, kind = key
        run = f"/{first[key].get('run', '')}" if len(recipes[key]) > 1 else ""
        which = f" {kind}" if len(kinds[key]) > 1 else ""
        labels[key] = Detector(
            trained_on or "unknown", f"{experiment}{run}{which}", first[key].get("resources") or ""
        )
    return labels


def _lists(rows: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], dict[str, str]]:
    """(corpus, split) -> hash of its trials -> their number."""
    lists: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        lists.setdefault((row["corpus"], row["split"]), {})[row["data_hash"]] = row.get("clips", "?")
    return lists


def _beside(table: Path, path: str) -> Path:
    """A file below the folder of the table, wherever that was moved; see `commands.evaluations`."""
    parts = Path(path).parts
    return table.parent.joinpath(*parts[-6:]) if parts[-6:-5] == (FILES,) else Path(path)
