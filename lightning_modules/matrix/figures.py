"""Figures of checkpoints on corpora: error rates, their mean, one threshold for all, and a threshold from elsewhere."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lightning_modules.matrix.evaluated import CLEAN, Column, Detector, Evaluated
from lightning_modules.metrics.cross_corpus import Point, accepted, equal_error_point, pooled
from lightning_modules.metrics.trial_table import Trials, read_trials

MEAN, POOLED = Column("mean EER", "test"), Column("pooled EER", "test")  # no corpus has spaces in its name
_MARGIN, _DEVIATIONS = (
    0.05,
    3,
)  # of an EER from one half, where scores are sure to separate, this way or the other

Condition = str
Checkpoint = tuple[Detector, Condition, str]  # the last is the seed
Estimates = Mapping[tuple[Detector, Condition], Mapping[Column, "Estimate"]]


class Estimate(NamedTuple):
    """A fraction over seeds: mean, sample standard deviation (NaN of one), their number."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Numbers of trials of a column."""

    bonafide: int
    spoof: int

    @property
    def both(self) -> bool:
        """Whether there is an equal error rate."""
        return self.bonafide > 0 and self.spoof > 0

    @property
    def figure(self) -> str:
        """What a cell of the column says."""
        return "EER" if self.both else "1-SRR" if self.spoof else "FRR"


@dataclass(kw_only=True)
class Figures:
    """Fractions of every checkpoint under every condition.

    Attributes:
        sides: Column -> its trials, in the order of the table.
        values: Checkpoint -> column, `MEAN` or `POOLED` -> figure; undefined ones are absent.
        points: Checkpoint -> column of both classes -> its operating point.
        threshold_from: Column whose threshold decides on those of one class; None where there are none, or none to ask.
        missing: What is not there, a line each.
    """

    sides: dict[Column, Sides] = field(default_factory=dict)
    values: dict[Checkpoint, dict[Column, float]] = field(default_factory=dict)
    points: dict[Checkpoint, dict[Column, Point]] = field(default_factory=dict)
    threshold_from: Column | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def averaged(self) -> list[Column]:
        """Columns whose trials the pooled figures are of: tests on both classes."""
        return [column for column, sides in self.sides.items() if sides.both and column.split == "test"]

    @property
    def columns(self) -> list[Column]:
        """In the order of the matrix: tests, what sums them up, one class alone, validations."""
        several = [MEAN, POOLED] if len(self.averaged) > 1 else []
        first = [*self.averaged, *several]
        rest = [column for column in self.sides if column not in first]
        return [*first, *sorted(rest, key=lambda column: column.split != "test")]

    def threshold(self, checkpoint: Checkpoint) -> float | None:
        """That which decides on a checkpoint's trials of one class: set on clean speech where that was scored."""
        detector, _, seed = checkpoint
        for known in ((detector, CLEAN, seed), checkpoint):
            if (point := self.points.get(known, {}).get(self.threshold_from)) is not None:  # pyright: ignore[reportArgumentType]
                return point.threshold
        return None

    def estimates(self) -> dict[tuple[Detector, Condition], dict[Column, Estimate]]:
        """Mean and deviation over the seeds of each detector."""
        seeds: dict[tuple[Detector, Condition], dict[Column, list[float]]] = {}
        for (detector, condition, _), values in self.values.items():
            of_detector = seeds.setdefault((detector, condition), {})
            for column, value in values.items():
                of_detector.setdefault(column, []).append(value)
        return {
            key: {column: _estimate(values) for column, values in each.items()} for key, each in seeds.items()
        }


