r"""Put a recording through a trained effect, denoiser or time aligner.

    python -m lightning_modules.process --ckpt_path runs/production_effect/x/checkpoints/last.ckpt \
        --knobs threshold=-20,ratio=4 in.wav out.wav
    python -m lightning_modules.process --ckpt_path runs/production_align/x/checkpoints/last.ckpt \
        --bpm 120 drums.wav tight.wav

Any length, sample rate and number of channels; an aligner moves all channels together.
"""

import argparse
import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from datamodules import audio
from datamodules.config.arguments import CommandParser, at_least_one
from datamodules.files import write_bytes_atomically
from lightning_modules.commands.trained import trained_tool
from lightning_modules.config import cli
from lightning_modules.production import Denoiser, LearnedEffect, TimeAligner

Job = Callable[[Tensor, int], Tensor]
"""(channel, time) and its rate in Hz -> the same shape"""

_BLOCK = 1 << 16  # samples written at once: a minute of Vorbis at once overflows libsndfile's stack


def process() -> None:
    """Parses the command line, processes the file and says how long it took."""
    options = _parser().parse_args()
    if options.output.resolve() == options.input.resolve():
        raise ValueError(f"{options.output}: is the input, which is never overwritten: name another output")
    kind, subtype = format_of(options.output)
    waveform, rate = audio.read(options.input, allow_truncated=options.allow_truncated)
    kinds = (LearnedEffect, Denoiser, TimeAligner)
    tool = trained_tool(options.ckpt_path, *kinds, wanted="an effect, a denoiser or a time aligner")
    model = tool.model
    job = job_of(model, options, tool.datamodule.resampler)
    begin = time.perf_counter()
    output = job(waveform, rate)
    elapsed = time.perf_counter() - begin
    write(options.output, output, rate, kind=kind, subtype=subtype)
    seconds = waveform.shape[1] / rate
    print(
        f"{options.output}: {seconds:.1f} s x {len(waveform)} channels at {rate} Hz in {elapsed:.2f} s,"
        f" {seconds / elapsed:.1f} x real time; {_remarks(model, output, rate, subtype)}"
    )


def job_of(model: Any, options: argparse.Namespace, resampler: audio.Resampler) -> Job:
    """What the options ask the model to do, at its own rate by the resampler of its training.

    Raises:
        ValueError: They lack what the model needs, or have what it does not know.
    """
    if isinstance(model, TimeAligner):
        if options.knobs or options.bpm is None:
            raise ValueError(
                "a time aligner has no knobs and moves hits to the grid of a tempo: give --bpm, and perhaps"
                " --steps_per_beat and --offset_s"
            )
        grid = {"steps_per_beat": options.steps_per_beat, "offset_s": options.offset_s}
        return partial(model.align, bpm=options.bpm, **grid, resampler=resampler)
    if options.bpm is not None:
        raise ValueError(f"--bpm {options.bpm:g}: {type(model).__name__} knows no tempo: leave it out")
    return partial(render, model, knobs=read_knobs(options.knobs, model.knobs), resampler=resampler)


def read_knobs(text: str, ranges: Mapping[str, Sequence[float]]) -> Tensor | None:
    """``name=value,...`` -> settings (1, knob) in [-0.5, 0.5]; knobs that are not named stand in the middle.

    Raises:
        ValueError: A knob is unknown, not a number or out of its range; the line names all knobs.
    """
    known = ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in ranges.items()) or "none"
    settings = dict.fromkeys(ranges, 0.0)
    for part in filter(None, text.split(",")):
        name, _, value = (each.strip() for each in part.partition("="))
        if name not in ranges:
            raise ValueError(f"--knobs: no knob {name!r}; there are: {known}")
        low, high = ranges[name]
        try:
            inside = low <= float(value) <= high
        except ValueError:
            inside = False
        if not inside:
            raise ValueError(
                f"--knobs: {name}={value} is not a number from {low:g} to {high:g}; there are: {known}"
            )
        settings[name] = (float(value) - low) / (high - low) - 0.5
    return torch.tensor([list(settings.values())]) if settings else None


def render(
    model: Any,
    waveform: Tensor,
    rate: int,
    *,
    knobs: Tensor | None = None,
    resampler: audio.Resampler = "soxr_hq",
) -> Tensor:
    """Processes (channel, time) at `rate` Hz, channel by channel, and returns the same shape."""
    inner = audio.resample(waveform, rate, model.sample_rate, resampler).to(model.device)
    knobs = None if knobs is None else knobs.to(model.device)
    channels = [model.render(channel[None, None], knobs)[0] for channel in inner]
    output = audio.resample(torch.cat(channels).cpu(), model.sample_rate, rate, resampler)
    return output[:, : waveform.shape[1]]


def format_of(path: Path) -> tuple[str, str | None]:
    """Format that a file's ending names, and its finest subtype; None is the format's own.

    Raises:
        ValueError: The ending names no known format.
    """
    kind = path.suffix.removeprefix(".").upper()
    if kind not in soundfile.available_formats():
        raise ValueError(f"{path}: unknown audio format: end the name in .wav or .flac")
    fine = (subtype for subtype in ("FLOAT", "PCM_24") if soundfile.check_format(kind, subtype))
    return kind, next(fine, None)


def write(path: Path, waveform: Tensor, rate: int, *, kind: str, subtype: str | None) -> None:
    """Writes (channel, time) as a whole or not at all.

    Raises:
        ValueError: The format does not take this rate or number of channels.
    """
    content = io.BytesIO()
    try:
        with soundfile.SoundFile(content, "w", rate, len(waveform), format=kind, subtype=subtype) as file:
            for block in waveform.T.split(_BLOCK):
                file.write(block.numpy())
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{path}: {kind} takes no {len(waveform)} channels at {rate} Hz ({error}): end the name in .wav"
        ) from None
    write_bytes_atomically(path, content.getvalue())


def _remarks(model: Any, output: Tensor, rate: int, subtype: str | None) -> str:
    """How far the model looks ahead, and what happened to the recording on the way."""
    ahead = None if isinstance(model, TimeAligner) else model.network.look_ahead
    samples = None if ahead is None else ahead + model.stride - 1  # of a stride, the first hears all
    remarks = ["hears what follows" if samples is None else f"look-ahead {samples} samples"]
    if rate != model.sample_rate and not isinstance(model, TimeAligner):
        remarks.append(f"resampled to the network's {model.sample_rate} Hz and back")
    if subtype != "FLOAT" and (peak := float(output.abs().max())) > 1:
        remarks.append(f"clipped, for its peak is {peak:.2f} of full scale: .wav keeps it")
    return "; ".join(remarks)


def _parser() -> CommandParser:
    parser = CommandParser("lightning_modules.process", description=__doc__)
    add = parser.add_argument
    add("--ckpt_path", required=True, help="checkpoint of an effect, a denoiser or a time aligner")
    add("--knobs", default="", help="of an effect, e.g. threshold=-20,ratio=4; others stand in the middle")
    add("--bpm", type=float, help="tempo whose grid a time aligner moves hits to")
    add(
        "--steps_per_beat",
        type=at_least_one,
        default=2,
        help="steps of that grid (default: %(default)s, eighths)",
    )
    add("--offset_s", type=float, default=0.0, help="where a beat lies, in seconds (default: %(default)s)")
    add("--allow_truncated", action="store_true", help="take what there is of a recording that was cut off")
    add("input", type=Path, help="recording, any format that can be decoded")
    add("output", type=Path, help="where to write; the ending decides the format")
    return parser


if __name__ == "__main__":
    cli.one_line_errors(process)
