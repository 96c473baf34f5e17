"""Pairs of a checkpoint and a corpus: each scored once, a row in one table for all of them."""

import csv
import hashlib
import itertools
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_info

from datamodules.config.errors import cause
from datamodules.config.shipped import config_path
from lightning_modules.base import Split
from lightning_modules.config import cli
from lightning_modules.run.folder import Run, checkpoint_of
from lightning_modules.run.results import put_row

TABLE, FILES = "evaluations.csv", "evaluations"
SAME = ("checkpoint_hash", "corpus", "split", "data_hash", "settings")
Score = Callable[[cli.Platform, Split, Path], Mapping[str, Any] | None]
_STAGES = {"test": "test", "validation": "validate"}
# One process: what starts others would start the whole command in each. Under srun or torchrun overrides may say more.
_PLACE = ("--trainer.devices=1", "--trainer.num_nodes=1", "--tracking.wandb=disabled")


class Corpus(NamedTuple):
    """Data to score.

    Attributes:
        name: In the table, and of a folder.
        config: What goes on top of a checkpoint's configuration; None is its own data.
    """

    name: str
    config: Path | None


def read_corpora(words: Sequence[str]) -> list[Corpus]:
    """Reads ``NAME=CONFIG`` or ``NAME``.

    Raises:
        ValueError: A name is no folder name, or comes twice.
        FileNotFoundError: There is no such file.
    """
    corpora = []
    for word in words:
        name, equals, config = word.partition("=")
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"--on {word}: give NAME=CONFIG, the name of letters, digits, '_', '-' and '.'")
        if name in [corpus.name for corpus in corpora]:
            raise ValueError(f"--on {word}: {name} comes twice; each corpus has a name of its own")
        corpora.append(Corpus(name, config_path(config) if equals else None))
    return corpora


def evaluate_pairs(
    sources: Sequence[str],
    corpora: Sequence[Corpus],
    splits: Sequence[Split],
    overrides: Sequence[str] = (),
    *,
    score: Score,
    output: str | Path = ".",
) -> int:
    """Scores each checkpoint on each split of each corpus; what fails is told in one line, and the others go on.

    Args:
        sources: Checkpoints, or folders of runs.
        corpora: What to score.
        splits: Of each corpus.
        overrides: Of the configuration, as on a command line.
        score: `workflow.evaluate`.
        output: Folder of the table, and of the files below ``evaluations/<corpus>/<experiment>/``.

    Returns:
        How many failed.
    """
    table = Path(output) / TABLE
    before, failed = _rows(table), 0
    for source, corpus, split in itertools.product(sources, corpora, splits):
        try:
            _evaluate(source, corpus, split, overrides, table, before, score)
        except Exception as error:  # whatever ends one pair must not end the others
            if os.environ.get("TRACEBACK"):
                raise
            failed += 1
            sys.stderr.write(f"error: {source} on {corpus.name}, {split}: {cause(error)}\n")
    rank_zero_info(
        f"{table}: {len(_rows(table))} rows" + (f"; {failed} evaluations failed" if failed else "")
    )
    return failed


def _evaluate(
    source: str,
    corpus: Corpus,
    split: Split,
    overrides: Sequence[str],
    table: Path,
    before: Sequence[Mapping[str, str]],
    score: Score,
) -> None:
    if (Path(source) / "package.json").is_file():
        raise ValueError("a package scores files alone: name the checkpoint that it was exported from")
    checkpoint = checkpoint_of(source)
    overlay = [f"--config={corpus.config}"] if corpus.config else []
    words = [f"--ckpt_path={checkpoint}", *overlay, *_PLACE, *overrides]
    platform = cli.build("evaluate", "", words, exits=False)
    content, run = _content_hash(checkpoint), platform.run_folder
    platform.run_folder = Run(
        experiment=run.experiment,
        id=f"{run.id}-{re.split('[=.]', checkpoint.stem)[0]}-{content[:6]}",
        root=str(table.parent / FILES / corpus.name),
    )
    data: Any = platform.datamodule
    data.prepare_data()
    data.setup(_STAGES[split])
    evaluation = platform.evaluations.of(split, data.rows[split])
    known = {
        "checkpoint_hash": content,
        "corpus": corpus.name,
        "split": split,
        "data_hash": evaluation.data_hash,
        "settings": evaluation.settings,
    }
    if any(all(row.get(name) == known[name] for name in SAME) for row in before):
        rank_zero_info(f"{source} on {corpus.name}, {split}: finished before, not scored again")
        return
    found = score(platform, split, checkpoint)
    if found is not None:
        origin = {
            "experiment": run.experiment,
            "run": run.id,
            "seed": found["seed"],
            "checkpoint": str(checkpoint),
        }
        files = {"scores": str(_written(platform.run_folder.folder / "scores", found["files"]))}
        rest = {name: value for name, value in found.items() if name not in (*origin, "files")}
        put_row(
            table, {**origin, "corpus": corpus.name, **rest, "checkpoint_hash": content, **files}, same=SAME
        )


def _written(folder: Path, name: str) -> Path:
    """The score file of an evaluation, or its folder: the data set decides the suffix."""
    return next(path for path in sorted(folder.iterdir()) if name in (path.name, path.stem))


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _content_hash(path: Path) -> str:
    """Of a file, so that weights are known again wherever they lie; the first 16 hexadecimal digits of its SHA-256."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except FileNotFoundError:
        raise ValueError(f"{path}: no such checkpoint") from None
