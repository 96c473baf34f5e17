r"""Put a recording through a trained effect or denoiser.

    python -m lightning_modules.process --ckpt_path runs/production_effect/x/checkpoints/last.ckpt \
        --knobs threshold=-20,ratio=4 in.wav out.wav

Any length and sample rate; channels are processed one by one.
"""

import argparse
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from datamodules import audio
from datamodules.files import write_bytes_atomically
from lightning_modules.checkpoints import load_weights
from lightning_modules.cli import build, main


def process() -> None:
    """Parses the command line, processes the file and says how long it took."""
    arguments = _parser().parse_args()
    if arguments.output.resolve() == arguments.input.resolve():
        raise ValueError(f"{arguments.output}: is the input, which is never overwritten: name another output")
    model = load(arguments.ckpt_path)
    knobs = read_knobs(arguments.knobs, getattr(model, "knobs", {}))
    waveform, rate = audio.read(arguments.input)
    begin = time.perf_counter()
    output = render(model, waveform, rate, knobs)
    elapsed = time.perf_counter() - begin
    write(arguments.output, output, rate)
    seconds = waveform.shape[1] / rate
    resampled = (
        "" if rate == model.sample_rate else f", resampled to the network's {model.sample_rate} Hz and back"
    )
    print(
        f"{arguments.output}: {seconds:.1f} s x {len(waveform)} channels at {rate} Hz{resampled}; {elapsed:.1f} s,"
        f" {seconds / elapsed:.1f} x real time; look-ahead {model.look_ahead} samples"
    )


def load(ckpt_path: str) -> Any:
    """The trained model, from its checkpoint alone.

    Raises:
        ValueError: The checkpoint is damaged or its model processes no audio.
    """
    model = build("process", "", [f"--ckpt_path={ckpt_path}", "--tracking.wandb=disabled"]).model
    if not hasattr(model, "render"):
        raise ValueError(
            f"{ckpt_path}: {type(model).__name__} gives no audio: name an effect's or a denoiser's"
        )
    load_weights(model, ckpt_path)
    return model.eval()


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


def render(model: Any, waveform: Tensor, rate: int, knobs: Tensor | None) -> Tensor:
    """Processes (channel, time) at `rate` Hz, channel by channel, and returns the same shape."""
    inner = audio.resample(waveform, rate, model.sample_rate)
    channels = [model.render(channel[None, None], knobs)[0] for channel in inner]
    output = audio.resample(torch.cat(channels), model.sample_rate, rate)
    return output[:, : waveform.shape[1]]


def write(path: Path, waveform: Tensor, rate: int) -> None:
    """Writes (channel, time) as a whole or not at all, in 32-bit float where the format has it: nothing clips.

    Raises:
        ValueError: The file's ending names no known format.
    """
    kind = path.suffix.removeprefix(".").upper()
    if kind not in soundfile.available_formats():
        raise ValueError(f"{path}: unknown audio format: end the name in .wav or .flac")
    subtype = "FLOAT" if soundfile.check_format(kind, "FLOAT") else None
    content = io.BytesIO()
    soundfile.write(content, waveform.T.numpy(), rate, format=kind, subtype=subtype)
    write_bytes_atomically(path, content.getvalue())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.process",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ckpt_path", required=True, help="checkpoint of an effect or a denoiser")
    parser.add_argument("--knobs", default="", help="e.g. threshold=-20,ratio=4; others stand in the middle")
    parser.add_argument("input", type=Path, help="recording, any format that can be decoded")
    parser.add_argument("output", type=Path, help="where to write; the ending decides the format")
    return parser


if __name__ == "__main__":
    main(process)
