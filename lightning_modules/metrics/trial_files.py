"""Lists of trials as the field writes them: score files, keys, or both in one; their columns are found out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.text_columns import (
    as_numbers,
    fail,
    fields_of,
    first_line,
    first_repeated,
    read_columns,
    separator_of,
)
from lightning_modules.metrics.trial_labels import NUMBERS, WORDS, are_labels, is_bonafide, unknown_label

LAYOUTS = "'UTT SCORE', 'UTT LABEL SCORE', 'UTT SYSTEM KEY SCORE'"
_NAMES = ("key", "filename", "file_name", "trial_anon", "utterance", "utt", "utt_id", "utterance_id", "id")
_NAMES += ("trial", "trial_id", "file", "path", "file_path", "filepath", "audio", "wav", "name")
_LABELS = ("label", "cm-label", "cm_label", "class", "target", "ground_truth")
_SCORES = ("score", "cm-score", "cm_score", "scores", "llr", "prediction")
_GROUPS = {
    "attack": (
        "attack",
        "attack_anon",
        "attack_id",
        "system",
        "system_id",
        "model_name",
        "generator",
        "vocoder",
    ),
    "codec": ("codec", "compression", "compr"),
    "language": ("language", "lang"),
    "speaker": ("speaker", "spk", "speaker_id"),
    "corpus": ("corpus", "dataset"),
}
_OWN = ["key", "label", "score"]  # how tables/<name>_trials.csv of a run begin
_USUAL = ({"filename", "cm-score"}, {"filename", "cm-label"})
_LOG = "Output, "  # lines of the log that nii-yamagishilab's project-NN-Pytorch-scripts leave of a test
_SPOOFCELEB = re.compile(r"a\d\d")
_PAIR = re.compile(r"\[\s*(\S+?)\s*,\s*(\S+?)\s*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFile:
    """What a file says of its trials.

    Attributes:
        path: Where.
        names: Columns that may name the trials, the likeliest first.
        labels: Class of each, as it is written; None where the file has no labels.
        scores: float64 (trials,); None where it has none.
        columns: ``attack``, ``codec``, ``language``, ``speaker`` and ``corpus``, as far as the file has them.
        bonafide: The word of `labels` for bona fide, where it is none of the usual.
        taken: What was taken for what; "" of the usual layouts.
        first_row: 1 behind a header.
        prefix: What the lines of trials begin with.
    """

    path: Path
    names: list[list[str]]
    labels: list[str] | None = None
    scores: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    bonafide: str | None = None
    taken: str = ""
    first_row: int = 0
    prefix: str = ""

    def fail(self, row: int, problem: str) -> NoReturn:
        """Raises a ValueError about a trial's line."""
        if self.path.is_dir():
            raise ValueError(f"{self.path}: {problem}")
        fail(self.path, row + self.first_row, problem, prefix=self.prefix)

    def check_unique(self, keys: list[str]) -> None:
        """Raises a ValueError where a trial comes a second time."""
        row = first_repeated(keys)
        if row is not None:
            self.fail(row, f"{keys[row]} comes a second time; keep one line for each utterance")

    def keys(self) -> list[str]:
        """The first column that names every trial by another name.

        Raises:
            ValueError: There is none.
        """
        unique = next((names for names in self.names if len(set(names)) == len(names)), None)
        if unique is None:
            self.check_unique(self.names[0])
        return unique or self.names[0]

    def is_bonafide(self) -> NDArray[np.bool_]:
        """Labels (trials,).

        Raises:
            ValueError: There are none, or one says neither bona fide nor spoofed.
        """
        assert self.labels is not None
        wrong = unknown_label(self.labels, self.bonafide)
        if wrong is not None and self.bonafide is not None:
            raise ValueError(
                f"{self.path}: no trial has the label {self.bonafide!r} of --bonafide, but {wrong!r}"
            )
        if wrong is not None and set(self.labels) <= NUMBERS:
            raise ValueError(
                f"{self.path}: labels 0 and 1 do not say which is bona fide: give --bonafide 1, or --bonafide 0"
            )
        if wrong is not None:
            row = self.labels.index(wrong)
            self.fail(row, f"label {wrong!r} of {self.names[0][row]} is neither 'bonafide' nor 'spoof'")
        return is_bonafide(self.labels, self.bonafide)


