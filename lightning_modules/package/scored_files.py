"""What `predict` says of files: lines, tables, remarks, and whether it has failed; the same for every kind of model."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from torch import Tensor

from datamodules.audio.names import printable
from datamodules.files import write_csv
from lightning_modules.package.class_scores import ClassScores
from lightning_modules.package.readings import Reading, read_out
from lightning_modules.package.spool import Rows, Scores
from lightning_modules.package.tally import Result

SHOWN = 20
"""Files of which remarks are printed; faults are printed of all."""

Writer = Callable[[str, Sequence[str], Tensor], object]
"""Path, keys and scores (file,) or (file, class) -> a file in a format of its own."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user asked for.

    Attributes:
        output: File of the scores; None prints them.
        top: Classes of every head that are named, or tags; None is the best class.
        windows: Print, or write, a row a window.
        strict: Fail where a file was not scored.
    """

    output: str | None = None
    top: int | None = None
    windows: bool = False
    strict: bool = False


@dataclass
class ScoredFiles:
    """Takes results one by one, prints them or puts them by, and ends with the remarks; see `spool` for where.

    With an output, the scores are there in their own format, ``<output>_files.csv`` has a row a file, those without a
    score too, and ``<output>_windows.csv`` one a window.

    Args:
        wanted: What the user asked for.
        names: Names of columns of a score.
        write: Writes the scores.
        read: Column -> what else a score says; printed behind it.
    """

    wanted: Wanted
    names: ClassScores
    write: Writer
    read: Mapping[str, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._num_files = self._num_scored = self._num_remarks = 0
        self._faults: list[str] = []
        self._remarks: list[str] = []
        self._keys: list[str] = []
        self._scores = Scores()
        self._files, self._windows = Rows(), Rows()

    def take(self, results: Iterable[Result]) -> None:
        """Prints scores as they come, unless they are written."""
        for result in results:
            self._num_files += 1
            if (answer := result.answer) is not None:
                self._num_scored += 1
            if self.wanted.output is not None:
                self._put_by(result, answer)
            elif answer is not None:
                for line in self._lines(result, answer):
                    print(line, flush=True)
            self._remark(result)

    def _put_by(self, result: Result, answer: Tensor | None) -> None:
        self._files.add(self._row(result))
        if answer is None:
            return
        self._keys.append(result.key)
        self._scores.add(answer)
        for start_s, stop_s, score in result.windows if self.wanted.windows else ():
            values = (f"{value:.9g}" for value in score.flatten().tolist())
            times = {"key": result.key, "start_s": f"{start_s:.3f}", "stop_s": f"{stop_s:.3f}"}
            self._windows.add(times | dict(zip(self.names.columns, values, strict=True)))

    def close(self) -> None:
        """Writes, and says what is to be said of the files.

        Raises:
            ValueError: No file was scored, or, with ``strict``, not every one.
        """
        if (output := self.wanted.output) is not None:
            if self._num_scored:
                self.write(output, self._keys, self._scores.table())
            write_csv(beside(output, "files"), self._files.table())
            if self.wanted.windows:
                header = ["key", "start_s", "stop_s", *self.names.columns]
                write_csv(beside(output, "windows"), chain([header], islice(self._windows.table(), 1, None)))
        more = self._num_remarks - SHOWN
        if more > 0:
            self._remarks.append(f"and {more} more files with remarks: --output FILE lists all")
        num_faults = self._num_files - self._num_scored
        if self._faults:
            self._faults.append(f"{num_faults} of {self._num_files} files were not scored")
        for line in [*self._remarks, *self._faults]:
            print(line, file=sys.stderr)
        if not self._num_scored:
            raise ValueError("predict: no file was scored")
        if num_faults and self.wanted.strict:
            raise ValueError(f"predict: {num_faults} of {self._num_files} files were not scored (--strict)")

    def _lines(self, result: Result, answer: Tensor) -> list[str]:
        if self.wanted.windows:
            return [
                self.names.line([result.key, f"{start_s:.3f}", f"{stop_s:.3f}"], score, self.wanted.top)
                for start_s, stop_s, score in result.windows
            ]
        return [self.names.line([result.key], answer, self.wanted.top) + read_out(self.read, answer)]

    def _remark(self, result: Result) -> None:
        if result.end.fault:
            self._faults.append(f"{printable(result.path)}: not scored: {printable(result.end.fault)}")
        if remarks := self._remarks_of(result):
            self._num_remarks += 1
            if self._num_remarks <= SHOWN:
                self._remarks.append(f"{result.key}: {'; '.join(remarks)}")

    def _remarks_of(self, result: Result) -> list[str]:
        end = result.end
        if end.fault:
            return []
        found = []
        if end.heard_s < end.seconds and result.num_windows:
            many = f"{result.aggregate} of {result.num_windows} windows"
            heard = f"heard {_seconds(end.heard_s)} of {_seconds(end.seconds)} s by the test rule"
            if result.answers_by_windows:
                found.append(f"the score is the {many} over {_seconds(end.seconds)} s")
            elif result.score is None:
                found.append(f"{heard}, which cannot hear so long a file: the score is the {many}")
            else:
                found.append(f"{heard}; {many}")
            found.append(self._peaks(result))
        return [*found, *end.condition.remarks()]

    def _peaks(self, result: Result) -> str:
        """The windows that count most."""
        assert result.peak is not None
        assert result.at_s is not None
        if not self.names.heads:
            end = "lowest" if result.aggregate == "min" else "highest"
            return f"{end} {result.peak:.9g} from {_seconds(result.at_s.item())} s on"
        best = self.names.best(result.peak, self.wanted.top or 1)
        values = [
            f"{each.name} {result.peak[each.column]:.4f} from {_seconds(result.at_s[each.column].item())} s on"
            for each in best
        ]
        return f"highest {', '.join(values)}"

    def _row(self, result: Result) -> dict[str, Any]:
        end, condition = result.end, result.end.condition
        row: dict[str, Any] = {
            "key": result.key,
            "path": printable(result.path),
            "fault": printable(end.fault),
        }
        if condition.num_samples:
            row |= {
                "seconds": f"{end.seconds:.3f}",
                "silent": int(condition.is_silent),
                "near_silent": int(condition.is_nearly_silent),
                "clipped": f"{condition.clipped:.4g}",
                "anti_phase": int(condition.is_anti_phase),
            }
        if end.fault:
            return row
        row |= {"heard_s": f"{end.heard_s:.3f}"}
        row |= self._score_cells("", result.score)
        row |= {"windows": result.num_windows, "aggregate": result.aggregate}
        if not self.names.heads:
            at_s = result.at_s
            return row | {
                "score_windows": _number(result.score_windows),
                "at_s": "" if at_s is None else f"{at_s:.3f}",
            }
        row |= self._score_cells("windows_", result.score_windows, result.at_s)
        return row | (
            self._score_cells("peak_", result.peak, result.at_s) if result.aggregate == "mean" else {}
        )

    def _score_cells(self, prefix: str, score: Tensor | None, at_s: Tensor | None = None) -> dict[str, str]:
        if not self.names.heads:
            return {"score": _number(score)}
        cells: dict[str, str] = {}
        if score is None:
            return cells
        for each in self.names.best(score, self.wanted.top or 1):
            column = f"{prefix}{each.head}_{each.place}"
            cells |= {column: each.name, f"{column}_score": f"{score[each.column]:.9g}"}
            if at_s is not None:
                cells[f"{column}_at_s"] = f"{at_s[each.column]:.3f}"
        return cells


def beside(output: str | Path, kind: str) -> Path:
    """Where a table lies that goes with a file of scores: ``scores.txt`` -> ``scores_files.csv``."""
    path = Path(output)
    return path.with_name(f"{path.stem}_{kind}.csv")


def _number(score: Tensor | None) -> str:
    return "" if score is None else f"{score:.9g}"


def _seconds(value: float) -> str:
    """Seconds without digits that nobody reads."""
    return f"{round(value, 1):.10g}"
