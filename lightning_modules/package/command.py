"""``predict --package``: scores files, folders or standard input by a package alone."""

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from datamodules.config.arguments import CommandParser
from datamodules.files import write_text_atomically
from lightning_modules.package.files import clips_of, score_clips
from lightning_modules.package.folder import read_package
from lightning_modules.package.readings import Reading, readings
from lightning_modules.package.stream import open_source, score_stream

_DESCRIPTION = """Scores audio by an inference package, without Lightning, W&B or a data set.

Examples:
    python -m lightning_modules.predict --package runs/x/y/package call.wav recordings/ --output scores.csv
    python -m lightning_modules.predict --package PACKAGE --instance fan_id_00 machine_room/   # with a decision
    cat call.flac | python -m lightning_modules.predict --package PACKAGE -
    arecord -t raw -f S16_LE -r 16000 | python -m lightning_modules.predict --package PACKAGE --rate 16000 --stream -
    tail -c +1 -f growing.wav | python -m lightning_modules.predict --package PACKAGE --stream -
"""


def main() -> None:
    """Runs the command; a user's error is one line and exit code 1, set TRACEBACK=1 to see where it came from."""
    arguments = _parse()
    try:
        _run(arguments)
    except (ValueError, OSError) as error:
        if os.environ.get("TRACEBACK"):
            raise
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(1) from None


def _run(arguments: argparse.Namespace) -> None:
    package = read_package(arguments.package)
    device, heads = _device(arguments.device), package.scorer.heads
    read = readings(package, arguments.instance)
    if arguments.stream:
        source = open_source(sys.stdin.buffer, pcm_rate=arguments.rate)
        found = score_stream(package, source, device, window_s=arguments.window_s, hop_s=arguments.hop_s)
        _write(((f"{start_s:.3f}", score) for start_s, score in found), heads, read, arguments.output)
        return
    with clips_of(arguments.sources, sys.stdin.buffer, pcm_rate=arguments.rate) as clips:
        _write(score_clips(package, clips, device), heads, read, arguments.output)


def _write(
    scored: Iterable[tuple[str, Tensor]],
    heads: Mapping[str, Sequence[str]],
    read: Mapping[str, Reading],
    output: str | None,
) -> None:
    """Prints one line a clip as soon as it is scored, or writes a CSV file of all scores."""
    if output is None:
        for key, score in scored:
            more = "".join(f" {reading(score):.9g}" for reading in read.values())
            print(line(key, score, heads) + more, flush=True)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    names = [f"{head}/{name}" for head, names in heads.items() for name in names]
    rows.writerow(["key", *(names or ["score"]), *read])
    for key, score in scored:
        values = [*score.flatten().tolist(), *(reading(score) for reading in read.values())]
        rows.writerow([key, *(f"{value:.9g}" for value in values)])
    write_text_atomically(output, text.getvalue())


def line(key: str, score: Tensor, heads: Mapping[str, Sequence[str]]) -> str:
    """``KEY SCORE``, or ``KEY`` and for every head ``CLASS PROBABILITY`` of its best class, between tabs.

    >>> line("call", torch.tensor(0.5), {})
    'call 0.5'
    """
    if not heads:
        return f"{key} {score:.9g}"
    best = [part.max(dim=0) for part in score.split([len(names) for names in heads.values()])]
    cells = [
        f"{names[int(found.indices)]}\t{found.values:.4f}"
        for names, found in zip(heads.values(), best, strict=True)
    ]
    return "\t".join([key, *cells])


def _device(name: str | None) -> torch.device:
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from None


def _parse() -> argparse.Namespace:
    parser = CommandParser("lightning_modules.predict", description=_DESCRIPTION)
    parser.add_argument("--package", required=True, help="folder that lightning_modules.export wrote")
    parser.add_argument("--output", help="CSV file of all scores; without it, lines are printed")
    parser.add_argument(
        "--instance", help="machine instance whose threshold decides, where the package has several"
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument(
        "--rate", type=_positive_int, help="standard input is raw 16-bit mono samples of this rate"
    )
    parser.add_argument(
        "--stream", action="store_true", help="score windows of standard input as they come in"
    )
    parser.add_argument("--window_s", type=_positive, help="window of a package that scores whole clips")
    parser.add_argument("--hop_s", type=_positive, help="from window to window (default: half a window)")
    parser.add_argument(
        "sources", nargs="+", help="audio files, folders, .txt lists of paths, or - for standard input"
    )
    arguments = parser.parse_args()
    if arguments.stream and arguments.sources != ["-"]:
        parser.error("--stream reads standard input: name - and nothing else")
    if not arguments.stream and (arguments.window_s or arguments.hop_s):
        parser.error("--window_s and --hop_s belong to --stream")
    return arguments


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError
    return value


def _positive_int(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value
