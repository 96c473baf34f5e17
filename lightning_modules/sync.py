"""Uploads runs that were logged offline to W&B, each as one run, its parts in the order in which they were written.

A run that was requeued has a part for each start. Parts that were uploaded before are left out; what a part tells of
steps that an earlier part has told is added behind those.

Examples:
    python -m lightning_modules.sync                      # all runs below runs/
    python -m lightning_modules.sync runs/ssd_aasist      # those of an experiment
    python -m lightning_modules.sync runs/ssd_aasist/3f2a --list
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from datamodules.config.arguments import CommandParser
from lightning_modules.run.folder import WAITING


def parts_of_runs(root: Path) -> dict[str, list[Path]]:
    """W&B id -> the folders of a run's parts that were not uploaded yet, in the order of their starts.

    Args:
        root: A run's folder or any folder above.
    """
    parts: dict[str, list[Path]] = {}
    for folder in sorted(root.rglob("wandb/offline-run-*"), key=_start):
        # the file has the run's id in its name, the folder its start: of several in a second they are numbered
        file = next(folder.glob("run-*.wandb"), None)
        if file is not None and not _is_uploaded(file):
            parts.setdefault(file.stem.removeprefix("run-"), []).append(folder)
    return parts


def _start(folder: Path) -> tuple[str, int, str]:
    """Second of a part's start, and its number among those of one run in that second."""
    name = folder.name.removeprefix("offline-run-")  # 20261123_130501-<id>, ...-<id>-1
    start, _, rest = name.partition("-")
    return start, len(rest), rest


def _is_uploaded(file: Path) -> bool:
    """Whether all of a part was: one of a run that went on meanwhile has grown since."""
    mark = file.with_suffix(".wandb.synced")
    return mark.is_file() and mark.stat().st_mtime >= file.stat().st_mtime


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = CommandParser("lightning_modules.sync", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="(default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="show the runs and their parts; upload nothing")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        print(f"error: {options.folder}: no such folder; name that of a run or of several", file=sys.stderr)
        return 1
    failed = []
    parts = parts_of_runs(options.folder)
    for id, folders in parts.items():  # noqa: A001
        print(f"{id}: {len(folders)} parts: {', '.join(folder.name for folder in folders)}", flush=True)
        if options.list:
            continue
        # the id puts what was started anew behind what was uploaded before
        command = ["wandb", "sync", "--yes", "--include-synced", "--id", id, *map(str, folders)]
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:  # noqa: S603
            failed.append(id)
        else:
            for run in {folder.parents[1] for folder in folders}:
                shutil.rmtree(run / WAITING, ignore_errors=True)
    if failed:
        print(f"error: not uploaded: {', '.join(failed)}; the same command tries again", file=sys.stderr)
        return 1
    print(f"{len(parts)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
