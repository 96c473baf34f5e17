"""Examples of a mapping from two inputs to controls, and many more points to test it on."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.files import csv_text, new_folder, write_text_atomically

ROOT = "data/demo/mapping"
OUTPUTS = ("pan", "level", "cutoff_hz")
CLASS_OUTPUTS = ("scene",)


def controls(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, NDArray]:
    """A linear, a bilinear and a curved function of inputs in [0, 1], and one of two classes."""
    return {
        "pan": 0.7 * x - 0.3 * y,
        "level": x * y,
        "cutoff_hz": 1000 + 4000 * np.exp(-3 * x) * np.sin(3 * y),
        "scene": np.where(x + y > 1.1, "bright", "dark"),
    }


def write_mapping(folder: str | Path, *, seed: int = 0, per_side: int = 5, num_test: int = 1000) -> None:
    """Write ``train.csv``, a grid of `per_side` squared examples, and ``test.csv``, points drawn at random.

    Args:
        folder: Where to write; appears at once when complete.
        seed: Of the points of the test.
        per_side: 2 are the corners alone.
        num_test: Points of the test.
    """
    side = np.linspace(0, 1, per_side)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    points = np.random.default_rng(seed).random((num_test, 2))
    with new_folder(folder) as root:
        for name, (x, y) in {"train": grid.T, "test": points.T}.items():
            columns = {"x": x, "y": y, **controls(x, y)}
            values = np.transpose([column.astype(object) for column in columns.values()])
            rows = [dict(zip(columns, row, strict=True)) for row in values]
            write_text_atomically(root / f"{name}.csv", csv_text(list(columns), rows))
