"""What a validation or test shows beside its figures: the worst mistakes to look at and listen to, and curves."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor

from lightning_modules.base import EvaluatedModule, Split, data_of
from lightning_modules.callbacks.cadence import Cadence
from lightning_modules.callbacks.mistakes import Mistake, find_mistakes
from lightning_modules.figures.history import history_figure
from lightning_modules.figures.spectrograms import color_image, contact_sheet
from lightning_modules.figures.text import headline
from lightning_modules.run.evaluations import Evaluations
from lightning_modules.run.folder import Run
from lightning_modules.run.results import save_figures, write_table
from lightning_modules.run.tracking import wandb_loggers

if TYPE_CHECKING:
    from datamodules.base import ClipDataModule
    from datamodules.clips import Clip

NUM_SHOWN = 16
MAX_S = 10.0  # of a clip
_HISTORY_S = 60.0  # between two drawings of the history, which take a second


class EvaluationMedia(Callback):
    """Writes ``mistakes/<split>.csv`` and ``.png``, and for W&B a table with audio: after tests and some validations.

    Within training that is the first validation and every tenth from there, with the figures of the model's report.
    ``figures/history.png`` is drawn then, after validations a minute apart, and where training ends, however it ends.

    Args:
        run: Whose folder.
        evaluations: Names what is evaluated.
    """

    def __init__(self, run: Run, evaluations: Evaluations) -> None:
        self._run, self._evaluations = run, evaluations
        self._cadence = Cadence()
        self._drawn_s = -math.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows some validations within training."""
        due = self._cadence.is_due(trainer)
        if trainer.state.fn != TrainerFn.FITTING or not trainer.is_global_zero:
            return
        if due or time.monotonic() - self._drawn_s > _HISTORY_S:
            self._save_history(trainer)
        if not due:
            return
        evaluated = _evaluated(trainer, pl_module, "validation")
        if evaluated is not None:
            assert isinstance(pl_module, EvaluatedModule)
            report = pl_module.report(data_of(trainer), "validation")
            title = headline(self._run, data_of(trainer).corpus, "validation")
            save_figures(self._run.folder / "figures", "validation", report, trainer.loggers, title=title)
            self._save_mistakes(trainer, "validation", *evaluated)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the history."""
        if trainer.is_global_zero:
            self._save_history(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Draws the history of a run that is stopped or fails."""
        if trainer.is_global_zero and trainer.state.fn == TrainerFn.FITTING:
            with suppress(OSError, ValueError):  # what ended the run is to be told
                self._save_history(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the mistakes of the test."""
        evaluated = _evaluated(trainer, pl_module, "test") if trainer.is_global_zero else None
        if evaluated is not None:
            self._save_mistakes(trainer, "test", *evaluated)

    def _save_history(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()
        self._drawn_s = time.monotonic()
        figure = history_figure(self._run.folder / "metrics.csv")
        if figure is not None:
            figure.suptitle(headline(self._run, data_of(trainer).corpus), fontsize=9)
            path = self._run.folder / "figures" / "history.png"
            path.parent.mkdir(exist_ok=True)
            figure.savefig(path, dpi=100)

    def _save_mistakes(self, trainer: Trainer, split: Split, clips: Sequence["Clip"], scores: Tensor) -> None:
        found = find_mistakes(clips, scores, data_of(trainer).target_names)
        name = self._evaluations.of(split, data_of(trainer).rows[split]).name
        path = self._run.folder / "mistakes" / f"{name}.csv"
        path.unlink(missing_ok=True)
        path.with_suffix(".png").unlink(missing_ok=True)
        if not found:
            return
        write_table(path, [_row(mistake) | {"path": mistake.clip.path} for mistake in found])
        try:
            title = headline(self._run, data_of(trainer).corpus, split)
            _show(found[:NUM_SHOWN], path.with_suffix(".png"), trainer, name, title)
        except (ValueError, OSError) as error:  # such as packed spectrograms
            rank_zero_warn(f"{path}: the mistakes cannot be heard: {error}")


def _evaluated(
    trainer: Trainer, pl_module: LightningModule, split: Split
) -> tuple[list["Clip"], Tensor] | None:
    """The clips and scores that the loop gathered, None without clips of several known classes."""
    if not isinstance(pl_module, EvaluatedModule) or pl_module.scorer() is None or pl_module.gathered is None:
        return None
    clips, scores = pl_module.scored(data_of(trainer), split)
    return (clips, scores) if len({clip.target for clip in clips} - {-1}) > 1 else None


def _row(mistake: Mistake) -> dict[str, str | float]:
    return {
        "key": mistake.clip.key,
        "target": mistake.target,
        "predicted": mistake.predicted,
        "margin": mistake.margin,
    }


def _show(mistakes: Sequence[Mistake], path: Path, trainer: Trainer, name: str, title: str) -> None:
    from datamodules.clips import ClipDataset  # and with it the decoders

    data = cast("ClipDataModule", data_of(trainer))  # mistakes are those of clips
    rate = data.sample_rate
    clips = [replace(mistake.clip, stop_s=_stop_s(mistake.clip)) for mistake in mistakes]
    dataset = ClipDataset(clips, **data.decoding, condition=data.condition)
    waveforms = [dataset[row, 0].waveform for row in range(len(clips))]
    titles = [f"{each.clip.key[-40:]}\n{each.target} taken for {each.predicted}" for each in mistakes]
    sheet = contact_sheet(waveforms, titles, sample_rate=rate)
    sheet.suptitle(title, fontsize=9)
    sheet.savefig(path, dpi=100)
    for logger in wandb_loggers(trainer):
        import wandb

        rows = [_row(mistake) for mistake in mistakes]
        media = [
            [wandb.Audio(waveform[0].numpy(), rate), wandb.Image(color_image(waveform, sample_rate=rate))]
            for waveform in waveforms
        ]
        data = [[*row.values(), *pair] for row, pair in zip(rows, media, strict=True)]
        logger.log_table(f"{name}/mistakes", columns=[*rows[0], "audio", "spectrogram"], data=data)


def _stop_s(clip: "Clip") -> float:
    end = clip.start_s + MAX_S
    return end if clip.stop_s is None else min(clip.stop_s, end)
