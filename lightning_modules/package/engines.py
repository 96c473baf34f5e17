"""What computes scores on a CPU: PyTorch, or ONNX Runtime from a graph."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from datamodules.hearing import Listening
from lightning_modules.package.eager import Eager
from lightning_modules.package.engine_names import Engine
from lightning_modules.package.graphs import example_clips, onnx_session, save_onnx, trace
from lightning_modules.package.scorers import Scorer

PARITY = 1e-5  # of the largest score
_NUM_EXAMPLES = 4

_FASTER_BY_ONNX = {("AVX2", "AASIST")}
"""Capability of a CPU and network, measured by ``python -m lightning_modules.benchmark --engines``."""

Score = Callable[..., Tensor]


class Chosen(NamedTuple):
    """An engine.

    Attributes:
        score: Called as the scorer is.
        name: Of the engine.
        remark: What is to be said of the choice; empty where there is nothing.
    """

    score: Score
    name: Literal["eager", "onnxruntime"]
    remark: str = ""


def taken_by_auto(scorer: Scorer) -> Literal["eager", "onnxruntime"]:
    """What ``auto`` takes on such a CPU, where it is there and gives the same scores; no clock is asked."""
    measured = (torch.backends.cpu.get_cpu_capability(), type(scorer.network).__name__)
    return "onnxruntime" if measured in _FASTER_BY_ONNX else "eager"


def choose(scorer: Scorer, listening: Listening, wanted: Engine, graph: Path | None = None) -> Chosen:
    """Returns what scores.

    Args:
        scorer: In evaluation mode, on its device.
        listening: How clips are cut.
        wanted: ``auto`` goes by `taken_by_auto`, and takes PyTorch where ONNX Runtime cannot.
        graph: ``model.onnx`` of a package; None makes one of the scorer.

    Raises:
        ValueError: ONNX Runtime is asked for, and cannot score here, or scores otherwise.
    """
    eager = Eager(scorer)
    if wanted == "eager" or (wanted == "auto" and taken_by_auto(scorer) == "eager"):
        return Chosen(eager, "eager")
    try:
        by_graph, share = _by_graph(scorer, listening, eager, graph)
    except ValueError as error:
        if wanted == "onnxruntime":
            raise ValueError(f"--engine onnxruntime: {error}; or take --engine eager") from None
        return Chosen(eager, "eager", f"engine: eager, for onnxruntime is not to be had: {error}")
    remark = f"engine: onnxruntime, whose scores differ from those of PyTorch by {share:.0e} of the largest"
    return Chosen(by_graph, "onnxruntime", remark)


def _by_graph(scorer: Scorer, listening: Listening, eager: Eager, graph: Path | None) -> tuple[Score, float]:
    """What scores by a graph, and the largest difference from PyTorch over the largest score."""
    if not eager.is_simplified:
        raise ValueError("it scores float weights on a CPU")
    if scorer.obstacle:
        raise ValueError(scorer.obstacle)
    if graph is not None and not graph.is_file():
        raise ValueError(f"{graph}: no such file: export with --onnx")
    examples = _examples(scorer, listening)
    if graph is not None:
        run = onnx_session(graph)
    else:
        with tempfile.TemporaryDirectory() as folder:
            program = trace(scorer, examples[:2], any_length=listening.crop_s is None)
            run = save_onnx(program, Path(folder) / "model.onnx")
    try:
        found = run(examples).double()
    except RuntimeError as error:  # of ONNX Runtime
        raise ValueError(f"the graph takes no such clips ({str(error).splitlines()[0]})") from None
    with torch.inference_mode():
        expected = eager(examples, None).double()
    share = float((found - expected).abs().max() / expected.abs().max())
    if not share <= PARITY:
        raise ValueError(f"its scores differ by {share:.0e} of the largest, and {PARITY:.0e} is allowed")

    def score(waveform: Tensor, length: Tensor | None = None, *others: Any) -> Tensor:
        is_filled = length is not None and bool((length < waveform.shape[-1]).any())
        if is_filled and scorer.tells_filling:  # which a graph hears as sound
            return eager(waveform, length, *others)
        return run(waveform)

    return score, share


def _examples(scorer: Scorer, listening: Listening) -> Tensor:
    rate = listening.sample_rate
    size = scorer.min_samples + rate if listening.crop_s is None else round(listening.crop_s * rate)
    return example_clips(_NUM_EXAMPLES, 1, size, sample_rate=rate)
