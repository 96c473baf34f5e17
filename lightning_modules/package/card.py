"""The README of a package: what the model is, where it comes from, how good it was, how to use it."""

import csv
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from lightning_modules.package.engines import taken_by_auto
from lightning_modules.package.folder import Package

_NOT_FIGURES = ("experiment", "run", "checkpoint", "commit", "date", "seed", "settings")


def model_card(package: Package, *, title: str, method: type, results: Path, files: Sequence[str]) -> str:
    """Returns Markdown.

    Args:
        package: Of which `about` tells the training data, the parity of its forms and so on.
        title: Name of the model.
        method: The Lightning module's class, whose documentation says what was trained.
        results: results.csv of the run, which may be missing.
        files: Names of the files in the package.
    """
    return "\n".join(
        [
            f"# {title}",
            "",
            _first_line(method),
            "",
            *_what(package, method),
            *_section("Results", _results(results)),
            *_section("Training data", _mapping(package.about["data"])),
            *_section("Use", _usage(package, files)),
            *_section("Limits", _limits(package)),
            *_section("Provenance", _mapping(package.about["provenance"])),
            "Licence of the weights: not stated by the run; it follows from the training data and any weights that the"
            " training began with.",
            "",
        ]
    )


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _first_line(documented: type) -> str:
    return (inspect.getdoc(documented) or "").split("\n\n")[0].replace("\n", " ")


def _sources(*documented: type) -> str:
    """The papers that the classes' documentation names."""
    found: dict[str, None] = {}
    for each in documented:
        for text in (inspect.getdoc(each), sys.modules[each.__module__].__doc__):
            for match in re.finditer(r"Sources?: (.+?)(?=\n\n|\n\S+ letters|\Z)", text or "", re.DOTALL):
                found[" ".join(match[1].split())] = None
    return " ".join(found) or "none named"


def _what(package: Package, method: type) -> list[str]:
    network, frontend = package.scorer.network, package.scorer.frontend
    num_weights = sum(weight.numel() for weight in package.scorer.parameters())
    front = (
        "the waveform itself"
        if frontend is None
        else f"{type(frontend).__name__}: {_first_line(type(frontend))}"
    )
    parts: list[type[nn.Module] | type] = [method, type(network)]
    lines = [
        f"- Network: {type(network).__name__}, {num_weights:,} parameters. {_first_line(type(network))}",
        f"- Input: {front}",
        f"- Score: {package.scorer.meaning}.",
        f"- Source: {_sources(*parts)}",
    ]
    for head, names in package.scorer.heads.items():
        shown = ", ".join(names[:20]) + (
            f" and {len(names) - 20} more (package.json)" if len(names) > 20 else ""
        )
        lines.append(f"- Classes of `{head}`: {shown}.")
    for instance, threshold in package.thresholds.items():
        lines.append(f"- Threshold of {instance}: {threshold:.6g}")
    if (calibration := package.calibration) is not None:
        lines.append(f"- Log likelihood ratio: {calibration.scale[0]:.6g} score {calibration.offset:+.6g}")
    return [*lines, ""]


def _results(path: Path) -> list[str]:
    """The rows of results.csv as a table, figures as they were written."""
    if not path.is_file():
        return ["The run has not been tested: no results.csv."]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name not in _NOT_FIGURES]
    table = [columns, ["---"] * len(columns), *([row[name] or "" for name in columns] for row in rows)]
    return ["| " + " | ".join(cells) + " |" for cells in table]


def _mapping(values: Mapping[str, object]) -> list[str]:
    return [f"- {name}: {value}" for name, value in values.items()]


def _usage(package: Package, files: Sequence[str]) -> list[str]:
    listening = package.listening
    cut = (
        "whole clips"
        if listening.crop_s is None
        else f"the first {listening.crop_s} s, shorter clips filled by"
    )
    cut += "" if listening.crop_s is None else f" `{listening.padding}`"
    channels = ", channels averaged" if listening.mono else ""
    if listening.channel is not None:
        channels = f", channel {listening.channel} (from 0) heard alone"
    lines = [
        "```",
        "python -m lightning_modules.predict --package . call.wav recordings/",
        "cat call.flac | python -m lightning_modules.predict --package . -",
        "arecord -t raw -f S16_LE -r 16000 | python -m lightning_modules.predict --package . --rate 16000 --stream -",
        "```",
        "",
        f"Any format and sample rate is taken to {listening.sample_rate} Hz{channels}; scored are {cut}.",
    ]
    if listening.num_views > 1:
        lines.append(f"Scores are the mean of {listening.num_views} such crops, evenly spaced.")
    by = "PyTorch" if taken_by_auto(package.scorer) == "eager" else "ONNX Runtime where `model.onnx` is there"
    lines += [
        "",
        f"On a CPU as the one it was exported on `--engine auto` scores by {by}; `--engine eager` always is",
    ]
    lines[-1] += (
        " PyTorch, `--engine onnxruntime` the graph, whose scores must be within 1e-5 of the largest."
    )
    graphs = [name for name in files if name.endswith((".pt2", ".onnx"))]
    if graphs:
        lines += ["", f"`{'`, `'.join(graphs)}`: {package.about['graphs']}"]
    return lines


def _limits(package: Package) -> list[str]:
    known = (
        "- Scores rank clips; thresholds and log likelihood ratios were fitted on the run's own kind of data."
        if package.calibration or package.thresholds
        else "- Scores are not calibrated: they rank clips, and a decision needs a threshold found on data like yours."
    )
    lines = [
        known,
        "- Other recording conditions, codecs and classes than those of the training data were not tested.",
    ]
    parity = ", ".join(f"{name} {share:.1e}" for name, share in package.about["parity"].items())
    return [*lines, f"- Difference from the checkpoint, as a share of the range of its scores: {parity}."]
