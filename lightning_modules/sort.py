"""Files a library of sounds into folders by what a trained tagger hears in them, and takes that back.

Originals are neither moved nor changed, and nothing that is in the target is overwritten. A run that was cut off, by
a full disk say, goes on when it is started again; one over an unchanged library changes nothing. What was made is
listed in INTO/sorted.csv: path, tag, entry, or why a file is unsorted, and the probabilities of all classes.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.audio.names import escape
from datamodules.config.arguments import CommandParser, at_least_one
from lightning_modules.config import cli
from lightning_modules.library.listening import Listener
from lightning_modules.library.rule import Rule
from lightning_modules.library.sorter import Sorted, sort_library
from lightning_modules.library.spectrograms import write_spectrograms
from lightning_modules.library.undo import undo

EXAMPLE = """examples:
  python -m lightning_modules.sort --ckpt_path tagger.ckpt --into sorted --dry-run samples
  python -m lightning_modules.sort --ckpt_path tagger.ckpt --into sorted --mode symlink --threshold 0.6 samples
  python -m lightning_modules.sort --into sorted --undo
  python -m lightning_modules.sort --ckpt_path tagger.ckpt --spectrograms-only pack samples

Exit codes: 0 every sound is filed (undone: nothing stays), 1 not all of them (the report says why), 2 wrong use.
In lists, a backslash stands as \\\\ and a byte of a name that is no text as \\xNN."""

SHOWN = 20  # lines of a list on the screen


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    check_use(parser, options)
    try:
        if options.undo:
            return _undo(options)
        if options.spectrograms_only:
            return _pack(options)
        return _sort(options)
    except (ValueError, OSError) as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: nothing is lost, the same command goes on from here", file=sys.stderr)
        return 1


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.sort", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("library", nargs="?", type=Path, help="folder of sounds, searched in depth and through links")
    add("--ckpt_path", metavar="FILE", help="trained tagger")
    add("--into", type=Path, metavar="DIR", help="folder of the tags")
    add(
        "--mode",
        choices=("hardlink", "symlink", "copy"),
        default="hardlink",
        help="how files come there (default: %(default)s; a symlink where a hard link is impossible)",
    )
    add(
        "--tags",
        type=at_least_one,
        default=1,
        metavar="N",
        help="folders a sound at most (default: %(default)s)",
    )
    add(
        "--threshold",
        type=float,
        metavar="P",
        help="least probability of a tag; what has none goes to _unsure/ (default: 0, of a tagger of several tags 0.5)",
    )
    add("--dry-run", action="store_true", help="print what would be done, and do nothing")
    add("--json", action="store_true", help="write INTO/sorted.json too")
    add("--undo", action="store_true", help="remove from INTO what sorting made, but nothing changed since")
    add(
        "--spectrograms-only",
        type=Path,
        metavar="PACK",
        help="write the library as 8-bit spectrograms instead, to train elsewhere while the audio stays",
    )
    add(
        "--config",
        metavar="FILE",
        help="configuration of a tagger yet to be trained, for --spectrograms-only",
    )
    add("--allow_truncated", action="store_true", help="hear what there is of files that were cut off")
    add("--device", default="auto", help="cpu, cuda, ... (default: the accelerator, if there is one)")
    add("--workers", type=int, metavar="N", help="processes that decode (default: by the CPUs)")
    return parser


def check_use(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the command with exit code 2 where its options contradict each other."""
    if options.undo:
        if options.into is None or options.library or options.spectrograms_only:
            parser.error("--undo needs --into DIR, and no library")
        return
    if options.library is None:
        parser.error("name the folder of sounds to sort")
    if (options.into is None) == (options.spectrograms_only is None):
        parser.error("name one of --into DIR and --spectrograms-only PACK")
    if options.config and options.into:
        parser.error("--config has no trained weights to sort by: name a tagger with --ckpt_path")
    if (options.ckpt_path is None) == (options.config is None):
        parser.error("name a trained tagger with --ckpt_path")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        parser.error(f"--threshold {options.threshold}: expected a probability, from 0 to 1")


def _listener(options: argparse.Namespace) -> Listener:
    return Listener(
        options.ckpt_path,
        config=options.config,
        device=options.device,
        allow_truncated=options.allow_truncated,
        num_workers=options.workers,
    )


def _sort(options: argparse.Namespace) -> int:
    tagger = _listener(options)
    threshold = options.threshold
    if threshold is None:
        threshold = 0.5 if tagger.is_multi_tag else 0.0
    done = sort_library(
        options.library,
        options.into,
        tagger=tagger,
        rule=Rule(options.tags, threshold),
        mode=options.mode,
        dry_run=options.dry_run,
        json=options.json,
        progress=sys.stderr.isatty(),
    )
    print(report(done, options))
    if done.stopped:
        print(
            f"error: stopped at {done.stopped}; nothing is lost: correct that, and the same command goes on from here",
            file=sys.stderr,
        )
    return int(bool(done.stopped or done.manifest.unsorted))


def report(done: Sorted, options: argparse.Namespace) -> str:
    """What the screen shows."""
    manifest = done.manifest
    verb = "would be made" if options.dry_run else "made now"
    lines = [
        f"{len(manifest.filed)} sounds in {options.into}, {done.num_made} entries {verb};"
        f" {len(manifest.unsorted)} unsorted, {done.num_others} other files left alone"
    ]
    if options.dry_run:
        lines += [
            f"  {escape(path)} -> {escape(entry)}"
            for path, entries in sorted(manifest.filed.items())
            for entry in entries
        ]
    counts = Counter(entry.split("/", 1)[0] for entries in manifest.filed.values() for entry in entries)
    lines += [f"  {count:6d}  {tag}" for tag, count in sorted(counts.items())]
    if done.num_symlinks:
        lines.append(f"{done.num_symlinks} of them are symbolic links: on another disk, or not linkable hard")
    return "\n".join(lines + _list("unsorted:", manifest.unsorted))


def _list(title: str, reasons: dict[str, str]) -> list[str]:
    lines = [f"  {escape(path)}: {escape(reason)}" for path, reason in sorted(reasons.items())]
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [title, *lines[:SHOWN], *more] if lines else []


def _pack(options: argparse.Namespace) -> int:
    listener = _listener(options)
    pack = options.spectrograms_only
    done = write_spectrograms(options.library, pack, listener=listener, progress=sys.stderr.isatty())
    summary = f"{done.num_files} spectrograms in {pack}, {done.num_bytes / 1e6:.2f} MB"
    print("\n".join([summary, *_list("not packed:", done.faults)]))
    return int(bool(done.faults))


def _undo(options: argparse.Namespace) -> int:
    done = undo(options.into, dry_run=options.dry_run)
    verb = "would be removed" if options.dry_run else "removed"
    print(
        "\n".join(
            [f"{done.num_removed} entries {verb} from {options.into}", *_list("these stay:", done.kept)]
        )
    )
    return int(bool(done.kept))


if __name__ == "__main__":
    cli.one_line_errors(lambda: sys.exit(main()))
