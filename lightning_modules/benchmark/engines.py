"""What computes scores fastest on this CPU: where `package.engines.taken_by_auto` comes from."""

import statistics
from typing import Any

import torch

from datamodules.hearing import Listening
from lightning_modules.benchmark.steps import ROUNDS, now
from lightning_modules.package.eager import Eager
from lightning_modules.package.engines import choose, taken_by_auto
from lightning_modules.package.graphs import example_clips
from lightning_modules.package.scorers import Scorer

_CPU = torch.device("cpu")


@torch.inference_mode()
def engine_figures(scorer: Scorer, listening: Listening, *, num_clips: int) -> dict[str, Any]:
    """Clips a second of the scorer as it is, and over it, in turns and in processor time, of PyTorch and ONNX Runtime.

    Args:
        scorer: In evaluation mode on the CPU.
        listening: How clips are cut.
        num_clips: At once.

    Raises:
        ValueError: ONNX Runtime cannot score so.
    """
    by_graph = choose(scorer, listening, "onnxruntime")
    seconds = (
        listening.crop_s or (scorer.min_samples + listening.sample_rate) / listening.sample_rate
    )  # shortest clip and 1 s
    size = round(seconds * listening.sample_rate)
    clips = example_clips(num_clips, 1, size, sample_rate=listening.sample_rate)
    engines = {"plain": scorer, "eager": Eager(scorer), "onnxruntime": by_graph.score}
    for engine in engines.values():  # warms up
        engine(clips, None)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            begin = now(_CPU)
            engine(clips, None)
            times[name].append(now(_CPU).since(begin).cpu)
    over = {
        f"{name}_over_plain": statistics.median(
            plain / own for plain, own in zip(times["plain"], times[name], strict=True)
        )
        for name in ("eager", "onnxruntime")
    }
    return {
        "network": type(scorer.network).__name__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "clips": [num_clips, size],
        "plain_clips_per_cpu_s": num_clips / statistics.median(times["plain"]),
        **over,
        "auto_takes": taken_by_auto(scorer),
        "remark": by_graph.remark,
    }
