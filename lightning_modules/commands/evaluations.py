"""Pairs of a checkpoint and a corpus: each scored once, a row in one table for all of them."""

import csv
import difflib
import hashlib
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_info

from datamodules.config.errors import cause
from datamodules.config.shipped import config_path
from lightning_modules.base import Split
from lightning_modules.config import cli
from lightning_modules.run.checkpoints import carried_config, read_checkpoint
from lightning_modules.run.folder import Run, checkpoint_of
from lightning_modules.run.recipe import Recipe, recipe_of
from lightning_modules.run.results import put_row, trials_path

TABLE, FILES = "evaluations.csv", "evaluations"
CLEAN = "clean"
_SPEECH_CORPORA = "SpeechCorpora"
SAME = ("checkpoint_hash", "corpus", "split", "data_hash", "settings")
Score = Callable[[cli.Platform, Split, Path], Mapping[str, Any] | None]
_STAGES = {"test": "test", "validation": "validate"}
# One process: what starts others would start the whole command in each. Under srun or torchrun overrides may say more.
_PLACE = ("--trainer.devices=1", "--trainer.num_nodes=1", "--tracking.wandb=disabled")


class Corpus(NamedTuple):
    """Data to score.

    Attributes:
        name: In the table, and of a folder.
        config: What goes on top of a checkpoint's configuration.
        public: Name and folder of a public corpus. Without either it is one that the checkpoint's own data know by this
            name, or these data as they are.
    """

    name: str
    config: Path | None = None
    public: tuple[str, Path] | None = None


def read_corpora(words: Sequence[str]) -> list[Corpus]:
    """Reads ``NAME=CONFIG``, ``NAME=FOLDER``, ``ALIAS=NAME:FOLDER`` or ``NAME``.

    Raises:
        ValueError: A name is no folder name, comes twice or is no corpus's, or a folder is missing.
        FileNotFoundError: There is no such file.
    """
    corpora = []
    for word in words:
        name, equals, place = word.partition("=")
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(
                f"--on {word}: give NAME=CONFIG, NAME=FOLDER or ALIAS=NAME:FOLDER, the name of letters, digits,"
                " '_', '-' and '.'"
            )
        if name in [corpus.name for corpus in corpora]:
            raise ValueError(f"--on {word}: {name} comes twice; each corpus has a name of its own")
        corpora.append(_placed(word, name, place) if equals else Corpus(name))
    return corpora


def _placed(word: str, name: str, place: str) -> Corpus:
    called, colon, folder = place.partition(":")
    is_alias = bool(colon) and called.isidentifier() and len(called) > 1  # no drive of Windows
    if not (folder if is_alias else place):
        raise ValueError(
            f"--on {word}: nothing stands behind its end: name the folder, or leave {word[-1]} out"
        )
    if is_alias:
        return Corpus(name, public=_public(word, called, folder))
    path = Path(place).expanduser()
    if path.is_dir() or not (path.suffix or path.exists()):
        return Corpus(name, public=_public(word, name, place))
    return Corpus(name, config=config_path(place))


def _public(word: str, name: str, folder: str) -> tuple[str, Path]:
    from datamodules.ssd.corpora import CORPORA, LISTS  # and with it torch

    known = [*CORPORA, *LISTS]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ValueError(
            f"--on {word}: no corpus is called {name}"
            + (f"; did you mean {near[0]}?" if near else ".")
            + f" Known are {', '.join(known)}; ALIAS=NAME:FOLDER gives one another name"
        )
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ValueError(f"--on {word}: no such folder: name the one that {name} is unpacked in")
    return name, path


def require_conditions(conditions: Iterable[str]) -> None:
    """Refuses what no clip can go through, as far as that is known without folders of noise and rooms.

    Raises:
        ValueError: As `Chain.of_condition`.
    """
    from datamodules.degradation.chain import Chain

    for condition in conditions:
        steps = [] if condition == CLEAN else condition.split("+")
        if known := [step for step in steps if not re.match(r"room|snr[-\d.]+_", step)]:
            Chain.of_condition("+".join(known))


def require_corpus(name: str, corpora: Sequence[Corpus], output: str | Path) -> None:
    """Refuses the name of a corpus that is neither to be scored nor in the table.

    Raises:
        ValueError: With those that are.
    """
    known = {corpus.name for corpus in corpora} | {row["corpus"] for row in read_rows(Path(output) / TABLE)}
    if name.partition(" (")[0] not in known:  # which a split may stand behind
        raise ValueError(
            f"--threshold-from {name}: no corpus is called so: name one of {', '.join(sorted(known))}"
        )


class Outcome(NamedTuple):
    """What became of all pairs.

    Attributes:
        failed: How many failed.
        checkpoints: Hashes of those that were scored, now or before.
    """

    failed: int
    checkpoints: set[str]


def evaluate_pairs(
    sources: Sequence[str],
    corpora: Sequence[Corpus],
    splits: Sequence[Split],
    overrides: Sequence[str] = (),
    *,
    score: Score,
    conditions: Sequence[str] = (),
    output: str | Path = ".",
) -> Outcome:
    """Scores each checkpoint on each split of each corpus; what fails is told in one line, and the others go on.

    Args:
        sources: Checkpoints, or folders of runs.
        corpora: What to score.
        splits: Of each corpus.
        overrides: Of the configuration, as on a command line.
        score: `workflow.evaluate`.
        conditions: Of `data.condition`, one after the other, or `CLEAN`; without any that of the configuration.
        output: Folder of the table, and of the files below ``evaluations/<corpus>/<experiment>/``.
    """
    table = Path(output) / TABLE
    before, failed, checkpoints = read_rows(table), 0, set()
    for source, corpus, split, condition in itertools.product(sources, corpora, splits, conditions or [None]):
        try:
            checkpoints.add(_evaluate(source, corpus, split, condition, overrides, table, before, score))
        except Exception as error:  # whatever ends one pair must not end the others
            if os.environ.get("TRACEBACK"):
                raise
            failed += 1
            under = "" if condition is None else f", {condition}"
            sys.stderr.write(f"error: {source} on {corpus.name}, {split}{under}: {cause(error)}\n")
    rank_zero_info(
        f"{table}: {len(read_rows(table))} rows" + (f"; {failed} evaluations failed" if failed else "")
    )
    return Outcome(failed, checkpoints)


