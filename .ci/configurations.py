"""Measures a training step of every configuration, and writes what it found into configs/README.md and their headers.

On a machine that does nothing else; names of configurations measure these alone.

    python .ci/configurations.py
    python .ci/configurations.py ssd_aasist event_ast
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
CONFIGS = REPOSITORY / "configs"
BUDGET_S = 20
NO_STEPS = "production_mapper"  # learns in one go
OPTIONS = {
    # a few clips: the front ends run over all of them before the first step
    "asd_frontend_ensemble": [
        *("--data.root=data/simulated_room_small", "--data.num_train=1"),
        *("--data.num_normal=1", "--data.num_abnormal=1"),
    ],
    "ssd_lcnn_inf_ini": ["--data.batch_size=32"],
}
PARTS = {"ssd_lcnn_inf_ini": 2}  # of a batch, which does not fit 16 GB of main memory


def measure(name: str) -> dict[str, Any]:
    """What the benchmark says of a configuration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "step.json")
        command = [
            sys.executable,
            "-m",
            "lightning_modules.benchmark",
            "--step",
            f"--config=configs/{name}.yaml",
            f"--budget_s={BUDGET_S}",
            f"--json={path}",
            *OPTIONS.get(name, []),
        ]
        subprocess.run(command, cwd=REPOSITORY, check=True)  # noqa: S603
        figures, parts = json.loads(path.read_text()), PARTS.get(name, 1)
    clips, *shape = figures["batch"]
    whole = {key: parts * figures[key] for key in ("step_gib", "step_s")}
    return figures | whole | {"batch": [parts * clips, *shape]}


def write(name: str, figures: Mapping[str, Any], configs: Path = CONFIGS) -> None:
    """Puts figures into the row of a configuration and into its header."""
    batch, (gib, step_s) = figures["batch"], (figures[key] for key in ("step_gib", "step_s"))
    memory, step = _digits(gib), _digits(step_s)
    cells = f"{figures['parameters']:,} | {' × '.join(map(str, batch))} | {step} s | {memory} GiB"
    _replace(
        configs / "README.md",
        rf"(?m)^(\| \[{name}\]\(\S+\) \| )[^|]*\|[^|]*\|[^|]*\|[^|]* \|",
        rf"\g<1>{cells} |",
    )
    header = configs / f"{name}.yaml"
    _replace(header, r"(?m)^# Hardware: \S+ GiB", f"# Hardware: {memory} GiB")
    found = re.search(r"(?m)^# Time: \S+ s (.*?), \S+ \S+ (for [a-z ]*)([\d,]+) steps", header.read_text())
    assert found, f"{header}: no line of its time"
    total = _duration(step_s * int(found[3].replace(",", "")))
    _replace(header, re.escape(found[0]), f"# Time: {step} s {found[1]}, {total} {found[2]}{found[3]} steps")


def _replace(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text())
    assert count == 1, f"{path}: {count} places for {pattern}"
    path.write_text(text)


def _digits(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds)} s"


def main(names: list[str]) -> None:
    """Measures and writes one after the other, so that what was interrupted is not lost."""
    for name in names or sorted(path.stem for path in CONFIGS.glob("*.yaml")):
        if name != NO_STEPS:
            write(name, measure(name))


if __name__ == "__main__":
    main(sys.argv[1:])
