"""A report's table as Markdown and as CSV."""

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_modules.grids.estimates import Estimate, Table, label
from lightning_modules.grids.grid_file import Error, Output

if TYPE_CHECKING:
    from lightning_modules.metrics.functional.paired import PairedComparison


def markdown(table: Table, output: Output) -> str:
    """Means and deviations to four places, and differences to the baseline behind them."""
    counts = [each.n for row in table.estimates.values() for each in row.values()]
    n = max(counts, default=0)
    kind = f"mean ± standard deviation over {n} seeds" if n > 1 else "one seed"
    if n > 1 and output.error == "se":
        kind += " (standard error of the mean)"
    compared = output.values if output.baseline is not None else ()
    if compared:
        kind += (
            f"; difference to {output.baseline} ± standard error, both on the same clips, and p of chance, "
            "by clips and seeds where both have several runs, else by clips"
        )
    cells = [["", *table.columns, *(f"{value} − {output.baseline}" for value in compared)]]
    cells += [["---", *["---:"] * (len(cells[0]) - 1)]]
    for series, row in table.estimates.items():
        differences = table.differences.get(series, {})
        means = [_cell(row.get(column), n, output.error) for column in table.columns]
        cells += [[label(series), *means, *(_difference(differences.get(value)) for value in compared)]]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([f"{table.value}, {kind}:\n", *lines, ""])


def _cell(estimate: Estimate | None, usual: int, error: Error) -> str:
    if estimate is None:
        return "–"
    deviation = "" if math.isnan(estimate.sd) else f" ± {estimate.sd:.4f}"
    if deviation and error == "se":
        deviation += f" ({estimate.se:.4f})"
    return f"{estimate.mean:.4f}{deviation}" + (f" (n={estimate.n})" if estimate.n != usual else "")


def _difference(found: "PairedComparison | None") -> str:
    if found is None:
        return "–"
    by_clips = math.isnan(found.p)
    error = found.se_clips if by_clips else math.hypot(found.se_clips, found.se_seeds)
    return f"{found.difference:+.4f} ± {error:.4f}, p = {found.p_clips if by_clips else found.p:.2g}"


def as_csv(table: Table, output: Output) -> str:
    """One line an estimate, in full precision; what is undefined, as a deviation of one seed, is empty."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    header = ["block", "x", "column", "value", "mean", "sd", "seeds"]
    header += ["se"] if output.error == "se" else []
    header += ["baseline", *_DIFFERENCE] if output.baseline is not None else []
    writer.writerow(header)
    for (name, x), row in table.estimates.items():
        for column, each in row.items():
            line = [name, x, column, table.value, each.mean, each.sd, each.n]
            line += [each.se] if output.error == "se" else []
            found = table.differences.get((name, x), {}).get(column)
            if found is not None:
                line += [output.baseline, *(getattr(found, key) for key in _DIFFERENCE)]
            writer.writerow(_padded(line, len(header)))
    return file.getvalue()


_DIFFERENCE = ("difference", "se_clips", "se_seeds", "p_clips", "p")  # of a PairedComparison


def _padded(line: Sequence[object], size: int) -> list[object]:
    defined = ["" if each is None or each != each else each for each in line]
    return defined + [""] * (size - len(line))
