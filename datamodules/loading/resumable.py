"""What every data module is: rows of splits, files of scores, a demo corpus, loaders that resume with the next one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from datamodules.audio.resampling import Resampler
from datamodules.loading.loader import Loader, ResumableLoader, worker_settings
from datamodules.loading.samplers import EvaluationBatchSampler, TrainSampler

SplitName = Literal["train", "validation", "test", "predict"]
_SPLITS_OF_STAGE: dict[str | None, tuple[SplitName, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
    None: ("train", "validation", "test", "predict"),
}


class Keyed(Protocol):
    """A row of any data set."""

    @property
    def key(self) -> str:
        """Id, unique within a split."""
        ...


class ResumableDataModule(LightningDataModule, ABC):
    """What Lightning modules and commands know of a data set; loaders work with and without a Trainer.

    Under several ranks set ``Trainer(use_distributed_sampler=False)``: the samplers here know about ranks.

    Args:
        root: Folder of the data set.
        sample_rate: What waveforms are resampled to, in Hz.
        resampler: What brings files to `sample_rate`: ``soxr_hq``, or ``torchaudio`` as in versions up to 0.2, which
            checkpoints of theirs and the papers' configurations keep; None is soxr_hq.
        allow_truncated: Take what there is of files that were cut off, instead of refusing them.
        batch_size: Training items a rank.
        eval_batch_size: Items a batch in validation, test and prediction.
        num_workers: Loader processes a rank; None follows the CPUs, 0 decodes in the training process.
        seed: Of the order of items and of all that is random in them, as crops.

    Attributes:
        rows: Split name -> its rows, once `setup` has read them; `index` of a batch counts them.

    Raises:
        ValueError: If a batch size is less than 1.
    """

    demo_root: Path | None = None
    """Where the data set's demo corpus lies, if it has one."""

    demo_writer: ClassVar[Callable[..., object] | None] = None
    """What writes it into a new folder, ``(folder, *, seed=0)``, as a `staticmethod`."""

    takes_class_scores: ClassVar[bool] = True
    """Whether `write_scores` takes one score a class; formats of detection have room for one a clip alone."""

    rows: dict[str, Sequence[Keyed]]

    def __init__(
        self,
        *,
        root: str,
        sample_rate: int = 16000,
        resampler: Resampler | None = None,
        allow_truncated: bool = False,
        batch_size: int = 24,
        eval_batch_size: int = 24,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, found {value}: correct the data section")
        self.root, self.sample_rate = Path(root).expanduser(), sample_rate
        self.resampler: Resampler = resampler or "soxr_hq"
        self.allow_truncated = allow_truncated
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.num_workers, self.seed = num_workers, seed
        self.rows = {}
        self._train_loader: ResumableLoader | None = None
        self._restored: dict[str, int] | None = None

    @property
    def corpus(self) -> str:
        """What it is called above figures: the data set, and the folder that it lies in."""
        return f"{type(self).__name__} {self.root.name}"

    @property
    def decoding(self) -> dict[str, Any]:
        """How files become waveforms, as settings of `datamodules.clips.ClipDataset`."""
        return {
            "sample_rate": self.sample_rate,
            "resampler": self.resampler,
            "allow_truncated": self.allow_truncated,
        }

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """Name of each label of a row -> its class names by index; empty where rows have none."""
        return {}

    @property
    def target_names(self) -> Mapping[str, Sequence[str]]:
        """`heads`, as targets of `rows` count them."""
        return self.heads

    @abstractmethod
    def split(self, name: Literal["train", "validation", "test"]) -> Sequence[Any]:
        """Read the rows of a split from the data set's own lists and names, without looking at the audio."""

    @abstractmethod
    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: Any, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write scores in the data set's official format, and decisions where it asks for them.

        Args:
            path: Where to; the format decides the suffix. Where it is several files, they lie in a folder: `path`
                without its suffix.
            keys: Of the rows.
            scores: One a row, or an array (row, ...) where a row has several.
            decisions: 0 or 1 a row.

        Returns:
            The file or folder that was written.
        """

    def seconds_of(self, batch: Any) -> float:
        """Seconds of sound in a batch, as the network hears it."""
        return len(batch.waveform) * batch.waveform.shape[-1] / self.sample_rate

    def rows_to_predict(self) -> Sequence[Any]:
        """Rows of what there is to predict on; most data sets have none."""
        return []

    def read_rows(self, name: SplitName) -> Sequence[Any]:
        """What ``rows[name]`` becomes."""
        return self.rows_to_predict() if name == "predict" else self.split(name)

    def setup(self, stage: str | None = None) -> None:
        """Read the splits of a stage, each once.

        Raises:
            ValueError: There is nothing to train on.
        """
        for name in _SPLITS_OF_STAGE[stage]:
            if name not in self.rows:
                rows = self.read_rows(name)
                if name == "train" and stage == "fit" and not len(rows):
                    found = "nothing to train on in it" if self.root.exists() else "no such folder"
                    raise ValueError(f"{self.root}: {found}: set data.root to the folder of the data set")
                self.rows[name] = rows

    def keep_few(self) -> int:
        """Read a few rows of every split from now on, for a dry run, where reading or fitting many takes long.

        Returns:
            Batches of an evaluation that are worth scoring then.
        """
        return 1

    def make_demo(self, folder: Path) -> None:
        """Write a small corpus in the data set's own layout."""
        write = type(self).demo_writer
        if write is None:
            raise ValueError(
                f"{type(self).__name__} has no demo corpus: set root to the data set's folder, not {folder}"
            )
        write(folder)

    def make_small(self, folder: Path) -> None:
        """Where `prepare_data` would make a corpus, make it in `folder` instead, for a dry run that leaves nothing."""
        if self.root == self.demo_root and not self.root.exists():
            self.root = folder / self.root.name
            self.make_demo(self.root)

    def prepare_data(self) -> None:
        """Make the demo corpus where the root is its place and it is missing."""
        if self.root == self.demo_root and not self.root.exists():
            self.make_demo(self.root)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Batches of the validation split; an empty list where the data set has none."""
        self.setup("validate")
        return self.evaluation_loader("validation") if self.rows["validation"] else []

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split."""
        self.setup("test")
        return self.evaluation_loader("test")

    @abstractmethod
    def evaluation_loader(self, split: SplitName) -> DataLoader[Any]:
        """Batches of the rows in ``rows[split]``, each once."""

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
        dealt: bool = True,
        persistent: bool = False,
        **settings: Any,
    ) -> DataLoader[Any]:
        """Batches of the first `num_items` items, `dealt` to the ranks or all on each; see `EvaluationBatchSampler`."""
        rank, world_size, _ = self.ranks if dealt else (0, 1, 1)
        sampler = EvaluationBatchSampler(num_items, rank=rank, world_size=world_size, **settings)
        workers = self._worker_settings(persistent=persistent)
        return Loader(dataset, batch_sampler=sampler, collate_fn=collate, **workers)

    def _worker_settings(self, *, persistent: bool = True) -> dict[str, Any]:
        rank, _, ranks_on_node = self.ranks
        return worker_settings(
            self.num_workers, seed=self.seed + rank, ranks_on_node=ranks_on_node, persistent=persistent
        )

    @property
    def order_settings(self) -> dict[str, Any]:
        """What every order of training batches depends on; tests of overfitting repeat the first epoch's."""
        rank, world_size, _ = self.ranks
        return {
            "batch_size": self.batch_size,
            "rank": rank,
            "world_size": world_size,
            "seed": self.seed,
            "reshuffle": not getattr(self.trainer, "overfit_batches", 0),  # which Trainer does not declare
        }

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
