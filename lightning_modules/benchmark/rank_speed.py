"""How training scales over ranks of this machine, each with batches of its own."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_modules.benchmark.loading import read_batches
from lightning_modules.benchmark.steps import take_turns
from lightning_modules.config import cli


def scaling_efficiency(num_ranks: int, arguments: Sequence[str], budget_s: float, folder: Path) -> float:
    """Returns the time of a bare step of one rank alone over that of a step of all ranks of the platform.

    1 is N ranks training N times as fast as a bare loop on one; Gloo connects CPUs, NCCL GPUs.

    Args:
        num_ranks: Processes, one a device.
        arguments: The configuration, as on the command line.
        budget_s: Seconds for all steps.
        folder: For the result.

    Raises:
        ValueError: The ranks failed; they have said why.
    """
    path = folder / f"ranks{num_ranks}.json"
    settings = [f"--trainer.devices={num_ranks}", "--trainer.strategy=ddp", f"--run.id=ranks{num_ranks}"]
    command = [sys.executable, "-m", __name__, str(path), str(budget_s), *arguments, *settings]
    status = subprocess.run(command, check=False).returncode  # noqa: S603
    if status:
        raise ValueError(f"{num_ranks} ranks ended with exit code {status}; see above")
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Is run by every rank: the file for the result, the budget, the configuration."""
    path, budget_s, *arguments = sys.argv[1:]
    platform = cli.build("benchmark", __doc__ or "", arguments)
    platform.datamodule.prepare_data()
    platform.datamodule.setup("fit")
    batches, _ = read_batches(platform.datamodule.train_dataloader(), budget_s=1.0)
    turns = take_turns(platform, batches, float(budget_s))
    if platform.trainer.is_global_zero:
        rounds = zip(turns.bare, turns.platform, strict=True)
        ratios = [alone.wall / together.wall for alone, together in rounds]
        Path(path).write_text(json.dumps(statistics.median(ratios)), encoding="utf-8")


if __name__ == "__main__":
    cli.one_line_errors(main)
