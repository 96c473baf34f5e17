"""From the scores of pieces to what is known of each file: the test's score, and what its windows come to."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.clips import Clip
from datamodules.hearing import End, Listening, Mark
from lightning_modules.package.scorers import ClassScorer, Scorer
from lightning_modules.package.scorers.scorer import Aggregate

_NOTHING = torch.zeros(())


class Window(NamedTuple):
    """A window of a file: where it lies, in seconds, and its score, () or (class,)."""

    start_s: float
    stop_s: float
    score: Tensor


@dataclass
class Result:
    """What is known of a file.

    Attributes:
        key: Of the file.
        path: Of the file.
        end: Its length, what is odd about it, why it has no score.
        aggregate: How scores of windows become `score_windows`.
        answers_by_windows: Whether that is the answer, and not `score`.
        score: By the rule of the test, () or (class,); None where that has none.
        num_windows: Windows that have a sound.
        score_windows: Of all windows together, () or (class,).
        peak: Highest score of any window, the lowest where `aggregate` says so, () or (class,).
        at_s: Where that window begins, in seconds, () or (class,).
        windows: Each of them, where they are kept.
    """

    key: str
    path: str
    end: End
    aggregate: Aggregate
    answers_by_windows: bool
    score: Tensor | None = None
    num_windows: int = 0
    score_windows: Tensor | None = None
    peak: Tensor | None = None
    at_s: Tensor | None = None
    windows: list[Window] = field(default_factory=list)

    @property
    def answer(self) -> Tensor | None:
        """What is printed and written; None of a file that cannot be scored."""
        if self.end.fault:
            return None
        first, second = self.score, self.score_windows
        if self.answers_by_windows:
            first, second = second, first
        return second if first is None else first


class Tally:
    """Takes scores of pieces in any order, and gives results in the order of the files.

    Windows of a classifier of a user's own data, whose test no paper cuts, are averaged: classes share a file as they
    share its time, and that is the answer. Everywhere else windows look for the one place that counts. Of events, tags
    and anomalies that is the highest score. Of genuine speech it is the lowest: one spoofed sentence makes a recording
    spoofed. Where it is unknown which end counts, they are averaged too. Silent windows count for nothing.

    Args:
        clips: The files.
        rows: Numbers of those to come.
        listening: How the test cuts them.
        scorer: What scores.
        keep_windows: Give each window of a file too.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        rows: Iterable[int],
        listening: Listening,
        scorer: Scorer,
        *,
        keep_windows: bool = False,
    ) -> None:
        self._clips, self._rows, self._keep = clips, deque(rows), keep_windows
        self._are_tags = isinstance(scorer, ClassScorer) and scorer.is_multi_tag
        self._by_windows = bool(scorer.heads) and not listening.published_crop
        self._aggregate: Aggregate = scorer.over_windows
        if self._by_windows and not self._are_tags:
            self._aggregate = "mean"
        self._open: dict[int, _Open] = {}

    def add(self, mark: Mark, score: Tensor) -> None:
        """Takes the score of a piece, () or (class,), on the CPU."""
        file = self._open.setdefault(mark.row, _Open())
        file.num_pieces += 1
        if mark.is_score:
            file.views.append(score)
        if mark.is_window:
            file.add_window(mark, self._pairs_first(score), lowest=self._aggregate == "min")
            if self._keep:
                file.windows.append(Window(mark.start_s, mark.stop_s, score))

    def end(self, end: End) -> None:
        """Takes what is known of a file at its end."""
        self._open.setdefault(end.row, _Open()).end = end

    def results(self) -> Iterator[Result]:
        """Yields what is known of the next files, as far as all of their pieces are scored."""
        while self._rows and (file := self._open.get(self._rows[0])) and file.is_complete:
            yield self._result(self._rows.popleft())

    def rest(self, fault: str) -> Iterator[Result]:
        """Yields the others, which have a fault."""
        for row in self._rows:
            self._open[row] = _Open(end=End(row, fault=fault))
            yield self._result(row)

    def _result(self, row: int) -> Result:
        file, clip = self._open.pop(row), self._clips[row]
        assert file.end is not None
        result = Result(clip.key, clip.path, file.end, self._aggregate, answers_by_windows=self._by_windows)
        if file.views:  # in float64, as a test averages them
            mean = torch.stack(file.views).double().mean(0)
            result.score = mean.to(file.views[0].dtype)
        result.num_windows, result.windows = file.num_windows, sorted(file.windows, key=lambda each: each[:2])
        if file.num_windows:
            result.peak = self._both(file.peak)
            result.at_s = file.at_s if not self._are_tags else file.at_s.repeat_interleave(2)
            mean = self._both(file.total / file.num_windows)
            result.score_windows = mean if self._aggregate == "mean" else result.peak
        return result

    def _pairs_first(self, score: Tensor) -> Tensor:
        """Of tags the probability that each is there, of the pairs that its score has; else the score."""
        return score[1::2].double() if self._are_tags else score.double()

    def _both(self, found: Tensor) -> Tensor:
        return torch.stack([1 - found, found], dim=-1).flatten() if self._are_tags else found


@dataclass
class _Open:
    """A file of which pieces are still to come or to be scored."""

    num_pieces: int = 0
    num_windows: int = 0
    end: End | None = None
    views: list[Tensor] = field(default_factory=list)
    total: Tensor = _NOTHING
    peak: Tensor = _NOTHING
    at_s: Tensor = _NOTHING
    windows: list[Window] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is still to come."""
        return self.end is not None and self.end.num_pieces == self.num_pieces

    def add_window(self, mark: Mark, score: Tensor, *, lowest: bool) -> None:
        """Takes a window's score; of equal ones the earliest is the peak."""
        start_s = torch.full_like(score, mark.start_s)
        self.num_windows += 1
        if self.num_windows == 1:
            self.total, self.peak, self.at_s = score, score, start_s
            return
        self.total = self.total + score
        is_more = score < self.peak if lowest else score > self.peak
        self.peak = torch.where(is_more, score, self.peak)
        self.at_s = torch.where(is_more, start_s, self.at_s)
