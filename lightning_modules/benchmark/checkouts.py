"""Another checkout of this project against this one, in turns within one run: a claim that something became faster.

Both run with the same Python and packages, in processes of their own; what changes is the project's code alone.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

_WORKER = Path(__file__).with_name("checkout_worker.py")
_MAX_STEPS = 50
_SIDES = ("baseline", "here")
_HERE = Path(__file__).parents[2]

Round = Mapping[str, Any]


def against(
    baseline: Path,
    arguments: Sequence[str],
    *,
    predict: Sequence[str],
    rounds: int,
    budget_s: float,
    folder: Path,
) -> dict[str, Any]:
    """Measures start, training step, memory and, where files are named, scoring.

    Args:
        baseline: The other checkout, of a version that has `commands.prediction` where files are scored.
        arguments: The configuration, as on the command line. A file of it that the other checkout has, too, is read
            there, so that each side trains its own configuration of that name.
        predict: Files and folders to score, with the weights that the measured steps left.
        rounds: Of either side, in turns.
        budget_s: Seconds for the steps of both sides together.
        folder: For what the sides write.

    Returns:
        Figure -> ``baseline`` and ``here``, medians, and ``ratio``, the median of the rounds' baseline over here, with
        ``lowest`` and ``highest``: above 1, this checkout is better. ``start`` is up to the first batch, ``cpu`` is
        processor time of all threads and loaders. ``losses_differ_by`` and ``scores_differ_by`` are the largest
        difference of a round's last loss, relative, and of a score, over the largest score.

    Raises:
        ValueError: The path holds no checkout, or one of the sides failed; it has said why.
    """
    if not (baseline / "lightning_modules" / "benchmark").is_dir():
        raise ValueError(f"--baseline {baseline}: no checkout of this project: name its folder")
    roots: dict[str, Path] = {"baseline": baseline.resolve(), "here": _HERE}
    own = {side: [*_of_checkout(arguments, roots[side]), f"--run.root={folder / side}"] for side in _SIDES}

    def worker(side: str, task: str, *more: str) -> _Worker:
        return _Worker(side, roots[side], [task, str(folder / f"{side}.ckpt"), *own[side], *more])

    figures = _start(worker, rounds) | _steps(worker, rounds, budget_s)
    if predict:
        files = json.dumps([str(Path(each).resolve()) for each in predict])
        weights = folder / f"{_SIDES[0]}.ckpt"  # for both: what is older can be read by both
        figures |= _scoring(worker, rounds, f"--ckpt_path={weights}", f"--data.predict={files}")
    return figures


def _start(worker: Callable[..., "_Worker"], rounds: int) -> dict[str, Any]:
    def measure(side: str) -> Round:
        begin = time.perf_counter()
        with worker(side, "start") as started:
            return {**started.answer(), "wall_s": time.perf_counter() - begin}

    return _ratios("start", _in_turns(rounds, measure))


def _steps(worker: Callable[..., "_Worker"], rounds: int, budget_s: float) -> dict[str, Any]:
    with ExitStack() as stack:
        sides = {side: stack.enter_context(worker(side, "steps")) for side in _SIDES}
        for side in _SIDES:
            sides[side].answer()
        step_s = max(sides[side].ask("1")["wall_s"] for side in _SIDES)
        steps = max(1, min(_MAX_STEPS, int(budget_s / step_s / rounds / len(_SIDES))))
        found = _in_turns(rounds, lambda side: sides[side].ask(str(steps)))
        for side in _SIDES:
            sides[side].ask("")
    peak = {side: found[side][-1]["peak_bytes"] for side in _SIDES}
    figures = {"steps_a_round": steps, **_ratios("steps", found)}
    if all(peak.values()):
        figures["steps_peak_gib"] = {side: peak[side] / 2**30 for side in _SIDES} | {
            "ratio": peak["baseline"] / peak["here"]
        }
    losses = {side: [each["loss"] for each in found[side]] for side in _SIDES}
    if None not in losses["here"]:
        differences = [abs(one - other) / abs(one) for one, other in zip(*losses.values(), strict=True)]
        figures["losses_differ_by"] = max(differences)
    return figures


def _scoring(worker: Callable[..., "_Worker"], rounds: int, *wanted: str) -> dict[str, Any]:
    with ExitStack() as stack:
        sides = {side: stack.enter_context(worker(side, "scores", *wanted)) for side in _SIDES}
        for side in _SIDES:  # warms up
            sides[side].ask("")
        found = _in_turns(rounds, lambda side: sides[side].ask(""))
    return {
        **_ratios("scoring", found),
        "scores_differ_by": _difference(*(found[side][-1] for side in _SIDES)),
    }


def _difference(one: Round, other: Round) -> float:
    pairs = zip(one["scores"], other["scores"], strict=True)
    values = [each for scores in pairs if None not in scores for each in zip(*scores, strict=True)]
    largest = max((abs(first) for first, _ in values), default=0.0) or 1.0
    return max((abs(first - second) for first, second in values), default=0.0) / largest


def _in_turns(rounds: int, measure: Callable[[str], Round]) -> dict[str, list[Round]]:
    """Rounds of both sides, each of which begins every other turn."""
    found: dict[str, list[Round]] = {side: [] for side in _SIDES}
    for number in range(rounds):
        for side in reversed(_SIDES) if number % 2 else _SIDES:
            found[side].append(measure(side))
    return found


def _ratios(name: str, found: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    figures = {}
    for clock in ("wall_s", "cpu_s"):
        times = {side: [each[clock] for each in found[side]] for side in _SIDES}
        ratios = [before / here for before, here in zip(*times.values(), strict=True)]
        figures[f"{name}_{clock}"] = {
            **{side: statistics.median(times[side]) for side in _SIDES},
            "ratio": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
        }
    return figures


def _of_checkout(arguments: Sequence[str], root: Path) -> list[str]:
    """The arguments, with files of this checkout's folder replaced by those of another where it has them."""

    def replaced(word: str) -> str:
        option, sign, value = word.rpartition("=")
        path = Path(value).resolve()
        if not (value.endswith((".yaml", ".yml")) and path.is_relative_to(_HERE)):
            return word
        there = root / path.relative_to(_HERE)
        return f"{option}{sign}{there if there.is_file() else path}"

    return [replaced(word) for word in arguments]


class _Worker:
    """A process of one side that does a round for every line that it is sent."""

    def __init__(self, side: str, root: Path, arguments: Sequence[str]) -> None:
        self.side = side
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", str(_WORKER), *arguments],
            env=os.environ | {"PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, line: str) -> Any:
        """Sends a line and waits for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer tells
        return self.answer()

    def answer(self) -> Any:
        """Waits for the answer to what was sent, or to nothing."""
        assert self._process.stdout is not None
        if answer := self._process.stdout.readline():
            return json.loads(answer)
        who = "the baseline" if self.side == _SIDES[0] else "this checkout"
        raise ValueError(f"--baseline: {who} ended with exit code {self._process.wait()}; see above")
