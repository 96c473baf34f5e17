"""What the commands do with a built platform: train it, score with it, write what came out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from datamodules.files import remove_leftovers
from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.commands.dry_run import dry_run
from lightning_modules.commands.prediction import score_files
from lightning_modules.commands.restart import find_restart
from lightning_modules.config.cli import Platform
from lightning_modules.figures.text import headline
from lightning_modules.package.class_scores import ClassScores
from lightning_modules.package.readings import decisions, readings, undecided
from lightning_modules.package.scored_files import ScoredFiles, Wanted
from lightning_modules.run.average import average
from lightning_modules.run.checkpoints import AtomicCheckpointIO, load_weights
from lightning_modules.run.evaluations import LIMITS
from lightning_modules.run.lock import probe, take
from lightning_modules.run.provenance import data_hash
from lightning_modules.run.results import (
    SAME,
    log_metrics,
    put_row,
    result_row,
    save_figures,
    show,
    write_table,
    write_trials,
)
from lightning_modules.run.rows import Report
from lightning_modules.run.tracking import MetricsCSV


def check_or(platform: Platform, command: Callable[[], object]) -> None:
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
    run, settings = platform.run_folder, platform.checkpoints
    if settings.monitor and settings.num_kept and run.best_checkpoint(settings.mode) is None:
        rank_zero_warn(
            f"{run.folder}: no checkpoint is best: {settings.monitor} was NaN in every validation, or there was none;"
            " last.ckpt counts. Validate on clips of all classes, or choose by another --checkpoints.monitor"
        )
    if platform.trainer.limit_test_batches == 0:
        rank_zero_info(f"{run.folder}: not tested: trainer.limit_test_batches is 0")
        return
    evaluate(platform, "test", run.chosen_checkpoint(settings.mode))


def train(platform: Platform) -> None:
    """Trains from the start, from ``--ckpt_path``, or from where an earlier start of the same run was cut off."""
    run, trainer = platform.run_folder, platform.trainer
    if trainer.is_global_zero:
        take(run.folder)
        probe(run.checkpoints, sum(value.nbytes for value in platform.model.state_dict().values()))
    restart = find_restart(run, platform.ckpt_path, platform.dump())
    if trainer.is_global_zero:
        remove_leftovers(run.checkpoints)
        run.average_checkpoint.unlink(missing_ok=True)  # of this run as it was before
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
    _tell_of_early_stop(platform)
    if restart.path and trainer.global_step == restart.optimizer_steps:
        rank_zero_info(f"{run.folder}: was trained to its end before; no step was made")
    if not run.last_checkpoint.is_file():  # no step was asked for: the untrained model is the run's result
        trainer.save_checkpoint(run.last_checkpoint)
    _average_best(platform)


def _average_best(platform: Platform) -> None:
    """Writes the mean of the best checkpoints, if any is asked for."""
    wanted, run = platform.checkpoints.average_best, platform.run_folder
    if wanted is None:
        return
    if platform.trainer.is_global_zero and (
        best := run.ranked_checkpoints(platform.checkpoints.mode)[:wanted]
    ):
        AtomicCheckpointIO().save_checkpoint(average(best), run.average_checkpoint)
        few = f", for there are no {wanted}" if len(best) < wanted else ""
        rank_zero_info(f"{run.average_checkpoint}: the mean of {', '.join(path.name for path in best)}{few}")
    platform.trainer.strategy.barrier()


def _tell_of_early_stop(platform: Platform) -> None:
    """Says what `EarlyStopping` keeps to itself unless it is verbose."""
    for each in platform.trainer.early_stopping_callbacks:
        assert isinstance(each, EarlyStopping)
        if each.stopping_reason_message is None or not platform.trainer.should_stop:
            continue
        reason = each.stopping_reason_message.removesuffix(" Signaling Trainer to stop.")
        line = f"{platform.run_folder.folder}: stopped after epoch {each.stopped_epoch + 1}: {reason}"
        if each.stopping_reason == EarlyStoppingReason.NON_FINITE_METRIC:
            rank_zero_warn(f"{line} Validate on clips of all classes, or train on with check_finite: false")
        else:
            rank_zero_info(line)


def evaluate(
    platform: Platform, split: Split, ckpt_path: str | Path | None = None
) -> Mapping[str, Any] | None:
    """Scores a split and writes scores, a row of results.csv and figures into the run's folder.

    Of other data or settings than the run's own all of them have names of their own, see `run.evaluations`.

    Args:
        platform: The built parts.
        split: What to score.
        ckpt_path: Weights to score with; None takes those of `load_chosen_weights`.

    Returns:
        The row, on rank zero.

    Raises:
        ValueError: No batch was scored.
    """
    model, trainer = platform.model, platform.trainer
    ckpt_path = load_chosen_weights(platform, ckpt_path)
    platform.evaluations.checkpoint = None if ckpt_path is None else Path(ckpt_path)
    if trainer.is_global_zero:
        probe(platform.run_folder.folder)
        platform.keep_config()
    loop = trainer.test if split == "test" else trainer.validate
    loop(model, platform.datamodule, verbose=False)
    if not sum(trainer.num_test_batches if split == "test" else trainer.num_val_batches):
        raise ValueError(
            f"{split}: no batch to score; look at trainer.limit_*_batches and at the data's split"
        )
    if not trainer.is_global_zero:
        return None
    return _write(platform, split, model.report(platform.datamodule, split), ckpt_path)


def _write(
    platform: Platform, split: Split, report: Report, ckpt_path: str | Path | None
) -> Mapping[str, Any]:
    run, trainer = platform.run_folder, platform.trainer
    rows = platform.datamodule.rows[split]
    evaluation = platform.evaluations.of(split, rows)
    name = evaluation.name
    if (scored := _scored_rows(platform.model)) is not None and len(scored) < len(rows):
        part = f"{len(scored)} of {len(rows)} clips"
        evaluation = evaluation._replace(data_hash=data_hash(rows[row] for row in scored))
        report = replace(
            report,
            data=f"{part}; {report.data}" if report.data else part,
            warnings=[*report.warnings, f"{part} were scored: trainer.{LIMITS[split]} or the like is set"],
        )
    scores = platform.datamodule.write_scores(
        run.folder / "scores" / f"{name}.txt", report.keys, report.scores, report.decisions
    )
    if report.table:
        write_table(run.folder / "tables" / f"{name}.csv", report.table)
    for table, lines in report.tables.items():
        write_table(run.folder / "tables" / f"{name}_{table}.csv", lines)
    if report.trials:
        write_trials(run.folder / "tables", name, report.trials)
    row = result_row(run, evaluation, ckpt_path, platform.config.seed_everything, report)
    put_row(run.folder / "results.csv", row, same=SAME)
    title = headline(run, platform.datamodule.corpus, split)
    save_figures(run.folder / "figures", name, report, trainer.loggers, title=title)
    log_metrics(name, report, trainer.loggers, trainer.global_step, scores=scores)
    show(f"{run.experiment}/{run.id} {name}", report)
    rank_zero_info(f"{run.folder}: scores/{scores.name}, tables/, results.csv, figures/")
    return row


def _scored_rows(model: EvaluatedModule) -> list[int] | None:
    """Rows of the clips that the last loop scored; None of methods that score none."""
    return None if model.gathered is None else model.gathered[0].tolist()


def predict(platform: Platform) -> None:
    """Scores ``data.predict``: writes ``--output`` in the data's format, or prints lines; see `ScoredFiles`."""
    model, data, asked = platform.model, platform.datamodule, platform.config_init
    scorer = model.scorer()
    if scorer is None:
        raise ValueError(
            f"predict: {type(model).__name__} gives clips no scores: lightning_modules.process, .generate and .mapper"
            " run production tools"
        )
    load_chosen_weights(platform, None)
    wanted = Wanted(output=asked.output, top=asked.top, windows=asked.windows, strict=asked.strict)

    @cache
    def scored() -> (
        ScoredFiles
    ):  # with classes of the data and thresholds of the run, which are there since the loop
        thresholds = model.fitted().thresholds
        if why := undecided(thresholds, asked.instance):
            rank_zero_info(why)
        read = readings(thresholds, instance=asked.instance)
        return ScoredFiles(
            wanted,
            ClassScores.of(model.scorer() or scorer),
            lambda path, keys, scores: data.write_scores(
                path, keys, scores.double().tolist(), decisions(read, scores)
            ),
            read,
        )

    score_files(
        model,
        data,
        platform.trainer,
        keep_windows=asked.windows,
        engine=asked.engine,
        take=lambda results: scored().take(results),
    )
    if platform.trainer.is_global_zero:
        scored().close()


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
