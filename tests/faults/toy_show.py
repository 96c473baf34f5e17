"""What the runs of a folder hold, for the rows of README.md, "Public reports"; see toy.sh."""

import csv
import sys
from pathlib import Path
from typing import Any


def metrics(run: str, column: str) -> None:
    """Prints a column of a run's metrics.csv, rows without a value left out."""
    with next(Path().glob(f"runs/*/{run}/metrics.csv")).open(newline="") as file:
        print(" ".join(row[column] for row in csv.DictReader(file) if row.get(column)))


def results(run: str, column: str) -> None:
    """Prints a column of a run's results.csv."""
    with next(Path().glob(f"runs/*/{run}/results.csv")).open(newline="") as file:
        print(" ".join(row.get(column) or "-" for row in csv.DictReader(file)))


def weights(first: str, second: str) -> None:
    """Says in which parts two checkpoints differ; names may be patterns."""
    import torch

    a, b = (
        torch.load(next(iter(sorted(Path().glob(name)))), map_location="cpu", weights_only=False)
        for name in (first, second)
    )
    parts = ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers", "random_states")
    shared = [part for part in parts if part in a and part in b]
    print("differ:", " ".join(part for part in shared if not _same(a[part], b[part])) or "nothing")


def differences() -> None:
    """Says in what the runs a and b differ: weights, and metrics.csv without its speeds."""
    weights("runs/*/a/checkpoints/last.ckpt", "runs/*/b/checkpoints/last.ckpt")
    rows = []
    for run in "ab":
        with next(Path().glob(f"runs/*/{run}/metrics.csv")).open(newline="") as file:
            rows.append(
                [
                    {k: v for k, v in row.items() if not k.startswith(("throughput/", "system/"))}
                    for row in csv.DictReader(file)
                ]
            )
    print("metrics.csv:", "the same" if rows[0] == rows[1] else "different")


def waiting(run: str) -> None:
    """Says of the files that a run's W&B parts will upload whether they are what they were."""
    import base64
    import hashlib

    from wandb_file import artifacts

    for part in _parts(run):
        for entry in (each for found in artifacts(part) for each in found.manifest.contents):
            file = Path(entry.local_path)
            digest = (
                base64.b64encode(hashlib.md5(file.read_bytes()).digest()).decode() if file.is_file() else ""
            )
            state = "as it was" if digest == entry.digest else "gone" if not digest else "another"
            print(f"{'absolute' if file.is_absolute() else 'relative'} path, {state}: {entry.path}")


def logged(run: str, key: str) -> None:
    """Prints what each part of a run tells W&B of a key, in the order of logging."""
    from wandb_file import history

    print(" | ".join(" ".join(map(str, history(part).get(key, []))) for part in _parts(run)))


def records(run: str, kind: str) -> None:
    """Counts the records of a kind in each part of a run's W&B file."""
    print(" | ".join(str(sum(each.HasField(kind) for each in part)) for part in _parts(run)))


def _parts(run: str) -> list[list[Any]]:
    from wandb_file import records

    return [list(records(path)) for path in sorted(Path().glob(f"runs/*/{run}/wandb/offline-run-*/*.wandb"))]


def _same(a: Any, b: Any) -> bool:
    if hasattr(a, "shape"):
        return a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
