"""Runs of a command that are stopped at a chosen place and started again, each in a process of its own.

As a program it imports everything once, and forks from there: a process for the arguments, which parses them, and from
that one a process for each run. Figures are not drawn.
"""

import json
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lightning.pytorch import Callback
from torch.optim.lr_scheduler import ExponentialLR, LinearLR, SequentialLR

UNDISTURBED = "0 none 0"


class WarmUpAndDecay(SequentialLR):
    """Three epochs up, then down."""

    def __init__(self, optimizer):
        parts = [LinearLR(optimizer, start_factor=0.25, total_iters=3), ExponentialLR(optimizer, gamma=0.5)]
        super().__init__(optimizer, parts, milestones=[3])


class StopAt(Callback):
    """Sends its own process the signal of STOP_AT, ``<signal> <hook> <step>``, once."""

    def setup(self, trainer, pl_module, stage):
        name, self.hook, step = os.environ["STOP_AT"].split()
        self.signal, self.step = getattr(signal, name, None), int(step)

    def stop(self, hook, trainer):
        if (hook, trainer.global_step) == (self.hook, self.step) and self.signal is not None:
            number, self.signal = self.signal, None
            os.kill(os.getpid(), number)

    def on_train_batch_end(self, trainer, *_):
        self.stop("batch", trainer)

    def on_train_epoch_start(self, trainer, pl_module):
        self.stop("epoch", trainer)

    def on_validation_batch_end(self, trainer, *_):
        self.stop("validation", trainer)


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    output: str


class Runs:
    """What runs commands in a folder, by a process that has imported everything."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, folder: Path, arguments: list[str], *starts: tuple[Path, str]) -> list[Ended]:
        """Starts the command anew for each root of runs and place to stop at, one after the other."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "folder": str(folder),
            "arguments": arguments,
            "starts": [(str(root), at) for root, at in starts],
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return [Ended(*each) for each in json.loads(self._process.stdout.readline())]


@contextmanager
def warm() -> Iterator[Runs]:
    """Imports everything."""
    places = [str(Path(__file__).parents[2]), str(Path(__file__).parent), *filter(None, sys.path)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(places),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield Runs(process)
    finally:
        process.kill()
        process.communicate()


def _in_child(act, log: Path) -> int:
    """The exit code of what ``act`` does in a process forked from here, its output in a file."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        act()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    from matplotlib.figure import Figure

    from lightning_modules.commands import workflow
    from lightning_modules.config import cli
    from lightning_modules.processes.stop_signals import STOP

    Figure.savefig = lambda *_, **__: None  # pyright: ignore[reportAttributeAccessIssue]
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])

        def family(request=request, folder=folder) -> None:
            os.chdir(folder)
            sys.path.insert(0, str(folder))
            found = []

            def command() -> None:
                platform = cli.build("fit", "", request["arguments"])
                platform.dump()  # which is kept
                seeded = random.getstate()
                for root, stop_at in request["starts"]:

                    def start(root=root, stop_at=stop_at) -> None:
                        os.environ["STOP_AT"] = stop_at
                        random.setstate(seeded)  # which Python seeds anew in a fork
                        platform.run_folder.root = root
                        STOP.watch()
                        cli.one_line_errors(
                            lambda: workflow.check_or(platform, lambda: workflow.train_and_test(platform))
                        )

                    code = _in_child(start, folder / "run.txt")
                    found.append((code, (folder / "run.txt").read_text()))

            try:
                cli.one_line_errors(command)
            finally:
                (folder / "ended.json").write_text(json.dumps(found))

        code = _in_child(family, folder / "log.txt")
        ended = json.loads((folder / "ended.json").read_text()) or [(code, (folder / "log.txt").read_text())]
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    _serve()
