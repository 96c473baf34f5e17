"""Key and score files of spoofing-robust speaker verification, track 2 of ASVspoof 5: tables with a header."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightning_modules.metrics.asvspoof_protocols import Layout, Protocol
from lightning_modules.metrics.breakdown import Factor
from lightning_modules.metrics.cm_scores import check_cover
from lightning_modules.metrics.functional import TrialKind
from lightning_modules.metrics.text_columns import as_numbers, check_unique, fail, first_fields, read_columns
from lightning_modules.metrics.trial_files import TrialFile

SCORES = ("cm-score", "asv-score", "sasv-score")
_NAMES = {"tar_spk_anon": "spk", "trial_anon": "filename", "attack_anon": "attack"}
_NAMES |= {"cm_label": "cm-label", "asv_label": "asv-label"}
_KEY_COLUMNS = ("spk", "filename", "cm-label", "asv-label")
_ROWS, _ACROSS = (Factor("attack", "spoof"),), (Factor("codec"),)
_TAG, _DUMMY = "track_2_tag", "dummy"  # trials of the full key table that count in track 1 only


@dataclass(frozen=True, slots=True)
class SasvKey:
    """Trials of a partition.

    Attributes:
        protocol: Their keys ``spk filename`` and what results are grouped by.
        kinds: `TrialKind` of each, int64 (trials,).
    """

    protocol: Protocol
    kinds: Tensor

    @property
    def chosen_kinds(self) -> Tensor:
        """Kinds of the trials that count, `protocol.chosen`."""
        return self.kinds[torch.from_numpy(self.protocol.chosen)]


def is_sasv_key(path: str | Path) -> bool:
    """Whether a protocol labels trials of speaker verification: its header names ``asv-label``.

    Raises:
        ValueError: The file is missing, empty or not UTF-8 text.
    """
    return "asv-label" in _header(Path(path))


def read_sasv_key(path: str | Path) -> SasvKey:
    """Reads the key of track 2, ``spk filename cm-label asv-label`` with a header that names them.

    Columns ``attack`` and ``codec`` are what results are broken down by; of the full table of keys, trials that
    ``track_2_tag`` calls dummies do not count. The names with ``_anon`` and ``_label`` of that table are understood.

    Raises:
        ValueError: A column is missing, a label is unknown or contradicts the other, or a trial comes twice.
    """
    path = Path(path)
    header = _header(path)
    _check_named(path, header, _KEY_COLUMNS)
    more = [name for name in ("attack", "codec", _TAG) if name in header]
    wanted = [header.index(name) for name in (*_KEY_COLUMNS, *more)]
    speakers, files, cm_labels, asv_labels, *texts = read_columns(
        path, wanted, width=len(header), skip_header=True
    )
    known = {kind.name.lower(): kind for kind in TrialKind}
    for label in set(asv_labels) - set(known):
        fail(path, asv_labels.index(label) + 1, f"asv-label {label!r} is neither {_listed(known)}")
    kinds = torch.tensor([known[label] for label in asv_labels])
    expected = ["spoof" if label == "spoof" else "bonafide" for label in asv_labels]
    if cm_labels != expected:
        pairs = zip(cm_labels, expected, strict=True)
        row = next(row for row, (found, other) in enumerate(pairs) if found != other)
        fail(
            path,
            row + 1,
            f"cm-label {cm_labels[row]!r} beside asv-label {asv_labels[row]!r}, expected {expected[row]!r}",
        )
    keys = _keys(speakers, files)
    check_unique(path, keys, first_row=1)
    columns = {name: np.array(column) for name, column in zip(more, texts, strict=True)}
    chosen = columns.pop(_TAG) != _DUMMY if _TAG in columns else np.ones(len(keys), bool)
    layout = Layout("ASVspoof 5, track 2", tuple(header), _ROWS, _ACROSS)
    protocol = Protocol(path, layout, keys, (kinds != TrialKind.SPOOF).numpy(), columns, chosen)
    return SasvKey(protocol, kinds)


def read_sasv_scores(path: str | Path, key: SasvKey) -> Mapping[str, Tensor]:
    """Reads scores of track 2, ``spk filename cm-score asv-score sasv-score`` with a header that names them.

    Args:
        path: Lines in any order. A system that is not made of two has ``-`` in the columns of both, or lacks them.
        key: What the file must cover.

    Returns:
        Each of `SCORES` that the file has -> float64 (trials of `protocol.chosen`,), in the key's order.

    Raises:
        ValueError: There is no score, one is not a finite number, or a trial is missing, double or unknown.
    """
    path = Path(path)
    header = _header(path)
    _check_named(path, header, ("spk", "filename"))
    names = [name for name in SCORES if name in header]
    wanted = [header.index(name) for name in ("spk", "filename", *names)]
    speakers, files, *texts = read_columns(path, wanted, width=len(header), skip_header=True)
    keys = _keys(speakers, files)
    check_unique(path, keys, first_row=1)
    row_of = {key: row for row, key in enumerate(keys)}
    rows = np.array([row_of.get(key, -1) for key in key.protocol.keys])
    check_cover(TrialFile(path=path, names=[keys], first_row=1), keys, rows, key.protocol)
    given = {name: column for name, column in zip(names, texts, strict=True) if set(column) != {"-"}}
    if not given:
        raise ValueError(f"{path}: no score stands in it; its header must name one of {', '.join(SCORES)}")
    scores = {name: as_numbers(path, column, keys, first_row=1) for name, column in given.items()}
    return {name: torch.from_numpy(column[rows[key.protocol.chosen]]) for name, column in scores.items()}


def _header(path: Path) -> list[str]:
    return [_NAMES.get(name, name) for name in first_fields(path)]


def _check_named(path: Path, header: list[str], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(
            f"{path}:1: the header {' '.join(header)!r} names no column {missing[0]!r}; track 2 needs "
            f"{' '.join(names)}"
        )


def _keys(speakers: list[str], files: list[str]) -> list[str]:
    return [f"{speaker} {file}" for speaker, file in zip(speakers, files, strict=True)]


def _listed(names: Mapping[str, TrialKind]) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} nor {last}"