def read_trial_file(path: str | Path, *, bonafide: str | None = None) -> TrialFile:
    """Reads a list of trials with scores, labels or both.

    Understood are columns with a header that names them, separated by blanks, tabs, commas, semicolons or bars; two to
    four columns without one, whose first line shows what they are; the log of nii-yamagishilab's baselines; and a
    folder with ``meta.csv`` files of MLAAD below it, which list spoofed speech only.

    Args:
        path: The file, or the folder.
        bonafide: The word that its labels have for bona fide, where it is none of the usual.

    Raises:
        ValueError: Unknown or ambiguous columns, a score is not a finite number, a line of other columns.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    line = first_line(path)
    separator = separator_of(line)
    fields = fields_of(line, separator)
    roles = _roles_of_header(fields)
    if roles is not None:
        found = _read_named(path, fields, roles, separator)
    elif _is_log(path):
        found = _read_log(path)
    else:
        found = _read_plain(path, fields, separator)
    return found if bonafide is None else replace(found, bonafide=bonafide)


def has_header(line: str) -> bool:
    """Whether a first line names columns of trials."""
    return _roles_of_header(fields_of(line, separator_of(line))) is not None


def _roles_of_header(fields: Sequence[str]) -> dict[str, list[int]] | None:
    """Role -> columns, or None where these are no names of columns."""
    names = [name.strip().lower() for name in fields]

    def find(known: Sequence[str]) -> list[int]:
        return [names.index(name) for name in known if name in names]

    roles = {"name": find(_NAMES), "label": find(_LABELS)[:1], "score": find(_SCORES)[:1]}
    roles |= {group: find(known)[:1] for group, known in _GROUPS.items()}
    if "key" in names and not roles["label"] and len(roles["name"]) > 1:  # as in 'filename cm-score key'
        roles["label"] = [roles["name"].pop(0)]
    told = roles["label"] or roles["score"] or roles["attack"]
    return roles if roles["name"] and told else None


def _read_named(
    path: Path, fields: Sequence[str], roles: Mapping[str, list[int]], separator: str | None
) -> TrialFile:
    wanted = [column for columns in roles.values() for column in columns]
    texts = iter(read_columns(path, wanted, width=len(fields), skip_header=True, separator=separator))
    found = {role: [next(texts) for _ in columns] for role, columns in roles.items()}
    groups = {group: np.array(found[group][0]) for group in _GROUPS if found[group]}
    names = [name.strip().lower() for name in fields]
    labels, bonafide = (found["label"] or [None])[0], None
    taken = ", ".join(
        f"{' or '.join(fields[column] for column in columns)} is the {role}"
        for role, columns in roles.items()
        if columns
    )
    if names[:3] == _OWN or set(names) in _USUAL:
        taken = ""
    if labels is None and "attack" in groups:
        labels, told = _labels_of_attacks(groups["attack"], spoof_only="model_name" in names)
        taken += told
    scores = None
    if found["score"]:
        texts_of_scores = found["score"][0]
        of_pairs = _PAIR.fullmatch(texts_of_scores[0]) is not None  # AntiDeepfake's logits of fake and real
        convert = _differences if of_pairs else as_numbers
        scores = convert(path, texts_of_scores, found["name"][0], first_row=1)
        taken += ", real - fake" if of_pairs else ""
        if of_pairs and labels is not None and set(labels) <= NUMBERS:
            bonafide = "1"
    return TrialFile(
        path=path,
        names=found["name"],
        labels=labels,
        scores=scores,
        columns=groups,
        bonafide=bonafide,
        taken=taken,
        first_row=1,
    )


def _labels_of_attacks(attacks: NDArray[np.str_], *, spoof_only: bool) -> tuple[list[str] | None, str]:
    """Labels where attacks alone tell them, and by what."""
    found = np.unique(attacks).tolist()
    if spoof_only:
        return ["spoof"] * len(attacks), ", all are spoofed"
    genuine = {text for text in found if text == "-" or WORDS.get(text.lower())}
    if all(map(_SPOOFCELEB.fullmatch, found)):
        genuine = {"a00"}
    if genuine.isdisjoint(found):
        return None, ""
    labels = ["bonafide" if attack in genuine else "spoof" for attack in attacks.tolist()]
    return labels, f", attack {min(genuine)} is bona fide"


def _differences(path: Path, texts: list[str], keys: list[str], *, first_row: int) -> NDArray[np.float64]:
    """Second minus first of pairs of numbers in brackets."""
    pairs = [_PAIR.fullmatch(text) for text in texts]
    if None in pairs:
        row = pairs.index(None)
        fail(path, row + first_row, f"score {texts[row]!r} of {keys[row]} is no pair '[fake, real]'")
    fake, real = (
        as_numbers(path, [pair[at] for pair in pairs if pair], keys, first_row=first_row) for at in (1, 2)
    )
    return real - fake


def _is_log(path: Path) -> bool:
    content = path.read_bytes()
    return content.startswith(_LOG.encode()) or f"\n{_LOG}".encode() in content


def _read_log(path: Path) -> TrialFile:
    names, labels, texts = read_columns(path, [1, 2, 3], width=4, separator=",", prefix=_LOG)
    return TrialFile(
        path=path,
        names=[names],
        labels=labels,
        scores=as_numbers(path, texts, names, prefix=_LOG),
        bonafide="1",
        taken=f"'{_LOG}UTT, LABEL, SCORE' are its trials, label 1 is bona fide",
        prefix=_LOG,
    )


def _read_plain(path: Path, fields: Sequence[str], separator: str | None) -> TrialFile:
    """Two to four columns without names; the first line shows which has labels and which scores."""
    width = len(fields)
    if width not in (2, 3, 4):
        raise ValueError(
            f"{path}:1: {width} columns; expected {LAYOUTS}, or a header that names them, such as "
            "'filename' and 'cm-score'"
        )
    columns = read_columns(path, range(width), width=width, separator=separator)
    if width == 4:
        names, attacks, labels, texts = columns
        scores = as_numbers(path, texts, names)
        groups = {"attack": np.array(attacks)}
        return TrialFile(path=path, names=[names], labels=labels, scores=scores, columns=groups)
    labels, numbers, names = _roles_of_first_line(path, fields, columns)
    texts = None if numbers is None else columns[numbers]
    shown = {labels: "LABEL", numbers: "SCORE"}
    layout = " ".join(shown.get(column, "UTT") for column in range(width))
    return TrialFile(
        path=path,
        names=[columns[column] for column in names],
        labels=None if labels is None else columns[labels],
        scores=None if texts is None else as_numbers(path, texts, columns[names[0]]),
        taken="" if layout == "UTT SCORE" else f"columns are {layout}",
    )


def _roles_of_first_line(
    path: Path, fields: Sequence[str], columns: Sequence[list[str]]
) -> tuple[int | None, int | None, list[int]]:
    """Columns of labels, of scores and of names."""
    everywhere = range(len(fields))
    labels = [column for column in everywhere if fields[column].lower() in WORDS]
    numbers = [column for column in everywhere if _is_number(fields[column])]
    if not labels and len(numbers) == 2 and len(fields) == 3:
        labels = [column for column in numbers if are_labels(columns[column])]
    if not labels and numbers == [0, 1]:  # names may be numbers, and stand first in every list
        numbers = [1]
    numbers = [column for column in numbers if column not in labels]
    names = [column for column in everywhere if column not in (*labels, *numbers)]
    if not labels and not numbers:
        fail(
            path,
            0,
            f"{' '.join(fields)!r} is no score; remove the header, or name its columns filename and cm-score",
        )
    if len(labels) > 1 or len(numbers) > 1 or not names:
        fail(
            path,
            0,
            f"cannot tell what the columns of {' '.join(fields)!r} are; begin the file with a line that names them, "
            "such as 'filename label score'",
        )
    return next(iter(labels), None), next(iter(numbers), None), names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_folder(folder: Path) -> TrialFile:
    files = [read_trial_file(path) for path in sorted(folder.rglob("meta.csv"))]
    if not files:
        raise ValueError(f"{folder}: no meta.csv of MLAAD in it or below; name the file with the labels")
    labels = [label for file in files for label in file.labels or ()]
    names = [
        [name for file in files for name in file.names[at]] for at in range(min(len(f.names) for f in files))
    ]
    if len(labels) < len(names[0]):
        wrong = next(file for file in files if not file.labels)
        raise ValueError(f"{wrong.path}: has no labels, nor the column model_name of MLAAD")
    shared = set.intersection(*(set(file.columns) for file in files))
    columns = {group: np.concatenate([file.columns[group] for file in files]) for group in sorted(shared)}
    taken = f"{len(files)} meta.csv below it, {files[0].taken}"
    return TrialFile(path=folder, names=names, labels=labels, columns=columns, taken=taken)
