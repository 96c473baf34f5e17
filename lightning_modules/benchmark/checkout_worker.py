"""Is run by `benchmark.checkouts` as a file, with one checkout of the project first on the path.

What it imports, by name, is that checkout's, of whatever version, so it uses little: how a configuration is built, how
files are scored. ``start`` ends with the first batch of training; ``steps`` and ``scores`` do a round for every line on
standard input and answer each with one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import cycle, islice
from typing import Any

_KEPT_BATCHES = 4

Build = Callable[[str, str, list[str]], Any]
Answer = Callable[[Any], None]


def main() -> None:
    """Takes task, path of a checkpoint and configuration from the command line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what else is printed
    task, checkpoint, *arguments = sys.argv[1:]

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    cli = import_module("lightning_modules.config.cli")
    tasks = {"start": _start, "steps": partial(_steps, checkpoint), "scores": _scores}
    cli.one_line_errors(partial(tasks[task], cli.build, arguments, answer))


def _start(build: Build, arguments: list[str], answer: Answer) -> None:
    platform = build("benchmark", "", arguments)
    platform.datamodule.prepare_data()
    platform.datamodule.setup("fit")
    next(iter(platform.datamodule.train_dataloader()))
    answer({"wall_s": 0.0, "cpu_s": _now()[1]})  # whoever started this process has the time


def _steps(checkpoint: str, build: Build, arguments: list[str], answer: Answer) -> None:
    """Trains: a line is a number of steps, an empty one the end; the checkpoint is left.

    Every block of steps is answered, the first step, too, which nothing asks for.
    """
    from lightning.pytorch import Callback
    from torch.utils.data import DataLoader

    class Rounds(Callback):
        left = 1  # the first step warms up, and makes the optimizer's state
        begin = (0.0, 0.0)
        loss: Any = None

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.loss = outputs["loss"] if isinstance(outputs, dict) else outputs

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if self.left:
                self.left -= 1
                return
            loss = None if self.loss is None else float(self.loss)
            answer({**_since(self.begin), "peak_bytes": peak_bytes(), "loss": loss})
            steps = sys.stdin.readline().strip()
            trainer.should_stop = not steps
            self.left = int(steps or 1) - 1
            self.begin = _now()

    platform = build("benchmark", "", arguments)
    data, trainer = platform.datamodule, platform.trainer
    data.prepare_data()
    data.setup("fit")
    batches = list(islice(data.train_dataloader(), _KEPT_BATCHES))
    endless: Any = list(islice(cycle(batches), 100_000))
    data.train_dataloader = lambda: DataLoader(endless, batch_size=None)
    trainer.callbacks.insert(0, Rounds())
    trainer.fit(platform.model, data)
    trainer.save_checkpoint(checkpoint)
    answer("ended")


def _scores(build: Build, arguments: list[str], answer: Answer) -> None:
    """Scores the files that ``--data.predict`` names, for every line."""
    prediction = import_module("lightning_modules.commands.prediction")
    workflow = import_module("lightning_modules.commands.workflow")
    for _ in sys.stdin:
        platform = build("predict", "", arguments)
        workflow.load_chosen_weights(platform, None)
        begin = _now()
        results = prediction.score_files(platform.model, platform.datamodule, platform.trainer)
        answer({**_since(begin), "scores": [_values(result.answer) for result in results]})


def _values(scores: Any) -> list[float] | None:
    return None if scores is None else scores.flatten().tolist()


def _now() -> tuple[float, float]:
    """Seconds of a clock, and processor time of this process and of those that it waited for."""
    loaders = os.times()
    return time.perf_counter(), time.process_time() + loaders.children_user + loaders.children_system


def _since(begin: tuple[float, float]) -> dict[str, float]:
    wall, cpu = _now()
    return {"wall_s": wall - begin[0], "cpu_s": cpu - begin[1]}


def peak_bytes() -> int:
    """Of the memory of this process so far; 0 where the system does not say. macOS counts in bytes, others in KiB."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
