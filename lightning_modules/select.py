"""Finds the sounds of a library that are nearest to a recording, a vocal imitation say, as a trained tagger hears.

Similarity is the cosine between embeddings. Those of the library are kept in LIBRARY/.select.npz, or where --index
says: only new and changed files are listened to.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.audio.names import escape
from datamodules.config.arguments import CommandParser, at_least_one
from lightning_modules.config import cli
from lightning_modules.library.index import Index, index_library, unit
from lightning_modules.library.listening import Listener

EXAMPLE = """examples:
  python -m lightning_modules.select --ckpt_path tagger.ckpt --library samples boom.wav
  python -m lightning_modules.select --ckpt_path tagger.ckpt --library samples --top 3 --json boom.wav tss.wav

Exit codes: 0 found, 1 a recording or the library cannot be used (the message says why, and others are answered),
2 wrong use.
Names of files are written as by the command sort: a backslash as \\\\, bytes that are no text as \\xNN."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        listener = Listener(
            options.ckpt_path,
            device=options.device,
            allow_truncated=options.allow_truncated,
            num_workers=options.workers,
        )
        index = index_library(options.library, listener=listener, path=options.index)
        found, faults = nearest(options.recording, index, listener=listener, top=options.top)
    except (ValueError, OSError) as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return 1
    for line in [*_remarks(index), *(f"error: {path}: {fault}" for path, fault in faults.items())]:
        print(line, file=sys.stderr)
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for result in found:
            print(result["recording"])
            for rank, sound in enumerate(result["nearest"], start=1):
                print(f"  {rank:3d}  {sound['similarity']:.4f}  {sound['path']}")
    return int(bool(faults))


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.select", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("recording", nargs="+", help="audio file")
    add("--ckpt_path", required=True, metavar="FILE", help="trained tagger")
    add("--library", required=True, type=Path, metavar="DIR", help="folder of sounds, searched in depth")
    add("--top", type=at_least_one, default=10, metavar="K", help="sounds a recording (default: %(default)s)")
    add("--index", type=Path, metavar="FILE", help="where embeddings are kept (default: LIBRARY/.select.npz)")
    add("--json", action="store_true", help="print JSON")
    add("--allow_truncated", action="store_true", help="hear what there is of files that were cut off")
    add("--device", default="auto", help="cpu, cuda, ... (default: the accelerator, if there is one)")
    add("--workers", type=int, metavar="N", help="processes that decode (default: by the CPUs)")
    return parser


def nearest(
    recordings: Sequence[str], index: Index, *, listener: Listener, top: int
) -> tuple[list[dict], dict[str, str]]:
    """Ranks the sounds of an index by their similarity to each recording.

    Returns:
        One ``{"recording": path, "nearest": [{"path": ..., "similarity": cosine}, ...]}`` for each that can be listened
        to, and path -> reason of those that cannot; names escaped.

    Raises:
        ValueError: If the library has no sound.
    """
    if not index.files:
        raise ValueError("the library has no sound to select: name another folder with --library")
    found: dict[int, dict] = {}
    faults: dict[int, str] = {}
    for number, embedding in listener.embeddings(recordings):
        if isinstance(embedding, str):
            faults[number] = embedding
            continue
        similarity = index.embedding @ unit(embedding.numpy())
        best = np.argsort(-similarity, kind="stable")[:top].tolist()
        sounds = [
            {"path": escape(index.files[row].path), "similarity": float(similarity[row])} for row in best
        ]
        found[number] = {"recording": escape(recordings[number]), "nearest": sounds}
    return (
        [found[number] for number in sorted(found)],
        {escape(recordings[number]): escape(faults[number]) for number in sorted(faults)},
    )


def _remarks(index: Index) -> list[str]:
    remarks = []
    if index.faults:
        remarks.append(f"{len(index.faults)} files are not searched:")
        remarks += [f"  {escape(path)}: {escape(reason)}" for path, reason in sorted(index.faults.items())]
    if not index.is_kept:
        remarks.append("the index cannot be kept in the library: name a place with --index")
    return remarks


if __name__ == "__main__":
    cli.one_line_errors(lambda: sys.exit(main()))
