"""The parts of a method and their sizes, printed when training begins."""

from typing import Any

from lightning.pytorch.callbacks import ModelSummary
from rich import get_console
from rich.table import Table

_COLUMNS = {
    "Name": "part",
    "Type": "class",
    "Params": "parameters",
    "Params per Device": "per device",
    "Mode": "mode",
}


class PartsSummary(ModelSummary):
    """Lightning's summary without FLOPs, which are 0 for want of an example input; `benchmark --cost` counts them."""

    @staticmethod
    def summarize(
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        model_size: float,
        *_: Any,
        **__: Any,
    ) -> None:
        """Prints parts, and what is trained of all."""
        columns = {_COLUMNS[name]: cells for name, cells in summary_data if name in _COLUMNS}
        table = Table(
            caption=f"{trainable_parameters:,} of {total_parameters:,} parameters are trained; {model_size:.1f} MB"
        )
        for name in columns:
            table.add_column(name, justify="right" if name in ("parameters", "per device") else "left")
        for row in zip(*columns.values(), strict=True):
            table.add_row(*row)
        get_console().print(table)
