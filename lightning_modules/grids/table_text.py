"""A report's table as Markdown, LaTeX and CSV."""

import csv
import io
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from lightning_modules.grids.estimates import AVERAGE, SEVERAL, Estimate, Series, Table, label
from lightning_modules.grids.grid_file import Output
from lightning_modules.run.text_tables import latex_table, markdown_lines

if TYPE_CHECKING:
    from lightning_modules.metrics.functional.paired import PairedComparison
    from lightning_modules.metrics.functional.paired_values import PairedDifference

_DIFFERENCE = ("difference", "se", "se_clips", "se_seeds", "p_clips", "p", "p_wilcoxon", "num_pairs")


def markdown(table: Table, output: Output) -> str:
    """Figures to four places, what was published behind them, and differences to the baseline beneath."""
    text = []
    for caption, (head, *rows) in _parts(table, output):
        text += [f"{caption}:\n", *markdown_lines(head, rows), ""]
    return "\n".join(text)


def latex(table: Table, output: Output) -> str:
    """The same as floating tables, for the package booktabs."""
    return "\n".join(
        latex_table(f"{output.title}: {caption}.", head, rows)
        for caption, (head, *rows) in _parts(table, output)
    )


def as_csv(table: Table, output: Output) -> str:
    """One line an estimate, in full precision; what is undefined, as a deviation of one seed, is empty."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    header = ["block", "x", "column", "value", "mean", "sd", "ci95", "seeds"]
    header += ["published"] if output.published is not None else []
    header += ["baseline", *_DIFFERENCE] if output.baseline is not None else []
    writer.writerow(header)
    for (name, x), row in table.estimates.items():
        for column, each in row.items():
            line = [name, x, column, table.value, each.mean, each.sd, each.ci95, each.n]
            if output.published is not None:
                line.append(output.known(label((name, x)), column, table.value))
            found = table.differences.get((name, x), {}).get(column)
            if found is not None:
                line += [output.baseline, *(asdict(found).get(key) for key in _DIFFERENCE)]
            defined = ["" if each is None or each != each else each for each in line]
            writer.writerow(defined + [""] * (len(header) - len(line)))
    return file.getvalue()


def _parts(table: Table, output: Output) -> list[tuple[str, list[list[str]]]]:
    """Caption and cells, header first, of the figures and of their differences to the baseline, if any."""
    what = "" if table.value == SEVERAL else f"{table.value}, "
    usual = _usual(table)

    def estimate(series: Series, column: str) -> str:
        published = output.known(label(series), column, table.value)
        known = "" if published is None else f" [{published:.4f}]"
        return _cell(table.estimates[series].get(column), usual) + known

    parts = [(what + _legend(usual, output), _cells(table, table.estimates, estimate))]
    if table.differences:
        tests = "; ".join(_tests(table))
        spread = f" ± standard error with p of chance: {tests}" if tests else ""
        caption = f"{what}difference to {output.baseline}{spread}"
        found = table.differences
        parts.append(
            (caption, _cells(table, found, lambda series, each: _difference(found[series].get(each))))
        )
    return parts


def _legend(n: int, output: Output) -> str:
    """Says what stands in a cell."""
    kind = f"mean ± standard deviation (± 95 % confidence interval) over {n} seeds" if n > 1 else "one seed"
    return kind if output.published is None else f"{kind} [published: {output.published.source}]"


def _tests(table: Table) -> list[str]:
    """Names the tests behind the differences of a table."""
    from lightning_modules.metrics.functional.paired_values import PairedDifference

    tests = []
    for row in table.differences.values():
        for column, found in row.items():
            if not isinstance(found, PairedDifference):
                tests.append("accuracies on the same clips, and over seeds where both have several")
            elif found.num_pairs > 1:
                pairs = "averages over what they average" if column == AVERAGE else "over common seeds"
                tests.append(f"{pairs} by the paired t test (and Wilcoxon's)")
    return list(dict.fromkeys(tests))


def _usual(table: Table) -> int:
    return max((each.n for row in table.estimates.values() for each in row.values()), default=0)


def _cells(table: Table, rows: Iterable[Series], cell: Callable[[Series, str], str]) -> list[list[str]]:
    head = ["", *table.columns]
    return [head, *([label(series), *(cell(series, column) for column in table.columns)] for series in rows)]


def _cell(estimate: Estimate | None, usual: int) -> str:
    if estimate is None:
        return "–"
    spread = "" if math.isnan(estimate.sd) else f" ± {estimate.sd:.4f} (± {estimate.ci95:.4f})"
    return f"{estimate.mean:.4f}{spread}" + (f" (n={estimate.n})" if estimate.n != usual else "")


def _difference(found: "PairedComparison | PairedDifference | None") -> str:
    if found is None:
        return "–"
    from lightning_modules.metrics.functional.paired_values import PairedDifference

    if isinstance(found, PairedDifference):
        test = f" ± {found.se:.4f}, p = {found.p:.2g} ({found.p_wilcoxon:.2g})"
        return f"{found.difference:+.4f}" + (test if found.num_pairs > 1 else "")
    by_clips = math.isnan(found.p)
    error = found.se_clips if by_clips else math.hypot(found.se_clips, found.se_seeds)
    return f"{found.difference:+.4f} ± {error:.4f}, p = {found.p_clips if by_clips else found.p:.2g}"