def _evaluate(
    source: str,
    corpus: Corpus,
    split: Split,
    condition: str | None,
    overrides: Sequence[str],
    table: Path,
    before: Sequence[Mapping[str, str]],
    score: Score,
) -> str:
    """Scores a pair that is not finished, and returns the hash of the checkpoint."""
    if (Path(source) / "package.json").is_file():
        raise ValueError("a package scores files alone: name the checkpoint that it was exported from")
    checkpoint = checkpoint_of(source)
    content = _content_hash(checkpoint)
    own = _own_config(checkpoint)
    words = [f"--ckpt_path={checkpoint}", *_overlay(corpus, split, own), *_PLACE, *overrides]
    if condition is not None:
        words.append(f"--data.condition={'null' if condition == CLEAN else condition}")
    platform = cli.build("evaluate", "", words, exits=False)
    run = platform.run_folder
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
    heard = condition or (platform.config.data.get("init_args") or {}).get("condition") or CLEAN
    if any(all(row.get(name) == known[name] for name in SAME) for row in before):
        rank_zero_info(f"{source} on {corpus.name}, {split}, {heard}: finished before, not scored again")
        return content
    found = score(platform, split, checkpoint)
    if found is not None:
        recipe = recipe_of(own) if own else Recipe("", "", "")  # which nothing says
        origin = {
            "experiment": run.experiment,
            "run": run.id,
            "seed": found["seed"],
            "checkpoint": str(checkpoint),
            "trained_on": recipe.trained_on,
            "resources": recipe.resources,
            "recipe": recipe.digest,
        }
        folder = platform.run_folder.folder
        files = {"scores": str(_written(folder / "scores", found["files"]))}
        if (trials := trials_path(folder / "tables", found["files"])).is_file():
            files["trials"] = str(trials)
        public = {"public": _public_name(corpus, own), "condition": heard}
        rest = {name: value for name, value in found.items() if name not in (*origin, "files")}
        put_row(
            table,
            {**origin, "corpus": corpus.name, **public, **rest, "checkpoint_hash": content, **files},
            same=SAME,
        )
    return content


def _own_config(checkpoint: Path) -> Mapping[str, Any] | None:
    return carried_config(read_checkpoint(checkpoint))


def _overlay(corpus: Corpus, split: Split, own: Mapping[str, Any] | None) -> list[str]:
    """Words that put a corpus in the place of the checkpoint's own data, of which crops and padding stay."""
    if corpus.config is not None:
        return [f"--config={corpus.config}"]
    places = _own_corpora(own)
    if corpus.public is None:
        if corpus.name in places:
            return [f"--data.{split}={json.dumps([corpus.name])}"]
        _require_a_name_of_ones_own(corpus.name, places)
        return []
    name, folder = corpus.public
    place = str(folder) if name == corpus.name else {"corpus": name, "root": str(folder)}
    words = [f"--data={_SPEECH_CORPORA}", f"--data.corpora={json.dumps({**places, corpus.name: place})}"]
    if not places:  # nor corpora of training that could share speech with it
        words += ["--data.train=[]", "--data.validation=[]", "--data.test=[]"]
    return [*words, f"--data.{split}={json.dumps([corpus.name])}"]


def _require_a_name_of_ones_own(name: str, places: Iterable[str]) -> None:
    """Refuses to call the checkpoint's own data as a corpus is called, or nearly so: they would stand for it."""
    from datamodules.ssd.corpora import CORPORA

    close = partial(difflib.get_close_matches, name, n=1, cutoff=0.8)
    if near := close(list(places)):
        raise ValueError(
            f"--on {name}: did you mean {near[0]}? All of the checkpoint's own data take another name"
        )
    if near := close(list(CORPORA)):
        raise ValueError(
            f"--on {name}: the checkpoint's own data have no such corpus: {near[0]}=FOLDER says where it lies; to score"
            " all of them give another name"
        )


def _own_corpora(own: Mapping[str, Any] | None) -> dict[str, Any]:
    """Name -> place of the public corpora that the checkpoint's own data name."""
    data = (own or {}).get("data") or {}
    if data.get("class_path", "").rpartition(".")[2] != _SPEECH_CORPORA:
        return {}
    known = (data.get("init_args") or {}).get("corpora")
    return dict(known) if isinstance(known, Mapping) else dict.fromkeys(known or ())


def _public_name(corpus: Corpus, own: Mapping[str, Any] | None) -> str:
    """What a public corpus is called by all; of others the name in the table."""
    if corpus.public is not None:
        return corpus.public[0]
    place = _own_corpora(own).get(corpus.name)
    return place["corpus"] if isinstance(place, Mapping) else corpus.name


def _written(folder: Path, name: str) -> Path:
    """The score file of an evaluation, or its folder: the data set decides the suffix."""
    return next(path for path in sorted(folder.iterdir()) if name in (path.name, path.stem))


def read_rows(table: Path) -> list[dict[str, str]]:
    """Rows of the table; none where there is no table yet."""
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
