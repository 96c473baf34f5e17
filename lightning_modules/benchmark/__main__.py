"""Measures on this machine, as ratios of what takes turns within one run, which a busy machine disturbs least.

Training: the platform (Trainer, callbacks, loggers, checkpoints) over a bare PyTorch loop, packed data over files,
the front end batched over clip by clip on the CPU, and the share of the time spent waiting for data; where clips are
scored whole, scoring in batches of one length over padded ones; on demand also N ranks over one, and another
implementation. With --baseline another checkout of this project over this one: start, steps, memory, scoring. With
--cost the network alone, without data: parameters, multiply-accumulates, memory and time. With --step a whole training
step with batches of the configuration's size; with --loader the reading of its training clips, of degraded ones
over clean. With --convolutions, also without data, the ways to compute the gradients
of the network's convolutions on a CPU; with --operations where the time of a training step goes there, and whether
other forms of its operations would be faster; with --engines the ways to compute its scores. With --resamplers what
resamplers leave of sound beyond the target rate, and their time, with --report what a report of a million trials costs
beside NumPy reading and sorting them, and with --neighbours what the nearest normal embeddings cost beside the bare
matrix product and scikit-learn's brute force; these three need no configuration.

Examples:
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --ranks 2 4 8 --json figures.json
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --profile trace.json.gz
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --reference published.model:build
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --baseline ../0.2 --score recordings/
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --cost --cost_seconds 2 4 8
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --step
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --loader --data.degrade='{opus: 0.5}'
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --convolutions --data.eval_crop_s=1
    OMP_NUM_THREADS=1 python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --operations
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --engines
    python -m lightning_modules.benchmark --resamplers
    OMP_NUM_THREADS=1 python -m lightning_modules.benchmark --report
    OMP_NUM_THREADS=1 python -m lightning_modules.benchmark --neighbours --neighbours_size 2000 20000
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from datamodules.base import ClipDataModule
from datamodules.config.arguments import CommandParser, at_least_one
from datamodules.hearing import Listening
from lightning_modules.benchmark import convolutions, cost, operations
from lightning_modules.benchmark.checkouts import against
from lightning_modules.benchmark.engines import engine_figures
from lightning_modules.benchmark.loading import (
    data_wait_share,
    loader_figures,
    packed_over_files,
    read_batches,
)
from lightning_modules.benchmark.neighbours import neighbour_figures
from lightning_modules.benchmark.parts import frontend_figures, reference_figures
from lightning_modules.benchmark.rank_speed import scaling_efficiency
from lightning_modules.benchmark.reporting import report_figures
from lightning_modules.benchmark.resamplers import resampler_figures
from lightning_modules.benchmark.scoring import whole_clip_figures
from lightning_modules.benchmark.step_cost import step_cost
from lightning_modules.benchmark.steps import name_of, step_figures, take_turns
from lightning_modules.config import cli

_TITLE = "Training on this machine"


def main() -> None:
    """Runs the command."""
    parser = _parser()
    options, arguments = parser.parse_known_args()
    build = partial(cli.build, "benchmark", __doc__ or "", also_known=parser.known)
    with tempfile.TemporaryDirectory() as folder:
        arguments += [f"--run.root={folder}"]
        figures, text = _report(options, build, arguments, Path(folder))
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


def _report(
    options: argparse.Namespace,
    build: Callable[[list[str]], cli.Platform],
    arguments: list[str],
    folder: Path,
) -> tuple[Any, str]:
    """Measures what is asked for, and prints it; returns the figures and their table as Markdown."""
    untracked = [*arguments, "--tracking.wandb=disabled"]
    if options.cost:
        figures = cost.cost_report(
            build(untracked),
            seconds=options.cost_seconds,
            frames=options.cost_frames,
            num_clips=options.cost_clips,
        )
        cost.show(figures)
        return figures, cost.markdown(figures)
    if options.convolutions:
        platform = build([*untracked, "--trainer.accelerator=cpu"])
        model, data = platform.model, platform.datamodule
        samples = round((data.eval_crop_s or cost.WHOLE_CLIP_S) * data.sample_rate)
        inputs = cost.network_inputs(model, samples, num_clips=options.cost_clips)
        found = convolutions.convolution_report(model.network, inputs)
        convolutions.show(found)
        return found, convolutions.markdown(found)
    if options.operations:
        found = operations.operations_report(
            build([*untracked, *_QUIET, _UNVALIDATED, "--run.id=step", "--trainer.accelerator=cpu"])
        )
        operations.show(found)
        return found, operations.markdown(found)
    if options.engines:
        platform = build([*untracked, "--trainer.accelerator=cpu"])
        figures = _engines(platform, options.cost_clips)
        return figures, _show_cells(figures)
    if options.resamplers:
        of_each = resampler_figures()
        rows = {f"{name} {figure}": value for name, each in of_each.items() for figure, value in each.items()}
        return of_each, _show_cells(rows)
    if options.report:
        figures = report_figures(folder)
        return figures, _show_cells(figures)
    if options.neighbours:
        figures = neighbour_figures(*options.neighbours_size)
        return figures, _show_cells(figures)
    if options.baseline is not None:
        measured = _against(options, arguments, folder)
    elif options.loader:
        data = build([*untracked, *_QUIET, "--run.id=loader"]).datamodule
        if not isinstance(data, ClipDataModule):
            raise ValueError(f"--loader: {type(data).__name__} has no clips")
        measured = loader_figures(data, options.budget_s)
    elif options.step:
        measured = _step(options, build, untracked)
    else:
        measured = _measure(options, build, arguments, folder)
    return measured, _show_cells(measured)


def _engines(platform: cli.Platform, num_clips: int) -> dict[str, Any]:
    scorer = platform.model.eval().scorer()
    if scorer is None:
        raise ValueError(f"--engines: {type(platform.model).__name__} gives clips no scores")
    return engine_figures(scorer.eval(), Listening.of(platform.datamodule), num_clips=num_clips)


def _parser() -> CommandParser:
    parser = CommandParser("lightning_modules.benchmark", description=__doc__, add_help=False)
    add = parser.add_argument
    add("--json", type=Path, help="Also write the figures to this file.")
    add("--markdown", type=Path, help="Also write the table to this file.")
    add("--budget_s", type=float, default=120.0, help="Seconds for the steps of both loops together.")
    add("--ranks", type=int, nargs="+", default=[], help="Numbers of ranks of this machine.")
    add("--reference", help="module.path:factory of a module that takes the same waveforms.")
    add("--profile", type=Path, help="Write a trace of three steps to this file.")
    add("--step", action="store_true", help="Measure memory and time of a whole training step instead.")
    add(
        "--loader", action="store_true", help="Measure reading of training clips instead, degraded and clean."
    )
    add("--operations", action="store_true", help="Measure operations of a training step on the CPU instead.")
    add("--resamplers", action="store_true", help="Measure the resamplers instead; needs no configuration.")
    add("--report", action="store_true", help="Measure a report of a million trials; needs no configuration.")
    add("--neighbours", action="store_true", help="Measure nearest neighbours; needs no configuration.")
    add(
        "--neighbours_size",
        type=at_least_one,
        nargs=2,
        default=[20_000, 200_000],
        metavar=("QUERIES", "BANK"),
        help="Rows of 768 dimensions (20,000 and 200,000, which takes minutes).",
    )
    add = parser.add_argument_group("another checkout").add_argument
    add(
        "--baseline", type=Path, help="Its folder: measure start, steps, memory and scoring of both in turns."
    )
    add("--score", nargs="+", default=[], help="Files and folders that both score.")
    add("--rounds", type=at_least_one, default=9, help="Of either side.")
    add = parser.add_argument_group("cost of the network").add_argument
    add("--cost", action="store_true", help="Measure the network alone; needs no data.")
    add("--cost_seconds", type=float, nargs="+", default=[], help="Lengths of clips in seconds.")
    add("--cost_frames", type=int, nargs="+", default=[], help="Lengths of the network's input.")
    add("--convolutions", action="store_true", help="Measure gradients of convolutions; needs no data.")
    add("--engines", action="store_true", help="Measure what computes scores on the CPU; needs no data.")
    add("--cost_clips", type=int, default=2, help="Clips a batch, of --convolutions and --engines too.")
    return parser


_QUIET = ("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false")
# not limit_val_batches=0, with which schedules that wait for a validation refuse to train
_UNVALIDATED = "--trainer.check_val_every_n_epoch=1000"


def _step(
    options: argparse.Namespace, build: Callable[[list[str]], cli.Platform], arguments: list[str]
) -> dict[str, Any]:
    return step_cost(build([*arguments, *_QUIET, _UNVALIDATED, "--run.id=step"]), options.budget_s)


def _against(options: argparse.Namespace, arguments: list[str], folder: Path) -> dict[str, Any]:
    kept = [each for each in arguments if not each.startswith("--run.root=")]
    quiet = [*kept, *_QUIET, _UNVALIDATED, "--tracking.wandb=disabled", "--run.id=benchmark"]
    return against(
        options.baseline,
        quiet,
        predict=options.score,
        rounds=options.rounds,
        budget_s=options.budget_s,
        folder=folder,
    )


def _measure(
    options: argparse.Namespace,
    build: Callable[[list[str]], cli.Platform],
    arguments: list[str],
    folder: Path,
) -> dict[str, Any]:
    arguments = [*arguments, *_QUIET, _UNVALIDATED]
    full = [*arguments, "--trainer.max_epochs=1", "--tracking.wandb=offline"]
    platform = build([*full, "--run.id=steps"])
    data, model = platform.datamodule, platform.model
    data.prepare_data()
    data.setup("fit")
    batches, clips_per_s = read_batches(data.train_dataloader(), options.budget_s / 10)
    turns = take_turns(platform, batches, options.budget_s)
    waveform = batches[0].waveform
    figures = {
        "device": name_of(model.device),
        "batch": list(waveform.shape),
        "precision": str(platform.trainer.precision),
        **step_figures(turns),
        "loader_clips_per_s": clips_per_s,
        **packed_over_files(Path(data.root), folder),
        **frontend_figures(model, waveform),
        **whole_clip_figures(model, data),
    }
    if options.reference:
        figures |= reference_figures(platform, waveform, options.reference)
    for ranks in options.ranks:
        efficiency = scaling_efficiency(ranks, full, options.budget_s, folder)
        figures[f"scaling_efficiency_{ranks}_ranks"] = efficiency
    steps = max(4, turns.steps)
    arguments += [f"--trainer.max_steps={steps}", "--run.id=wait", "--tracking.wandb=disabled"]
    waiting = build(arguments)
    figures["data_wait_share"] = data_wait_share(waiting, options.profile)
    return figures


def _show_cells(figures: Mapping[str, Any]) -> str:
    """Prints a table of figures and returns it as Markdown."""
    cells = _cells(figures)
    _show(cells)
    return _markdown(cells)


def _cells(figures: Mapping[str, Any]) -> dict[str, str]:
    return {name: _cell(value) for name, value in figures.items()}


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _show(cells: Mapping[str, str]) -> None:
    table = Table("figure", "value", title=_TITLE)
    for name, value in cells.items():
        table.add_row(name, value)
    Console().print(table)


def _markdown(cells: Mapping[str, str]) -> str:
    rows = [f"| {name} | {value} |" for name, value in cells.items()]
    return "\n".join([f"**{_TITLE}**", "", "| figure | value |", "| --- | --- |", *rows]) + "\n"


if __name__ == "__main__":
    cli.one_line_errors(main)
