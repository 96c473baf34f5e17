"""A scorer as a graph for other programs, and how far from its checkpoint any form of it is."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from lightning_modules.package.scorers import Scorer

LIMIT = 1e-4  # of the range of the scores, or of 1: those of an untrained network hardly differ
_EXTRA = "pip install 'audio-research-platform[export]'"
NAMES = {"torch_export": "model.pt2", "onnx": "model.onnx"}


def trace(scorer: Scorer, waveform: Tensor, *, any_length: bool) -> ExportedProgram:
    """Captures a scorer for any batch, and any length where asked for.

    Args:
        scorer: In evaluation mode.
        waveform: An example (batch, channel, time) of at least two clips.
        any_length: Clips of any length, all of a batch alike; otherwise of the example's.

    Raises:
        ValueError: The network cannot take that.
    """
    shapes = ({0: Dim.DYNAMIC, **({2: Dim.DYNAMIC} if any_length else {})},)
    # Flash attention lays its result out in memory as no other program does.
    with torch.inference_mode(False), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        try:
            return torch.export.export(scorer, (waveform,), dynamic_shapes=shapes)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
    what = "clips of any length" if any_length else "batches of any size"
    raise ValueError(
        f"{type(scorer.network).__name__} cannot be captured for {what} ({reason}): export without graphs"
        + (", or without --any_length" if any_length else "")
    )


def save_torch_export(program: ExportedProgram, path: Path) -> Callable[[Tensor], Tensor]:
    """Writes ``model.pt2`` and returns what the file computes."""
    torch.export.save(program, path)
    return torch.export.load(path).module()


def save_onnx(program: ExportedProgram, path: Path) -> Callable[[Tensor], Tensor]:
    """Writes ``model.onnx``, from ``waveform`` to ``score``, and returns what ONNX Runtime computes of it.

    Raises:
        ValueError: The packages of the extra "export" are missing, or an operator has no ONNX form.
    """
    try:
        import onnxscript  # noqa: F401  # the exporter's own message comes late
    except ImportError as error:
        raise ValueError(f"{error}: {_EXTRA}") from None
    try:
        with sdpa_kernel(SDPBackend.MATH):
            onnx_program: Any = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=["waveform"], output_names=["score"]
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ValueError(f"{path.name}: not written ({reason}): export without --onnx") from error
    onnx_program.save(path)
    return onnx_session(path)


def onnx_session(path: Path) -> Callable[[Tensor], Tensor]:
    """What ONNX Runtime computes of a file from ``waveform`` to ``score``, on as many threads as PyTorch.

    Raises:
        ValueError: ONNX Runtime is missing, or the file is no graph of it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(f"{error}: {_EXTRA}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's have no base of their own
        raise ValueError(f"{path}: damaged ({str(error).splitlines()[0]}); export it again") from None
    return lambda waveform: torch.from_numpy(np.asarray(session.run(None, {"waveform": waveform.numpy()})[0]))


def difference(
    score: Callable[[Tensor], Tensor], examples: Sequence[Tensor], expected: Sequence[Tensor], name: str
) -> float:
    """Largest difference of scores from those of the checkpoint, as a share of the range of these, or of 1.

    Args:
        score: Scores a batch (batch, channel, time).
        examples: Batches.
        expected: What the checkpoint gives for each.
        name: What is compared, for the message.

    Raises:
        ValueError: It is above `LIMIT`, or not a number.
    """
    with torch.inference_mode():
        found = torch.cat([score(waveform).double().flatten() for waveform in examples])
    wanted = torch.cat([scores.double().flatten() for scores in expected])
    spread = max(float(wanted.max() - wanted.min()), 1.0)
    share = float((found - wanted).abs().max()) / spread
    if not share <= LIMIT:
        raise ValueError(
            f"{name} differs from the checkpoint by {share:.1e} of the range of its scores, and {LIMIT:.0e} is allowed:"
            " no package is written"
        )
    return share


def example_clips(num_clips: int, num_channels: int, num_samples: int, *, sample_rate: int) -> Tensor:
    """Noise, and tones under swelling envelopes with echoes and noise, as (clip, channel, time) in [-1, 1]."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.rand(*size, generator=generator)

    seconds = torch.arange(num_samples) / sample_rate
    noise = draw(num_clips, num_channels, num_samples) - 0.5
    pitch = 80 + 300 * draw(num_clips, 1, 1) + 20 * torch.sin(2 * torch.pi * 3 * seconds)
    phase = 2 * torch.pi * (pitch / sample_rate).cumsum(-1)
    tones = sum(torch.sin(order * phase) / order for order in range(1, 13))
    envelope = torch.sin(torch.pi * (1 + 3 * draw(num_clips, 1, 1)) * seconds).square()
    voiced = 0.2 * envelope * tones + 0.01 * noise
    voiced = voiced + 0.3 * voiced.roll(sample_rate // 20, -1)
    is_voiced = (torch.arange(num_clips) % 2 == 1)[:, None, None]
    return torch.where(is_voiced, voiced, 0.2 * noise)
