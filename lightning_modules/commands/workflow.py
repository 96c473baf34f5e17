"""What the commands do with a built platform: train it, score with it, write what came out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_info
from torch import Tensor

from datamodules.files import remove_leftovers
from lightning_modules.base import Split
from lightning_modules.commands.dry_run import dry_run
from lightning_modules.config.cli import Platform
from lightning_modules.run.checkpoints import first_readable, load_weights, read_checkpoint
from lightning_modules.run.lock import probe, take
from lightning_modules.run.results import append_row, log_metrics, result_row, save_figures, show, write_table
from lightning_modules.run.rows import Report
from lightning_modules.run.tracking import MetricsCSV


def check_or(platform: Platform, command: Callable[[], None]) -> None:
    """Runs the command, or with ``--check`` all that a run does on a few clips."""
    if not platform.config_init.check:
        command()
        return
    with dry_run(platform):
        if platform.command == "validate":
            train(platform)
            evaluate(platform, "validation")
        else:
            train_and_test(platform)


def train_and_test(platform: Platform) -> None:
    """Trains and tests the best checkpoint of the run, or the last where nothing is monitored."""
    train(platform)
    if platform.trainer.limit_test_batches == 0:
        rank_zero_info(f"{platform.run_folder.folder}: not tested: trainer.limit_test_batches is 0")
        return
    evaluate(platform, "test", platform.run_folder.chosen_checkpoint(platform.checkpoints.mode))


def train(platform: Platform) -> None:
    """Trains from the start, from ``--ckpt_path``, or from where an earlier start of the same run was cut off."""
    run, trainer = platform.run_folder, platform.trainer
    if trainer.is_global_zero:
        take(run.folder)
        probe(run.checkpoints, sum(value.nbytes for value in platform.model.state_dict().values()))
    restart = _restart(platform)
    if trainer.is_global_zero:
        remove_leftovers(run.checkpoints)
        platform.save_config()
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.rewind(restart.logged)
    if restart.path:
        rank_zero_info(f"{run.folder}: continues at step {restart.logged} from {restart.path}")
    try:
        trainer.fit(platform.model, platform.datamodule, ckpt_path=restart.path, weights_only=True)
    except RuntimeError as error:
        if not str(error).startswith("Error(s) in loading state_dict"):
            raise
        raise ValueError(
            f"{restart.path}: checkpoint of another model or configuration: {str(error).splitlines()[1].strip()}"
            " Name another run with --run.id"
        ) from error
    if restart.path and trainer.global_step == restart.optimizer_steps:
        rank_zero_info(f"{run.folder}: was trained to its end before; no step was made")
    if not run.last_checkpoint.is_file():  # no step was asked for: the untrained model is the run's result
        trainer.save_checkpoint(run.last_checkpoint)


class _Restart(NamedTuple):
    """Where training begins: a checkpoint, or at its start without one, and what was done until there."""

    path: Path | None = None
    optimizer_steps: int = 0
    batches: int = 0

    @property
    def logged(self) -> int:
        """The step that loggers count on from: of batches that stepped, of which one may hold several steps."""
        return min(self.optimizer_steps, self.batches)


def _restart(platform: Platform) -> _Restart:
    named = platform.ckpt_path
    found = (Path(named), read_checkpoint(named)) if named else first_readable(platform.run_folder.restarts)
    if found is None:
        return _Restart()
    path, checkpoint = found
    if missing := [key for key in ("state_dict", "optimizer_states", "loops") if key not in checkpoint]:
        raise ValueError(
            f"{path}: no checkpoint to continue from (no {missing[0]!r}); published weights are for model.weights"
        )
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
    return _Restart(path, checkpoint["global_step"], batches)


def evaluate(platform: Platform, split: Split, ckpt_path: str | Path | None = None) -> None:
    """Scores a split and writes scores, a row of results.csv and figures into the run's folder.

    Args:
        platform: The built parts.
        split: What to score.
        ckpt_path: Weights to score with; None takes those of `load_chosen_weights`.

    Raises:
        ValueError: No batch was scored.
    """
    model, trainer = platform.model, platform.trainer
    ckpt_path = load_chosen_weights(platform, ckpt_path)
    if trainer.is_global_zero:
        probe(platform.run_folder.folder)
    loop = trainer.test if split == "test" else trainer.validate
    loop(model, platform.datamodule, verbose=False)
    if not sum(trainer.num_test_batches if split == "test" else trainer.num_val_batches):
        raise ValueError(
            f"{split}: no batch to score; look at trainer.limit_*_batches and at the data's split"
        )
    if trainer.is_global_zero:
        _write(platform, split, model.report(platform.datamodule, split), ckpt_path)


def _write(platform: Platform, split: Split, report: Report, ckpt_path: str | Path | None) -> None:
    run, trainer = platform.run_folder, platform.trainer
    scores = platform.datamodule.write_scores(
        run.folder / "scores" / f"{split}.txt", report.keys, report.scores, report.decisions
    )
    if report.table:
        write_table(run.folder / "tables" / f"{split}.csv", report.table)
    for name, rows in report.tables.items():
        write_table(run.folder / "tables" / f"{split}_{name}.csv", rows)
    row = result_row(run, split, ckpt_path, platform.config.seed_everything, report)
    append_row(run.folder / "results.csv", row)
    save_figures(run.folder / "figures", split, report, trainer.loggers)
    log_metrics(split, report, trainer.loggers, trainer.global_step, scores=scores)
    show(f"{run.experiment}/{run.id} {split}", report)
    rank_zero_info(f"{run.folder}: scores/{scores.name}, tables/{split}.csv, results.csv, figures/")


def predict(platform: Platform) -> None:
    """Scores ``data.predict`` and writes the scores to ``--output``, or prints ``KEY SCORE`` lines.

    A classifier prints ``KEY`` and for every head ``CLASS PROBABILITY`` of the best class, between tabs.
    """
    model, data = platform.model, platform.datamodule
    if model.scorer() is None:
        raise ValueError(
            f"predict: a {type(model).__name__} gives clips no scores: lightning_modules.process, .generate and .mapper"
            " run production tools"
        )
    load_chosen_weights(platform, None)
    platform.trainer.predict(model, data, return_predictions=False)
    if not sum(platform.trainer.num_predict_batches):
        raise ValueError("predict: no batch to score; look at trainer.limit_predict_batches")
    if not platform.trainer.is_global_zero:
        return
    index, scores = model.gathered
    keys = [data.rows["predict"][row].key for row in index.tolist()]
    if platform.config_init.output is None:
        print_scores(keys, scores, model.heads)
    else:
        data.write_scores(platform.config_init.output, keys, scores.tolist())


def print_scores(keys: Sequence[str], scores: Tensor, heads: Mapping[str, Sequence[str]]) -> None:
    """Prints one line a clip: its score (clip,), or the best class of every head of (clip, sum of classes)."""
    if not heads:
        for key, score in zip(keys, scores.tolist(), strict=True):
            print(f"{key} {score:.9g}")
        return
    best = [part.max(dim=1) for part in scores.split([len(names) for names in heads.values()], dim=1)]
    for row, key in enumerate(keys):
        cells = [
            f"{names[int(found.indices[row])]}\t{found.values[row]:.4f}"
            for names, found in zip(heads.values(), best, strict=True)
        ]
        print("\t".join([key, *cells]))


def load_chosen_weights(platform: Platform, ckpt_path: str | Path | None) -> str | Path | None:
    """Loads ``ckpt_path``, or ``--ckpt_path``, or the best or last checkpoint of the run, and returns it.

    Returns None where the configuration names official weights and nothing else is there.

    Raises:
        ValueError: There is no checkpoint, or it is of another model.
    """
    ckpt_path = (
        ckpt_path or platform.ckpt_path or platform.run_folder.chosen_checkpoint(platform.checkpoints.mode)
    )
    if ckpt_path is not None:
        load_weights(platform.model, ckpt_path, training_only=platform.model.training_only)
    elif platform.config.model.get("init_args", {}).get("weights") is None:
        folder = platform.run_folder.checkpoints
        raise ValueError(f"{folder}: no checkpoint of this configuration; name one with --ckpt_path")
    return ckpt_path
