"""What the commands do with a built platform: train it, score with it, write what came out."""

from pathlib import Path
from typing import Literal

from lightning.pytorch.utilities.rank_zero import rank_zero_info

from lightning_modules.checkpoints import load_weights, read_checkpoint, remove_leftovers
from lightning_modules.cli import Platform
from lightning_modules.results import Report, append_row, log_metrics, result_row, save_figures, show
from lightning_modules.tracking import MetricsCSV

Split = Literal["validation", "test"]


def train(platform: Platform) -> None:
    """Trains from the start, from ``--ckpt_path``, or from where an earlier start of the same run was cut off."""
    run, trainer = platform.run_folder, platform.trainer
    ckpt_path = platform.ckpt_path
    if ckpt_path is None and run.last_checkpoint.is_file():
        ckpt_path = str(run.last_checkpoint)
    step = read_checkpoint(ckpt_path)["global_step"] if ckpt_path else 0
    if trainer.is_global_zero:
        remove_leftovers(run.checkpoints)
        platform.save_config()
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.rewind(step)
    if ckpt_path:
        rank_zero_info(f"{run.folder}: continues at step {step} from {ckpt_path}")
    trainer.fit(platform.model, platform.datamodule, ckpt_path=ckpt_path, weights_only=True)


def evaluate(platform: Platform, split: Split, ckpt_path: str | Path | None) -> None:
    """Scores a split with a checkpoint and writes scores, a row of results.csv and figures into the run's folder.

    Args:
        platform: The built parts.
        split: What to score.
        ckpt_path: Weights to score with; None uses the module as it is, e.g. with official weights.
    """
    model, trainer = platform.model, platform.trainer
    if ckpt_path is not None:
        load_weights(model, ckpt_path, training_only=getattr(model, "training_only", ()))
    loop = trainer.test if split == "test" else trainer.validate
    loop(model, platform.datamodule, verbose=False)
    report = model.report(platform.datamodule, split)  # all ranks: it gathers their scores
    if trainer.is_global_zero:
        _write(platform, split, report, ckpt_path)


def _write(platform: Platform, split: Split, report: Report, ckpt_path: str | Path | None) -> None:
    run, trainer = platform.run_folder, platform.trainer
    platform.datamodule.write_scores(run.folder / "scores" / f"{split}.txt", report.keys, report.scores)
    row = result_row(run, split, ckpt_path, platform.config.seed_everything, report)
    append_row(run.folder / "results.csv", row)
    save_figures(run.folder / "figures", split, report, trainer.loggers)
    log_metrics(split, report, trainer.loggers, trainer.global_step)
    show(f"{run.experiment}/{run.id} {split}", report)
    rank_zero_info(f"{run.folder}: scores/{split}.txt, results.csv, figures/")


def chosen_checkpoint(platform: Platform) -> str | None:
    """Returns ``--ckpt_path``, or the best checkpoint of this configuration's run, or None for official weights.

    Raises:
        ValueError: There is none of them.
    """
    if platform.ckpt_path is not None:
        return platform.ckpt_path
    best = platform.run_folder.best_checkpoint(platform.checkpoints.mode)
    if best is not None:
        return str(best)
    if platform.config.model.init_args.get("weights") is not None:
        return None
    raise ValueError(f"{platform.run_folder.checkpoints}: no checkpoint of this configuration; name one with --ckpt_path")
