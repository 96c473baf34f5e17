"""Look at every file of a data set before a cluster does: ``python -m datamodules.check --config FILE``.

Reads the ``data:`` section of an experiment's YAML and reports, for each split, counts by class, durations, sample
rates, channels, and a hash of the list to cite. It ends with 1 for files that are missing, unreadable or truncated,
clips that begin behind the end of their file, equal sounds of two classes, repeated ids, and sounds or ids that occur
in two splits. It names sounds that are silent, nearly silent, very short, clipped, off centre (direct current), in
anti-phase, there twice or of another rate than most, and speakers and sources that are in two splits. Clips that the
data set does without are named, and not looked at; ``--exclude`` writes the faulty ones to a list of such clips.

    python -m datamodules.check --config configs/ssd_aasist.yaml --data.root /data/LA --json report.json
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from datamodules.base import ClipDataModule
from datamodules.checks.split_report import SHOWN, SplitReport, check_split, print_lines, shared_values
from datamodules.clips.coverage import ABSENT, write_exclusions
from datamodules.config.experiment import data_parser, parse_data
from datamodules.files import write_text_atomically

_ALL = " (--json FILE has all)"
_SPLITS = ("train", "validation", "test")


def check(data: ClipDataModule, *, progress: bool = False) -> dict[str, Any]:
    """Report on all splits of a data set.

    Returns:
        ``{"splits": {name: report}, "leaks": [line, ...], "ok": bool}``, ready for JSON.
    """
    data.prepare_data()
    splits: dict[str, SplitReport] = {}
    keys: dict[str, str] = {}
    digests: dict[str, tuple[str, str]] = {}
    leaks: list[str] = []
    shared: dict[str, dict[str, str]] = {}
    for name in _SPLITS:
        try:
            clips = data.split(name)
            left_out = data.left_out(name, clips)
        except ValueError as error:
            splits[name] = SplitReport(problems=[str(error)])
            continue
        kept = [clip for clip in clips if clip.key not in left_out]
        splits[name], sounds = check_split(
            kept,
            data.heads,
            allow_truncated=data.allow_truncated,
            title=name if progress else None,
            place_of=data.place_of,
        )
        splits[name].left_out = left_out
        lines, shared = shared_values(kept, shared, name)
        splits[name].notes += lines
        leaks += [
            f"id {clip.key} is in {keys[clip.key]} and in {name}"
            for clip in clips
            if data.unique_keys and keys.setdefault(clip.key, name) != name
        ]
        for path, digest in sounds.items():
            other, twin = digests.setdefault(digest, (name, path))
            if other != name:
                leaks.append(f"{path} ({name}) sounds exactly like {twin} ({other})")
    ok = not leaks and not any(report.problems for report in splits.values())
    return {"splits": {name: asdict(report) for name, report in splits.items()}, "leaks": leaks, "ok": ok}


def exclusions(report: Mapping[str, Any]) -> dict[str, str]:
    """Id -> reason of the clips that a report of `check` found faulty or excluded before."""
    splits = report["splits"].values()
    left_out = (item for split in splits for item in split["left_out"].items())
    return {key: reason for key, reason in left_out if reason != ABSENT} | {
        key: reason for split in splits for key, reason in split["faulty"].items()
    }


def _print(report: dict[str, Any]) -> None:
    for name, split in report["splits"].items():
        print(f"{name}: {split['clips']} clips, {_counts(split['classes'])}")
        if split["seconds"]:
            seconds = {key: f"{value:.2f}" for key, value in split["seconds"].items()}
            print(
                f"  {seconds['total']} s; shortest {seconds['shortest']}, median {seconds['median']}, longest"
                f" {seconds['longest']} s; Hz: {_counts(split['sample_rates'])}; channels:"
                f" {_counts(split['channels'])}"
            )
        print(f"  sha256 of the list {split['sha256'] or '-'}")
        left_out = [f"{key}: {reason}" for key, reason in split["left_out"].items()]
        for title, lines in (
            ("problem", split["problems"]),
            *split["odd"].items(),
            ("note", split["notes"]),
            ("left out", left_out),
        ):
            print_lines(f"  {title}", lines, rest=_ALL)
    print_lines("leak", report["leaks"], rest=_ALL)
    print("ok" if report["ok"] else "something is wrong")


def _counts(counts: dict[Any, int]) -> str:
    shown = [f"{name} x {count}" for name, count in counts.items()]
    if len(shown) > SHOWN:
        shown[SHOWN:] = [f"and {len(shown) - SHOWN} more"]
    return ", ".join(shown) or "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, check, print; returns the exit status."""
    parser = data_parser("datamodules.check", ClipDataModule, description=__doc__ or "")
    parser.add_argument("--json", type=str | None, help="Also write the whole report to this file.")
    parser.add_argument(
        "--exclude",
        type=str | None,
        help="Also write the faulty clips to this list (key,reason), which data sets of events leave out.",
    )
    options, data = parse_data(parser, arguments)
    report = check(data, progress=sys.stderr.isatty())
    if options.json:
        write_text_atomically(options.json, json.dumps(report, indent=2) + "\n")
    _print(report)
    if options.exclude:
        write_exclusions(options.exclude, faulty := exclusions(report))
        print(f"{options.exclude}: {len(faulty)} clips to leave out")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
