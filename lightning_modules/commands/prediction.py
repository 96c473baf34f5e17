"""Scores the files that `predict` names by the loop of a Trainer: on any device, in any precision, by many ranks."""

from collections.abc import Callable
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from lightning_utilities.core.rank_zero import rank_zero_info

from datamodules.base import ClipDataModule
from datamodules.hearing import Batches, Listening
from lightning_modules.base import EvaluatedModule
from lightning_modules.package.engine_names import Engine
from lightning_modules.package.engines import Score, choose
from lightning_modules.package.scorers import Scorer
from lightning_modules.package.scoring import Scoring
from lightning_modules.package.tally import Result


def score_files(
    model: EvaluatedModule,
    data: ClipDataModule,
    trainer: Trainer,
    *,
    keep_windows: bool = False,
    engine: Engine = "auto",
    take: Callable[[list[Result]], object] | None = None,
) -> list[Result]:
    """Returns what is known of every file that `data.predict` names, in their order, on rank zero.

    With `take` it is given away in parts: of one process as soon as it is known, and of several at the end.

    Raises:
        ValueError: Nothing is named, or the loop ended before the first batch.
    """
    if trainer.world_size > 1 and isinstance(trainer.strategy, FSDPStrategy | ModelParallelStrategy):
        raise ValueError(
            "predict: ranks that share parameters score in step, and files differ in length: set trainer.strategy to"
            " ddp, or trainer.devices to 1"
        )
    prediction = Prediction(model, data, keep_windows=keep_windows, engine=engine, take=take)
    data.predict_dataloader = prediction.loader  # pyright: ignore[reportAttributeAccessIssue]
    trainer.callbacks.append(prediction)  # pyright: ignore[reportAttributeAccessIssue]
    trainer.predict(model, data, return_predictions=False)
    if not prediction.has_ended:
        raise ValueError("predict: no batch to score; look at trainer.limit_predict_batches")
    return prediction.results


class Prediction(Callback):
    """Feeds the loop with pieces of files and takes their scores.

    Args:
        model: What scores; its `predict_step` gives the scores of a batch.
        data: What names files and says how they are cut.
        keep_windows: See `Tally`.
        engine: What computes.
        take: Takes results away; see `score_files`.

    Attributes:
        results: Of all files on rank zero once the loop has ended, of those of this rank before; none that were taken.
        has_ended: Whether it has.
    """

    def __init__(
        self,
        model: EvaluatedModule,
        data: ClipDataModule,
        *,
        keep_windows: bool,
        engine: Engine,
        take: Callable[[list[Result]], object] | None,
    ) -> None:
        self._take = take
        self._engine: Engine = engine
        self._model, self._data, self._keep_windows = model, data, keep_windows
        self.results: list[Result] = []
        self.has_ended = False

    @cached_property
    def scoring(self) -> Scoring:
        """What is scored, once model and data are set up."""
        data, scorer = self._data, self._model.scorer()
        assert scorer is not None
        if not data.predict:
            raise ValueError("predict: nothing to score: name audio files, folders, or .txt lists of paths")
        return Scoring(
            data.rows["predict"],
            Listening.of(data),
            scorer,
            batch_size=data.eval_batch_size,
            num_workers=data.num_workers,
            share=data.ranks[:2],
            keep_windows=self._keep_windows,
        )

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Weights stay as they are, and an engine can be chosen."""
        self._model.scores_fixed_weights(True, self._chosen)

    def _chosen(self, scorer: Scorer) -> Score:
        """Is called for the first batch, under the precision of the trainer."""
        chosen = choose(scorer, self.scoring.listening, self._engine)
        if chosen.remark:
            rank_zero_info(chosen.remark)
        return chosen.score

    def loader(self) -> Batches:
        """What the loop runs over."""
        return self.scoring.batches

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: object
    ) -> None:
        """Takes the scores of a batch."""
        self.results += self.scoring.take(batch, outputs)
        if trainer.world_size == 1:
            self._give_away()

    def _give_away(self) -> None:
        if self._take is not None and self.results:
            results, self.results = self.results, []
            self._take(results)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Collects the results of all ranks."""
        self.results += self.scoring.tally.results()
        self.results += self.scoring.tally.rest("trainer.limit_predict_batches is set")
        if trainer.world_size > 1:
            of_ranks: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(of_ranks, self.results)
            self.results = sorted(chain(*of_ranks), key=lambda result: result.end.row)
        if trainer.is_global_zero:
            self._give_away()
        self._model.scores_fixed_weights(False)
        self.has_ended = True
