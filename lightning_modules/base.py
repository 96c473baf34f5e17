"""What every method shares: optimizer, the scores of a split over all ranks, its report, what scoring fitted."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast, get_args, get_origin

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn import Parameter

from lightning_modules import optimization
from lightning_modules.metrics.row_table import RowTable
from lightning_modules.run import encoder_weights
from lightning_modules.run.fitted import Fitted
from lightning_modules.run.pretrained import Pretrained, Weights, read_pretrained
from lightning_modules.run.rows import Report

if TYPE_CHECKING:  # what commands do without until something is built
    from datamodules.base import ClipDataModule
    from datamodules.loading.resumable import ResumableDataModule
    from lightning_modules.package.scorers import Scorer

Data = TypeVar("Data", bound="ResumableDataModule")
Split = Literal["validation", "test"]


class EvaluatedModule(LightningModule, ABC, Generic[Data]):
    """A method: how it trains, what a clip scores, how a scored split is reported.

    Commands and callbacks ask a method for what stands here. A method adds `training_step`, `scorer` and `report`; one
    whose scoring rule needs more than a waveform has a `score` of its own.

    Args:
        network: What learns, where it is one network.
        frontend: What makes the network's input of waveforms, where it is one module.
        table: How the rows of a split are collected: each clip once, or averaged over its views.
        weights: What the network begins with: published weights, a checkpoint, a run's folder or a package; a mapping
            says more, see `run.pretrained.Weights`. Null begins anew.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
        encoder_lr: How much more slowly the network's pretrained encoder learns; null learns all at one rate.

    Attributes:
        heads: Head -> class names by index of scores (clip, class); empty where a clip has one score.
        gathered: Row of each clip, int64 (clip,), and its scores, (clip,) or (clip, column), of the last loop.
    """

    training_only: ClassVar[tuple[str, ...]] = ()
    """Prefixes of entries of the state that scoring does not need."""

    fits_on_training_clips: ClassVar[bool] = False
    """Whether scoring needs more of the training clips than the weights; see `fitted`."""

    heads: Mapping[str, Sequence[str]] = MappingProxyType({})

    def __init__(
        self,
        network: nn.Module | None = None,
        frontend: nn.Module | None = None,
        *,
        table: type[RowTable] = RowTable,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        encoder_lr: optimization.EncoderRate | None = None,
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.frontend: Any = frontend
        self.optimizer_factory, self.lr_scheduler_factory = optimizer, lr_scheduler
        self.encoder_lr = encoder_lr
        self.collected = table()
        self.gathered: tuple[Tensor, Tensor] | None = None
        self._make_engine: Callable[[Scorer], Callable[..., Tensor]] | None = None
        self._engine: Callable[..., Tensor] | None = None
        if weights is not None:
            self.begin_with(read_pretrained(weights))

    def begin_with(self, pretrained: Pretrained) -> None:
        """Takes the network of earlier weights.

        Raises:
            ValueError: They are of another network, or this method has not one network.
        """
        if self.network is None:
            raise ValueError(
                f"model.weights: {type(self).__name__} has several networks or none, and weights are of one: leave"
                " them out, or go on from a checkpoint with --ckpt_path"
            )
        pretrained.load_into(self.network)

    @property
    def target_names(self) -> Mapping[str, Sequence[str]]:
        """Label -> class names in the order in which this method counts targets; empty takes the order of the data."""
        return self.heads

    def setup(self, stage: str) -> None:
        """Lets the data count classes as this method does; a method with more to do before a loop calls it.

        Raises:
            ValueError: The data have other classes, or no room for the scores of each.
        """
        if self.heads and not self.data.takes_class_scores:
            raise ValueError(
                f"data: {type(self.data).__name__} writes one score a clip, and {type(self).__name__} gives one a"
                " class: name a data set of classes, such as AudioFolder, or a detector"
            )
        if self.target_names:
            data = cast("ClipDataModule", self.data)  # only clips have classes
            data.count_classes_as(self.target_names, method=type(self).__name__, complete=stage == "fit")

    @property
    def data(self) -> Data:
        """The data module of the running loop."""
        return cast(Data, data_of(self.trainer))

    @classmethod
    def kind_of_data(cls) -> type | None:
        """What a data module must be for this method, as its class says: ``EvaluatedModule[ClipDataModule]``."""
        bases = (base for each in cls.__mro__ for base in each.__dict__.get("__orig_bases__", ()))
        kinds = (
            kind for base in bases for kind in get_args(base) if issubclass(get_origin(base), EvaluatedModule)
        )
        return next((kind for kind in kinds if isinstance(kind, type) and kind is not Any), None)

    def parameter_groups(self) -> Iterable[Parameter] | Iterable[dict[str, Any]]:
        """What the optimizer is made from."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    def configure_optimizers(self) -> Any:
        """Builds the optimizer and its schedule."""
        groups = self.parameter_groups()
        if self.encoder_lr is not None:
            groups = optimization.at_rates(self, groups, self.encoder_lr)
        return optimization.configure(
            self, self.optimizer_factory, self.lr_scheduler_factory, parameters=groups
        )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Steps the optimizer, then what follows the weights."""
        super().optimizer_step(*args, **kwargs)
        self.after_optimizer_step()

    def after_optimizer_step(self) -> None:
        """Moves what follows the weights, such as a momentum encoder."""

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Lets a step have the mean gradient of its batches also where an epoch ends within an accumulation.

        Lightning divides the loss of each by ``accumulate_grad_batches``, however few are left.
        """
        batches, group = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        if group > 1 and self.automatic_optimization and math.isfinite(batches):
            rest = int(batches) % group
            if rest and self.trainer.fit_loop.batch_idx >= batches - rest:
                loss = loss * (group / rest)
        super().backward(loss, *args, **kwargs)

    @abstractmethod
    def scorer(self) -> "Scorer | None":
        """Returns front end, network and scoring rule alone, as packages hold them; None where no clip has a score."""

    def score(self, batch: Any) -> Tensor:
        """Returns what a clip is evaluated by, (batch,) or (batch, column)."""
        return self.engine()(batch.waveform, batch.length)

    def engine(self) -> "Callable[..., Tensor]":
        """Returns what computes scores: the scorer, in a loop with weights that do not change a faster form of it."""
        if self._engine is not None:
            return self._engine
        scorer = self.scorer()
        assert scorer is not None, "a method without a scorer has a score of its own"
        if self._make_engine is None:
            return scorer
        self._engine = self._make_engine(scorer)
        return self._engine

    def scores_fixed_weights(
        self, are_fixed: bool, make: "Callable[[Scorer], Callable[..., Tensor]] | None" = None
    ) -> None:
        """Is told where weights, from the first score on, stay as they are, and where they may change again.

        Args:
            are_fixed: Whether they do.
            make: The scorer -> what computes its scores; None is `package.eager.Eager`.
        """
        from lightning_modules.package.eager import Eager

        self._make_engine, self._engine = (make or Eager) if are_fixed else None, None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what commands need beside the weights; leaves out weights that encoders have of files for good."""
        encoder_weights.leave_out(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores what `on_save_checkpoint` keeps.

        Raises:
            ValueError: The checkpoint leaves out weights that are not there.
        """
        encoder_weights.require_same(self, encoder_weights.left_out(checkpoint))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collects scores; `report` evaluates them."""
        self.collected.update(self.score(batch), batch.index)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """As in validation."""
        self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Returns the scores; `commands.prediction` collects them."""
        return self.score(batch)

    def on_validation_epoch_end(self) -> None:
        """Gathers the scores of all ranks, and logs ``val/<name>`` of them."""
        self.gather()
        metrics = self.validation_metrics()
        is_training = self.trainer.state.fn == TrainerFn.FITTING  # a command's own is logged by its name
        values = {f"val/{name}": float(value) for name, value in metrics.items()}
        self.log_dict(values, prog_bar=True, logger=is_training)

    def on_test_epoch_end(self) -> None:
        """Gathers the scores of all ranks."""
        self.gather()

    def gather(self) -> None:
        """Takes what the steps of all ranks collected."""
        self.gathered = self.collected.gathered()

    def scored(self, datamodule: Data, split: Split) -> tuple[list[Any], Tensor]:
        """Rows of the clips that the last loop scored, and their scores on the CPU, (clip,) or (clip, column)."""
        assert self.gathered is not None, "a validation or test loop comes first"
        index, scores = (column.cpu() for column in self.gathered)
        rows = list(datamodule.rows[split])  # a table makes all of them at once much quicker than one by one
        return [rows[row] for row in index.tolist()], scores

    def validation_metrics(self) -> Mapping[str, float | Tensor]:
        """Figures of the validation that has been gathered, by name; the best checkpoint is chosen by one of them.

        Those of the report, unless a method has ones that cost less or say more of clips without labels.
        """
        return self.report(self.data, "validation").metrics

    @abstractmethod
    def report(self, datamodule: Data, split: Split) -> Report:
        """Evaluates what the last validation or test loop gathered."""

    @property
    def can_score(self) -> bool:
        """Whether clips can be scored, or something is still to be fitted on the training clips; see `fitted`."""
        return True

    def fitted(self) -> Fitted:
        """What scoring fitted on the training clips beside the weights, for the run's folder."""
        return Fitted()

    def restore(self, fitted: Fitted) -> None:
        """Takes back what `fitted` gave; an empty one forgets, so that scoring fits anew."""


def data_of(trainer: Trainer) -> "ResumableDataModule":
    """The data module of a trainer."""
    return trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
