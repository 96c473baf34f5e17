"""``predict --package``: scores files, folders or standard input by a package alone."""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from datamodules.config.arguments import CommandParser, at_least_one
from datamodules.files import write_csv
from lightning_modules.package.class_scores import ClassScores
from lightning_modules.package.engine_names import ENGINES
from lightning_modules.package.files import clips_of
from lightning_modules.package.folder import read_package
from lightning_modules.package.predicted import predicted
from lightning_modules.package.readings import Reading, read_out, readings, undecided
from lightning_modules.package.scored_files import ScoredFiles, Wanted
from lightning_modules.package.stream import open_source, score_stream
from lightning_modules.processes.allocator import keep_freed_memory

_DESCRIPTION = """Scores audio by an inference package, without Lightning, W&B or a data set.

Exit codes: 0 scored, 1 nothing was scored, or with --strict not every file (the reasons are listed), 2 wrong use.

Examples:
    python -m lightning_modules.predict --package runs/x/y/package call.wav recordings/ --output scores.csv
    python -m lightning_modules.predict --package PACKAGE --windows --top 3 ten_minutes.mp3
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
    keep_freed_memory()
    package = read_package(arguments.package)
    if arguments.allow_truncated:
        package = replace(package, listening=replace(package.listening, allow_truncated=True))
    device, names = _device(arguments.device), ClassScores.of(package.scorer)
    read = readings(package.thresholds, calibration=package.calibration, instance=arguments.instance)
    if why := undecided(package.thresholds, arguments.instance):
        print(why, file=sys.stderr)
    if arguments.stream:
        source = open_source(sys.stdin.buffer, pcm_rate=arguments.rate)
        found = score_stream(package, source, device, window_s=arguments.window_s, hop_s=arguments.hop_s)
        _stream(found, names, read, arguments)
        return
    wanted = Wanted(
        output=arguments.output, top=arguments.top, windows=arguments.windows, strict=arguments.strict
    )
    scored = ScoredFiles(wanted, names, partial(_write, names, read), read)
    with clips_of(arguments.sources, sys.stdin.buffer, pcm_rate=arguments.rate) as clips:
        found = predicted(package, clips, device, keep_windows=arguments.windows, engine=arguments.engine)
        scored.take(found)
    scored.close()


def _stream(
    found: Iterable[tuple[float, Tensor]],
    names: ClassScores,
    read: Mapping[str, Reading],
    arguments: argparse.Namespace,
) -> None:
    """Prints each window as soon as it is scored, or writes a CSV file of all."""
    if arguments.output is not None:
        starts, scores = zip(*found, strict=True) if (found := list(found)) else ((), ())
        _write(names, read, arguments.output, [f"{start_s:.3f}" for start_s in starts], scores)
        return
    for start_s, score in found:
        print(names.line([f"{start_s:.3f}"], score, arguments.top) + read_out(read, score), flush=True)


def _write(
    names: ClassScores,
    read: Mapping[str, Reading],
    output: str,
    keys: Sequence[str],
    scores: Iterable[Tensor],
) -> None:
    """Writes a CSV file of all scores."""
    rows = [["key", *names.columns, *read]]
    for key, score in zip(keys, scores, strict=True):
        values = [*score.flatten().tolist(), *(reading(score) for reading in read.values())]
        rows.append([key, *(f"{value:.9g}" for value in values)])
    write_csv(output, rows)


def _device(name: str | None) -> torch.device:
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from None


def _parse() -> argparse.Namespace:
    parser = CommandParser("lightning_modules.predict", description=_DESCRIPTION)
    parser.add_argument(
        "--package", required=True, help="folder that lightning_modules.export wrote, or hf://OWNER/NAME"
    )
    parser.add_argument(
        "--output",
        help="CSV file of all scores, with a table of all files beside it; without it, lines are printed",
    )
    parser.add_argument(
        "--top", type=at_least_one, metavar="K", help="classes to name (default: the best one)"
    )
    parser.add_argument("--windows", action="store_true", help="a row a window of every file, with its times")
    parser.add_argument("--strict", action="store_true", help="fail where a file could not be scored")
    parser.add_argument(
        "--allow_truncated", action="store_true", help="score what there is of files that were cut off"
    )
    parser.add_argument(
        "--instance", help="machine instance whose threshold decides, where the package has several"
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what computes on a CPU (default: auto, which takes onnxruntime where it was measured to be faster)",
    )
    parser.add_argument(
        "--rate", type=_positive_int, help="standard input is raw 16-bit mono samples of this rate"
    )
    parser.add_argument(
        "--stream", action="store_true", help="score windows of standard input as they come in"
    )
    parser.add_argument("--window_s", type=_positive, help="window of a package that scores whole clips")
    parser.add_argument("--hop_s", type=_positive, help="from window to window (default: half a window)")
    parser.add_argument(
        "sources",
        nargs="+",
        help="audio files, folders, .txt lists, .csv or .tsv tables with a column path, or - for standard input",
    )
    arguments = parser.parse_args(_with_dashes(sys.argv[1:], parser.known))
    if arguments.stream and arguments.sources != ["-"]:
        parser.error("--stream reads standard input: name - and nothing else")
    if not arguments.stream and (arguments.window_s or arguments.hop_s):
        parser.error("--window_s and --hop_s belong to --stream")
    return arguments


def _with_dashes(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Words of a command line, of which names of files that begin with a dash are no options."""
    return [
        f".{os.sep}{word}"
        if word.startswith("-") and word != "-" and word.split("=")[0] not in options and Path(word).exists()
        else word
        for word in words
    ]


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError
    return value


def _positive_int(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value
