"""Protocols and keys: the labels of trials, and what results are broken down by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.breakdown import Factor
from lightning_modules.metrics.text_columns import (
    check_unique,
    fail,
    first_fields,
    first_line,
    read_columns,
    separator_of,
)
from lightning_modules.metrics.trial_files import TrialFile, has_header, read_trial_file
from lightning_modules.metrics.trial_labels import is_bonafide, unknown_label

SUBSETS = ("eval", "progress", "hidden", "hidden1_PA", "hidden2_PA", "all")
MAX_SPEAKERS = 20  # by which results are broken down
_PA_TRIM = {"hidden1_PA": "notrim", "hidden2_PA": "trim"}


@dataclass(frozen=True, slots=True)
class Layout:
    """One edition's protocol: its columns and the factors that its organisers break results down by."""

    edition: str
    columns: tuple[str, ...]
    rows: tuple[Factor, ...]
    across: tuple[Factor, ...] = ()
    revision: int = 2021

    @property
    def groups(self) -> list[str]:
        """Columns that scoring needs beside utterance and label."""
        used = [factor.column for factor in (*self.rows, *self.across)] + ["trim", "subset"]
        return [name for name in dict.fromkeys(used) if name in self.columns]


_ATTACK, _CODEC = Factor("attack", "spoof"), Factor("codec")
_ASV, _REPLAY = ("asv_room", "asv_mic"), ("att_room", "att_mic")
_PA_ROWS = (*map(Factor, _ASV), Factor("dis_to_asv", "bonafide"))
_PA_ACROSS = (
    *(Factor(name, "spoof") for name in (*_REPLAY, "att_to_spk", "att_d")),
    Factor("dis_to_asv", "spoof", label="dis_to_asv (spoof)"),
)
_TRIAL, _KEY, _PHASE = ("speaker", "utterance"), ("attack", "label"), ("trim", "subset")
_LAYOUTS = (
    Layout(
        "ASVspoof 2019", (*_TRIAL, "environment", *_KEY), (_ATTACK,), (Factor("environment"),), revision=2019
    ),
    Layout("ASVspoof 5", (*_TRIAL, "gender", "-", *_KEY), (_ATTACK,)),
    Layout("ASVspoof 2021 LA", (*_TRIAL, "codec", "trans", *_KEY, *_PHASE), (_ATTACK,), (_CODEC,)),
    Layout(
        "ASVspoof 5",
        (*_TRIAL, "gender", "codec", "codec_q", "codec_seed", "attack_tag", *_KEY, "-"),
        (_ATTACK,),
        (_CODEC,),
    ),
    Layout(
        "ASVspoof 2021 PA",
        (*_TRIAL, *_ASV, "dis_to_asv", *_REPLAY, "att_d", "att_to_spk", "label", *_PHASE),
        _PA_ROWS,
        _PA_ACROSS,
    ),
    Layout(
        "ASVspoof 2021 DF",
        (*_TRIAL, "compr", "source", *_KEY, *_PHASE, "vocoder", "task", "team", "gender-pair", "language"),
        (Factor("vocoder", "spoof"),),
        (Factor("compr"),),
    ),
)
_LAYOUT_OF_WIDTH = {len(layout.columns): layout for layout in _LAYOUTS}
EDITIONS = frozenset(layout.edition for layout in _LAYOUTS)
_OF_TABLES = (_ATTACK, Factor("language"), Factor("corpus"), Factor("speaker"))


@dataclass(frozen=True, slots=True)
class Protocol:
    """Keys and labels of a partition.

    Attributes:
        path: Its file.
        layout: Columns and factors.
        keys: Utterance ids, in the file's order.
        is_bonafide: bool (trials,).
        columns: What results are grouped by, name -> str (trials,).
        chosen: bool (trials,), the trials of the subset under evaluation.
        other_names: Columns that may name the trials as well.
        taken: What was taken for what; "" of the usual layouts.
    """

    path: Path
    layout: Layout
    keys: list[str]
    is_bonafide: NDArray[np.bool_]
    columns: Mapping[str, NDArray[np.str_]]
    chosen: NDArray[np.bool_]
    other_names: Sequence[list[str]] = ()
    taken: str = ""


