"""What every data module shares: a root with a demo corpus, ranks, and training that resumes with the next batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import LightningDataModule
from numpy.typing import ArrayLike
from torch.utils.data import DataLoader, Dataset

from datamodules.loader import ResumableLoader, worker_settings
from datamodules.samplers import EvaluationBatchSampler, TrainSampler


class ResumableDataModule(LightningDataModule, ABC):
    """Root, batch sizes, ranks and resumption; loaders work with and without a Trainer.

    Under several ranks set ``Trainer(use_distributed_sampler=False)``: the samplers here know about ranks.

    Args:
        root: Folder of the data set.
        batch_size: Training items a rank.
        eval_batch_size: Items a batch in validation and test.
        num_workers: Loader processes a rank; None follows the CPUs, 0 decodes in the training process.
        seed: Of the order of items and of all that is random in them.

    Raises:
        ValueError: If a batch size is less than 1.
    """

    demo_root: ClassVar[Path | None] = None
    """Where the data set's demo corpus lies, if it has one."""

    def __init__(
        self,
        *,
        root: str,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, found {value}: correct the data section")
        self.root = Path(root).expanduser()
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.num_workers, self.seed = num_workers, seed
        self._train_loader: ResumableLoader | None = None
        self._restored: dict[str, int] | None = None

    @abstractmethod
    def make_demo(self, folder: Path) -> None:
        """Write a small corpus in the data set's own layout."""

    def make_small(self, folder: Path) -> None:
        """Where `prepare_data` would make a corpus, make it in `folder` instead, for a dry run that leaves nothing."""
        if self.root == self.demo_root and not self.root.exists():
            self.root = folder / self.root.name
            self.make_demo(self.root)

    def prepare_data(self) -> None:
        """Make the demo corpus where the root is its place and it is missing."""
        if self.root == self.demo_root and not self.root.exists():
            self.make_demo(self.root)

    def state_dict(self) -> dict[str, Any]:
        """Progress of training, for a checkpoint.

        Lightning also saves the loader's own state, but restores that only in the middle of an epoch.
        """
        return self._train_loader.state_dict() if self._train_loader else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader continue where the checkpoint was."""
        self._restored = state_dict or None

    def resumable_loader(
        self, dataset: Dataset[Any], sampler: TrainSampler, collate: Callable[..., Any]
    ) -> ResumableLoader:
        """Training batches, from where a restored checkpoint was."""
        self._train_loader = ResumableLoader(
            dataset,
            batch_sampler=sampler,
            epoch_batches=self._epoch_batches(len(sampler)),
            collate_fn=collate,
            **self._worker_settings(),
        )
        # A loader made anew within a run (reload_dataloaders_every_n_epochs) must not repeat the first epoch.
        epoch = self.trainer.current_epoch if self.trainer else 0
        self._train_loader.load_state_dict(self._restored or {"epoch": epoch, "position": 0})
        self._restored = None
        return self._train_loader

    def ordered_loader(
        self,
        dataset: Dataset[Any],
        num_items: int,
        collate: Callable[..., Any],
        *,
        batch_size: int,
        lengths: ArrayLike | None = None,
        num_views: int = 1,
        persistent: bool = False,
    ) -> DataLoader[Any]:
        """Batches of the first `num_items` items, dealt to the ranks; see `EvaluationBatchSampler`."""
        rank, world_size, _ = self.ranks
        sampler = EvaluationBatchSampler(
            num_items,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            lengths=lengths,
            num_views=num_views,
        )
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=collate,
            **self._worker_settings(persistent=persistent),
        )

    def _worker_settings(self, *, persistent: bool = True) -> dict[str, Any]:
        rank, _, ranks_on_node = self.ranks
        return worker_settings(
            self.num_workers, seed=self.seed + rank, ranks_on_node=ranks_on_node, persistent=persistent
        )

    @property
    def ranks(self) -> tuple[int, int, int]:
        """Rank, number of ranks, and ranks on this node."""
        if self.trainer is None:
            return 0, 1, 1
        return self.trainer.global_rank, self.trainer.world_size, self.trainer.num_devices

    def _epoch_batches(self, available: int) -> int:
        """Batches after which Lightning ends an epoch."""
        limit = self.trainer.limit_train_batches if self.trainer else None
        if limit is None:
            return available
        return min(limit, available) if isinstance(limit, int) else int(limit * available)
