"""Protocols and keys of the ASVspoof challenges, as far as scoring needs them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.breakdown import Factor
from lightning_modules.metrics.text_columns import check_unique, fail, first_fields, read_columns

SUBSETS = ("eval", "progress", "hidden", "hidden1_PA", "hidden2_PA")
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
_HEADER_NAMES = {
    "filename": "utterance",
    "trial_anon": "utterance",
    "cm-label": "label",
    "attack_anon": "attack",
}


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
    """

    path: Path
    layout: Layout
    keys: list[str]
    is_bonafide: NDArray[np.bool_]
    columns: Mapping[str, NDArray[np.str_]]
    chosen: NDArray[np.bool_]


def read_protocol(path: str | Path, *, subset: str | None = None) -> Protocol:
    """Reads the protocol or key file of ASVspoof 2019, 2021 or 5; the edition shows in the number of columns.

    Args:
        path: 2019 ``SPEAKER UTT ENVIRONMENT SYSTEM KEY``; 2021 ``trial_metadata.txt``; ASVspoof 5 ``.tsv`` of
            six or ten columns, or a key table with the header ``filename cm-label``.
        subset: One of `SUBSETS` (2021 only, where None means eval).

    Raises:
        ValueError: Unknown layout, unknown label, duplicate utterance, subset that the file does not have.
    """
    path = Path(path)
    layout, has_header = find_layout(path)
    names = ["utterance", "label", *layout.groups]
    wanted = [layout.columns.index(name) for name in names]
    keys, labels, *texts = read_columns(path, wanted, width=len(layout.columns), skip_header=has_header)
    for label in set(labels) - {"bonafide", "spoof"}:
        row = labels.index(label)
        fail(path, row + has_header, f"label {label!r} of {keys[row]} is neither 'bonafide' nor 'spoof'")
    check_unique(path, keys, first_row=has_header)
    columns = {name: np.array(column) for name, column in zip(names[2:], texts, strict=True)}
    chosen = members_of(path, columns, len(keys), subset)
    return Protocol(path, layout, keys, np.array(labels) == "bonafide", columns, chosen)


def find_layout(path: Path) -> tuple[Layout, bool]:
    """Finds the layout of a protocol by its header or by its number of columns."""
    fields = first_fields(path)
    if "cm-label" in fields:
        columns = tuple(_HEADER_NAMES.get(name, name) for name in fields)
        if "utterance" not in columns:
            raise ValueError(f"{path}:1: the header {' '.join(fields)!r} names no column 'filename'")
        return Layout("ASVspoof 5", columns, (_ATTACK,), (_CODEC,)), True
    if len(fields) not in _LAYOUT_OF_WIDTH:
        known = ", ".join(f"{width} ({each.edition})" for width, each in sorted(_LAYOUT_OF_WIDTH.items()))
        raise ValueError(
            f"{path}:1: {len(fields)} columns fit no ASVspoof protocol; expected {known}, or a header with "
            "'filename' and 'cm-label'"
        )
    return _LAYOUT_OF_WIDTH[len(fields)], False


def members_of(
    path: Path, columns: Mapping[str, NDArray[np.str_]], num_trials: int, subset: str | None
) -> NDArray[np.bool_]:
    """Trials of a 2021 subset, bool (trials,); all trials of another edition's file."""
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