def read_protocol(path: str | Path, *, subset: str | None = None, bonafide: str | None = None) -> Protocol:
    """Reads a protocol or key; the edition of ASVspoof shows in the number of columns.

    Args:
        path: 2019 ``SPEAKER UTT ENVIRONMENT SYSTEM KEY``; 2021 ``trial_metadata.txt``; ASVspoof 5 ``.tsv`` of
            six or ten columns; or a list of another corpus as `read_trial_file` understands it.
        subset: One of `SUBSETS` (2021 only, where None means eval).
        bonafide: The word that its labels have for bona fide, where it is none of the usual.

    Raises:
        ValueError: Unknown layout, unknown label, duplicate utterance, subset that the file does not have.
    """
    path = Path(path)
    if _is_table(path):
        return protocol_of(read_trial_file(path, bonafide=bonafide), subset=subset)
    layout = find_layout(path)
    names = ["utterance", "label", *layout.groups]
    wanted = [layout.columns.index(name) for name in names]
    keys, labels, *texts = read_columns(path, wanted, width=len(layout.columns))
    wrong = unknown_label(labels, bonafide)
    if wrong is not None:
        row = labels.index(wrong)
        fail(path, row, f"label {wrong!r} of {keys[row]} is neither 'bonafide' nor 'spoof'")
    check_unique(path, keys)
    columns = {name: np.array(column) for name, column in zip(names[2:], texts, strict=True)}
    chosen = members_of(path, columns, len(keys), subset)
    return Protocol(path, layout, keys, is_bonafide(labels, bonafide), columns, chosen)


def protocol_of(file: TrialFile, *, subset: str | None = None) -> Protocol:
    """The labels that a list of trials carries itself.

    Raises:
        ValueError: It has none, or as in `read_protocol`.
    """
    if file.labels is None:
        raise ValueError(
            f"{file.path}: no labels in it; expected columns such as file_name,label, or the key of an ASVspoof edition"
        )
    keys = file.keys()
    columns = {name: np.where(column == "", "unknown", column) for name, column in file.columns.items()}
    if "speaker" in columns and len(np.unique(columns["speaker"])) > MAX_SPEAKERS:
        del columns["speaker"]
    layout = Layout(file.path.name, tuple(columns), _OF_TABLES, (_CODEC,))
    chosen = members_of(file.path, columns, len(keys), subset)
    others = [names for names in file.names if names is not keys]
    return Protocol(file.path, layout, keys, file.is_bonafide(), columns, chosen, others, file.taken)


def _is_table(path: Path) -> bool:
    """Whether a key has columns with names, or is no list of ASVspoof's."""
    if path.is_dir():
        return True
    line = first_line(path)
    return separator_of(line) is not None or len(line.split()) < 4 or has_header(line)


def find_layout(path: Path) -> Layout:
    """Finds the layout of a protocol of ASVspoof by its number of columns."""
    fields = first_fields(path)
    if len(fields) not in _LAYOUT_OF_WIDTH:
        known = ", ".join(f"{width} ({each.edition})" for width, each in sorted(_LAYOUT_OF_WIDTH.items()))
        raise ValueError(
            f"{path}:1: {len(fields)} columns fit no ASVspoof protocol; expected {known}, or a header with "
            "'filename' and 'cm-label'"
        )
    return _LAYOUT_OF_WIDTH[len(fields)]


def members_of(
    path: Path, columns: Mapping[str, NDArray[np.str_]], num_trials: int, subset: str | None
) -> NDArray[np.bool_]:
    """Trials of a 2021 subset, bool (trials,); all trials of another edition's file."""
    if subset == "all":
        return np.ones(num_trials, bool)
    if "subset" not in columns:
        if subset is not None:
            raise ValueError(
                f"{path}: has no subsets, which only ASVspoof 2021 keys have; drop --subset {subset}"
            )
        return np.ones(num_trials, bool)
    subset = subset or "eval"
    chosen = columns["subset"] == ("hidden" if subset in _PA_TRIM else subset)
    if subset in _PA_TRIM:
        chosen &= columns["trim"] == _PA_TRIM[subset]
    if not chosen.any():
        raise ValueError(
            f"{path}: no trial of subset {subset!r}; found {', '.join(np.unique(columns['subset']))}"
        )
    return chosen