def compute(rows: Sequence[Evaluated], *, threshold_from: str | None = None) -> Figures:
    """Reads the tables of trials, once each, and computes every figure.

    Args:
        rows: At most one of each detector, seed, column and condition.
        threshold_from: Corpus whose threshold decides on those of one class; None is the checkpoints' own validation,
            or else the first corpus of both classes.

    Raises:
        ValueError: A table is missing or wrong, or `threshold_from` is no column of both classes.
    """
    found, one_class = Figures(), {}
    for checkpoint, several in _checkpoints(rows).items():
        trials = {each.column: read_trials(each.trials) for each in several}
        found.sides |= {column: _sides(each) for column, each in trials.items() if column not in found.sides}
        points = {
            column: equal_error_point(each) for column, each in trials.items() if found.sides[column].both
        }
        found.points[checkpoint] = points
        found.values[checkpoint] = {column: point.eer for column, point in points.items()}
        tests = [each for column, each in trials.items() if column in points and column.split == "test"]
        if len(tests) > 1:
            found.values[checkpoint][POOLED] = equal_error_point(pooled(tests)).eer
        one_class[checkpoint] = {column: each for column, each in trials.items() if column not in points}
    _sum_up(found)
    found.threshold_from = _chosen(found, threshold_from)
    for checkpoint, trials in one_class.items():
        if (threshold := found.threshold(checkpoint)) is None:
            continue
        for column, each in trials.items():
            share = accepted(each, threshold)
            found.values[checkpoint][column] = share if found.sides[column].spoof else 1 - share
    found.missing += _missing(found)
    return found


def inverted(found: Figures) -> Iterator[str]:
    """Lines on checkpoints whose scores separate some corpora one way and others the other way."""
    for (detector, condition, seed), points in found.points.items():
        surely = {
            column: point.eer - 0.5
            for column, point in points.items()
            if _separates(point, found.sides[column])
        }
        odd = [str(column) for column, excess in surely.items() if excess > 0]
        if 0 < len(odd) < len(surely):
            yield (
                f"{detector.method}, seed {seed}, {condition}: the scores of {', '.join(odd)} look inverted and others"
                " do not: pooled figures mix both directions; higher must mean bona fide everywhere"
            )


def _separates(point: Point, sides: Sides) -> bool:
    deviation = 0.5 / math.sqrt(min(sides.bonafide, sides.spoof))  # of a rate of one half
    return abs(point.eer - 0.5) > max(_MARGIN, _DEVIATIONS * deviation)


def _checkpoints(rows: Iterable[Evaluated]) -> dict[Checkpoint, list[Evaluated]]:
    several: dict[Checkpoint, list[Evaluated]] = {}
    for each in rows:
        several.setdefault((each.detector, each.condition, each.seed), []).append(each)
    return several


def _sides(trials: Trials) -> Sides:
    bonafide = int(trials.is_bonafide.sum())
    return Sides(bonafide=bonafide, spoof=len(trials.scores) - bonafide)


def _sum_up(found: Figures) -> None:
    """Adds means, and takes back pooled figures that are of other corpora than those of other checkpoints."""
    averaged = found.averaged
    for values in found.values.values():
        if len(averaged) < 2 or any(column not in values for column in averaged):
            values.pop(POOLED, None)
        else:
            values[MEAN] = statistics.fmean(values[column] for column in averaged)


def _chosen(found: Figures, name: str | None) -> Column | None:
    if all(sides.both for sides in found.sides.values()) and name is None:
        return None
    both = [column for column, sides in found.sides.items() if sides.both]
    if name is None:
        own = [column for column in both if column.split == "validation"]
        return next(iter([*own, *both]), None)
    chosen = [column for column in both if name in (column.corpus, str(column))]
    if not chosen:
        raise ValueError(
            f"--threshold-from {name}: no corpus of both classes is called so: "
            + (
                f"name one of {', '.join(map(str, both))}"
                if both
                else "there is none of both classes; evaluate one"
            )
        )
    return chosen[0]


def _missing(found: Figures) -> Iterator[str]:
    """Says which columns a checkpoint lacks."""
    for (detector, condition, seed), values in found.values.items():
        lacking = [str(column) for column in found.sides if column not in values]
        if lacking:
            under = "" if condition == CLEAN else f", {condition}"
            sums = any(column not in values for column in found.averaged) and len(found.averaged) > 1
            yield (
                f"{detector.method} on {detector.trained_on}, seed {seed}{under}: no {', '.join(lacking)}"
                + ("; hence neither mean nor pooled" if sums else "")
            )


def _estimate(values: Sequence[float]) -> Estimate:
    sd = statistics.stdev(values) if len(values) > 1 else math.nan
    return Estimate(statistics.fmean(values), sd, len(values))


def conditions(estimates: Mapping[tuple[Detector, Condition], object]) -> list[Condition]:
    """Those that something was evaluated under, clean speech first, the others in the order of the table."""
    return sorted(dict.fromkeys(condition for _, condition in estimates), key=lambda each: each != CLEAN)
