"""Writes the reference of all public names, from their docstrings, to build/docs."""

from pathlib import Path

import pdoc

import datamodules
from lightning_modules import metrics

for package in (datamodules, metrics):  # they import on first use, where pdoc would find nothing
    vars(package).update({name: getattr(package, name) for name in package.__all__})
pdoc.render.configure(docformat="google")
pdoc.pdoc("lightning_modules", "datamodules", output_directory=Path("build/docs"))
