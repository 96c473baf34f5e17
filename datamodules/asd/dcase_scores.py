"""Official score files of DCASE Task 2: one CSV a machine and section."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from datamodules.files import score_rows, write_text_atomically

ScoreStem = Callable[[str], tuple[str, str] | None]
"""Key -> the end of its score files' name, and its own file's name; None for clips of no machine."""


def write_score_files(
    path: str | Path,
    keys: Sequence[str],
    scores: Sequence[float],
    decisions: Sequence[int] | None,
    *,
    score_stem: ScoreStem,
) -> Path:
    """Write ``anomaly_score_*.csv`` and, with decisions, ``decision_result_*.csv`` into a folder, and return that.

    The folder is `path` without its suffix; clips of no machine go to ``scores.csv`` in it. Files of an earlier
    scoring, as of another set, do not stay among those of this one.
    """
    folder = Path(path).with_suffix("")
    written = _write_tables(folder, "anomaly_score_", score_rows(folder, keys, scores), "scores", score_stem)
    if decisions is not None:
        rows = score_rows(folder, keys, decisions)
        written |= _write_tables(folder, "decision_result_", rows, "decisions", score_stem)
    for pattern in ("anomaly_score_*.csv", "decision_result_*.csv", "scores.csv", "decisions.csv"):
        for path in set(folder.glob(pattern)) - written:
            path.unlink()
    return folder


def _write_tables(
    folder: Path, prefix: str, rows: Sequence[tuple[str, str]], foreign: str, score_stem: ScoreStem
) -> set[Path]:
    """Writes a file a machine and section, and returns them."""
    tables: dict[str, list[str]] = defaultdict(list)
    for key, value in rows:
        stem, name = score_stem(key) or (None, key)
        tables[f"{prefix}{stem}" if stem else foreign].append(f"{name},{value}\n")
    return {
        write_text_atomically(folder / f"{stem}.csv", "".join(sorted(lines)))
        for stem, lines in tables.items()
    }
