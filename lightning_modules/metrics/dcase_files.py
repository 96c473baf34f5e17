"""Names and rows of the CSV files of DCASE Task 2; errors name file and line."""

import re
from pathlib import Path
from typing import NamedTuple

from lightning_modules.metrics.text_columns import fail

_PART = re.compile(
    r"(?:DCASE(?P<year>\d{4})T2)?(?P<machine>.+?)_(?P<section>(?:id|section)_\d+)"
    r"(?:_(?P<domain>source|target))?(?:_test)?(?:_seed.*)?"  # the baseline appends seed and model
)
_CLIP = re.compile(
    r"(?:(?:normal|anomaly)_)?(?P<section>(?:id|section)_\d+)(?:_(?P<domain>source|target))?(?=_|$)"
)
_LABEL = re.compile(r"(?:^|_)(normal|anomaly)_")
_FLAGS = {"0": False, "0.0": False, "1": True, "1.0": True}


class Part(NamedTuple):
    """What one CSV file covers; `domain` is "" where it covers both or there is none, `year` where unsaid."""

    machine: str
    section: str
    domain: str
    year: str


class ClipName(NamedTuple):
    """What the name of a clip says; `domain` is "" and `is_anomaly` None where it is silent."""

    section: str
    domain: str
    is_anomaly: bool | None


def parse_file_name(path: Path, prefix: str) -> Part:
    """Reads ``<prefix>_<machine>_<section>[_<domain>][_test].csv`` or the baseline's form of 2023 and later.

    Raises:
        ValueError: The name has another form.
    """
    match = _PART.fullmatch(path.stem.removeprefix(f"{prefix}_"))
    if match is None:
        raise ValueError(
            f"{path}: cannot tell machine and section; expected a name as {prefix}_fan_section_00_test.csv"
        )
    return Part(match["machine"], match["section"], match["domain"] or "", match["year"] or "")


def parse_clip_name(name: str) -> ClipName | None:
    """Reads names as ``anomaly_id_00_00000000.wav`` or ``section_00_source_test_normal_0000.wav``."""
    match, label = _CLIP.match(name), _LABEL.search(name)
    if match is None:
        return None
    return ClipName(match["section"], match["domain"] or "", label[1] == "anomaly" if label else None)


def contradiction(name: str, *, section: str, domain: str, is_anomaly: bool | None) -> str:
    """What the name of a clip says that is not so; nothing where it is silent or agrees.

    Args:
        name: Of the clip.
        section: What another source says of it.
        domain: Likewise; "" is unknown.
        is_anomaly: Likewise; None is unknown.
    """
    told = parse_clip_name(name)
    if told is None:
        return ""
    if told.section != section:
        return f"is of {told.section} by the name {name}"
    if told.domain and domain and told.domain != domain:
        return f"is of the domain {told.domain} by the name {name}"
    if told.is_anomaly is not None and is_anomaly is not None and told.is_anomaly != is_anomaly:
        return f"is {'anomalous' if told.is_anomaly else 'normal'} by the name {name}"
    return ""


def describe(section: str, domain: str, *, is_anomaly: bool | None) -> str:
    """``section_00, source, normal``, of what is known."""
    label = {None: "", True: "anomalous", False: "normal"}[is_anomaly]
    return ", ".join(filter(None, (section, domain, label)))


def clip_key(machine: str, name: str) -> str:
    """Key of a clip in all years: ``<machine>/<file name without .wav>``."""
    return f"{machine}/{name.removesuffix('.wav')}"


def read_rows(path: Path) -> list[list[str]]:
    """Fields of all lines that are not blank.

    Raises:
        ValueError: The file is missing, empty or not UTF-8 text.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text; convert it with iconv -f latin1 -t utf-8") from None
    rows = [[field.strip() for field in line.split(",")] for line in lines if line and not line.isspace()]
    if not rows:
        raise ValueError(f"{path}: the file is empty")
    return rows


def read_pairs(path: Path) -> tuple[list[str], list[str]]:
    """Clip names and values of a file of ``name,value`` lines without header.

    Raises:
        ValueError: A line has another number of fields, a name comes twice, or as in `read_rows`.
    """
    values: dict[str, str] = {}
    for row, fields in enumerate(read_rows(path)):
        if len(fields) != 2:
            fail(path, row, f"{len(fields)} fields, expected two: 'name.wav,value'")
        if fields[0] in values:
            fail(path, row, f"{fields[0]} comes a second time; keep one line for each clip")
        values[fields[0]] = fields[1]
    return list(values), list(values.values())


def read_flags(path: Path, what: str) -> dict[str, bool]:
    """Clip names and values of a file of ``name,0`` and ``name,1`` lines; `what` they are, for messages.

    Raises:
        ValueError: A value is neither 0 nor 1, or as in `read_pairs`.
    """
    pairs = zip(*read_pairs(path), strict=True)
    return {name: as_flag(text, path, row, f"{what} of {name}") for row, (name, text) in enumerate(pairs)}


def as_flag(text: str, path: Path, row: int, what: str) -> bool:
    """Converts 0 or 1, also written 0.0 or 1.0, or raises a ValueError about the file's row."""
    if text not in _FLAGS:
        fail(path, row, f"{what} is {text!r}, expected 0 or 1")
    return _FLAGS[text]
