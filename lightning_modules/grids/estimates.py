"""Means and standard deviations over seeds, laid out as the tables of a report."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lightning_modules.grids.finished import Finding

if TYPE_CHECKING:
    from lightning_modules.metrics.functional.paired import PairedComparison
    from lightning_modules.metrics.functional.paired_values import PairedDifference

Series = tuple[str, float | None]

AVERAGE = "average"
SEVERAL = "value"  # what is estimated where the columns say it


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure over seeds.

    Attributes:
        mean: Over the seeds.
        sd: Sample standard deviation (n - 1 in the denominator); NaN for one seed.
        n: Number of seeds.
    """

    mean: float
    sd: float
    n: int

    @property
    def ci95(self) -> float:
        """Half the width of the 95 % confidence interval of the mean, by Student's t; NaN for one seed."""
        if self.n == 1:
            return math.nan
        from scipy.special import stdtrit

        return float(stdtrit(self.n - 1, 0.975)) * self.sd / math.sqrt(self.n)


@dataclass(kw_only=True)
class Table:
    """Estimates by series (block, x or None) and column.

    Attributes:
        value: What is estimated; the columns' common name.
        columns: In the order of the table; with more than one machine or the like, their average is the last.
        estimates: Series -> column -> estimate; a series that no seed completes is absent.
        seeds: Series -> column -> seed -> figure, which the estimates are of.
        left_out: Seeds that are not averaged, one line each.
        differences: Series -> column -> comparison with the baseline, where the output names one.
    """

    value: str
    columns: list[str]
    estimates: dict[Series, dict[str, Estimate]]
    seeds: dict[Series, dict[str, dict[str, float]]] = field(default_factory=dict)
    left_out: list[str]
    differences: dict[Series, dict[str, "PairedComparison | PairedDifference"]] = field(default_factory=dict)


def tabulate(findings: Sequence[Finding], *, value: str, average: bool) -> Table:
    """Averages over items within a seed, then over seeds.

    A column's items are those that any run has. A seed that lacks some of them in a series is left out there, because
    an average over other sections is another figure.

    Args:
        findings: Unique by series, seed, column and item.
        value: What they say.
        average: Whether to add the average over all columns, of seeds that have all.
    """
    items: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    values: dict[tuple, dict[str, dict[tuple[str, ...], float]]] = defaultdict(lambda: defaultdict(dict))
    for each in findings:
        items[each.column].add(each.item)
        defined = values[each.series, each.seed][each.column]
        if each.value is not None:
            defined[each.item] = each.value
    columns = list(items)
    seeds: dict[Series, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    left_out = []
    for (series, seed), found in values.items():
        means = {}
        for column, defined in found.items():
            if len(defined) == len(items[column]):
                means[column] = statistics.fmean(defined.values())
            else:
                have = f"{len(defined)} of {len(items[column])}"
                left_out.append(
                    f"{label(series)}, {column}, seed {seed}: has {have} figures of {value}; left out"
                )
        if average and len(means) == len(columns):
            means[AVERAGE] = statistics.fmean(means.values())
        for column, mean in means.items():
            seeds[series][column][seed] = mean
    estimates = {
        series: {column: _estimate(list(each.values())) for column, each in found.items()}
        for series, found in seeds.items()
    }
    return Table(
        value=value,
        columns=[*columns, AVERAGE] if average else columns,
        estimates=estimates,
        seeds=dict(seeds),
        left_out=left_out,
    )


def label(series: Series) -> str:
    """Returns what a row of the table is called."""
    name, x = series
    return name if x is None else f"{name}, {x:g}"


def _estimate(values: Sequence[float]) -> Estimate:
    sd = statistics.stdev(values) if len(values) > 1 else math.nan
    return Estimate(mean=statistics.fmean(values), sd=sd, n=len(values))
