"""Examples of a mapping, a few in ``train.csv``, as one batch to learn from."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from sys import maxsize
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import audio
from datamodules.clips import pad
from datamodules.demo import mapping
from datamodules.example_table import ExampleTable, class_names, read_examples, write_columns


class ExampleBatch(NamedTuple):
    """A batch of examples.

    Attributes:
        inputs: float32 (batch, input), or waveforms (batch, time) in [-1, 1].
        outputs: float32 (batch, output), values or class indices.
        index: int64 (batch,), row in the split.
    """

    inputs: Tensor
    outputs: Tensor
    index: Tensor


class MappingExamples(LightningDataModule):
    """``train.csv``, ``validation.csv`` and ``test.csv`` of a folder; without the last, training examples are tested.

    A file has a header. The columns named here are outputs, ``key`` names the row, and either ``path`` names an audio
    file or all others are inputs.

    Args:
        root: The folder.
        outputs: Columns of continuous control values.
        class_outputs: Columns of classes; those of ``train.csv`` are all.
        sample_rate: What audio is resampled to, in Hz; its channels are averaged.
        clip_s: What is heard of an audio file, in seconds from its beginning; shorter ones end in silence.
        eval_batch_size: Examples a batch in validation and test; training takes all at once.

    Attributes:
        examples: Split -> its rows, once `setup` has read them.
    """

    demo_root: ClassVar[Path] = Path(mapping.ROOT)

    def __init__(
        self,
        *,
        root: str = mapping.ROOT,
        outputs: Sequence[str] = mapping.OUTPUTS,
        class_outputs: Sequence[str] = (),
        sample_rate: int = 16000,
        clip_s: float = 1.0,
        eval_batch_size: int = 1024,
    ) -> None:
        super().__init__()
        if not (outputs or class_outputs) or clip_s * sample_rate < 1 or eval_batch_size < 1:
            raise ValueError(
                f"outputs {list(outputs)}, class_outputs {list(class_outputs)}, clip_s {clip_s}, eval_batch_size"
                f" {eval_batch_size}: give at least one output, one sample and one example a batch"
            )
        self.root = Path(root).expanduser()
        self.sample_rate, self.clip = sample_rate, round(clip_s * sample_rate)
        self.batch_size, self.eval_batch_size = maxsize, eval_batch_size  # a dry run takes fewer
        self.num_workers = 0
        self.outputs: dict[str, list[str]] = {name: [] for name in (*outputs, *class_outputs)}
        self.class_outputs = list(class_outputs)
        self.examples: dict[str, ExampleTable] = {}

    def make_small(self, folder: Path) -> None:
        """Where `prepare_data` would make the demo, make it in `folder` instead."""
        if self.root == self.demo_root and not self.root.exists():
            self.root = folder / self.root.name
            mapping.write_mapping(self.root)

    def prepare_data(self) -> None:
        """Make the demo where the root is its place and it is missing."""
        if self.root == self.demo_root and not self.root.exists():
            mapping.write_mapping(self.root)

    def setup(self, stage: str | None = None) -> None:
        """Read all files, for they are small."""
        if self.examples:
            return
        train = self.root / "train.csv"
        self.outputs |= {name: class_names(train, name) for name in self.class_outputs}
        for split in ("train", "validation", "test"):
            path = self.root / f"{split}.csv"
            if split == "train" or path.is_file():
                self.examples[split] = read_examples(path, self.outputs)
        names = self.examples["train"].input_names
        for split, table in self.examples.items():
            if table.input_names != names:
                raise ValueError(
                    f"{self.root / split}.csv: inputs {table.input_names}, and train.csv has {names}: give all files"
                    " the same columns in the same order"
                )

    def split(self, name: Literal["train", "validation", "test"]) -> ExampleTable:
        """Rows of a split; without ``test.csv`` its rows are those of training."""
        return self.examples.get(name, self.examples["train"])

    @property
    def input_names(self) -> list[str]:
        """Columns of the inputs; none with audio files."""
        return self.examples["train"].input_names

    def train_dataloader(self) -> DataLoader[Any]:
        """All training examples as one batch."""
        self.setup("fit")
        return self._loader("train", self.batch_size)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Batches of ``validation.csv``, or an empty list without it."""
        self.setup("validate")
        return self._loader("validation", self.eval_batch_size) if "validation" in self.examples else []

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of ``test.csv``, or of the training examples without it."""
        self.setup("test")
        return self._loader("test", self.eval_batch_size)

    def _loader(self, split: Literal["train", "validation", "test"], batch_size: int) -> DataLoader[Any]:
        table = self.split(split)
        return DataLoader(
            range(len(table.keys)),  # pyright: ignore[reportArgumentType]
            batch_size=min(batch_size, len(table.keys)),
            collate_fn=partial(self._collate, table),
            generator=torch.Generator(),  # of its own, not to draw from the global one
        )

    def _collate(self, table: ExampleTable, rows: Sequence[int]) -> ExampleBatch:
        inputs = torch.from_numpy(table.inputs[rows])
        if table.paths:
            waves = [pad(self.read(table.paths[row])[:, : self.clip], self.clip, "zero") for row in rows]
            inputs = torch.cat(waves)
        return ExampleBatch(inputs, torch.from_numpy(table.outputs[rows]), torch.tensor(rows))

    def read(self, path: str) -> Tensor:
        """Decode a file, mono, at the sample rate: (1, time)."""
        waveform, rate = audio.read(path)
        return audio.resample(waveform.mean(dim=0, keepdim=True), rate, self.sample_rate)

    def windows(self, path: str, hop_s: float) -> Iterator[Tensor]:
        """The last `clip_s` seconds heard of a file, (time,), every `hop_s`; silence comes before its beginning."""
        hop = round(hop_s * self.sample_rate)
        if not 1 <= hop <= self.clip:
            raise ValueError(
                f"a hop of {hop_s} s: expected one sample to {self.clip / self.sample_rate} s, the clip"
            )
        heard = torch.nn.functional.pad(self.read(path)[0], (self.clip - hop, 0))
        yield from heard.unfold(0, self.clip, hop)

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[Sequence[float]],
        decisions: Sequence[int] | None = None,
    ) -> None:
        """Write ``key,<output>...`` as CSV, classes by name."""
        write_columns(Path(path).with_suffix(".csv"), {"key": list(keys), **self.named(scores)})

    def write_examples(self, path: str | Path, names: Sequence[str], inputs: Tensor, outputs: Tensor) -> None:
        """Write examples as a file that can be ``train.csv``: inputs (example, input), outputs (example, output)."""
        columns = dict(zip(names, inputs.T.tolist(), strict=True))
        write_columns(path, columns | self.named(outputs.tolist()))

    def named(self, values: Sequence[Sequence[float]]) -> dict[str, list[Any]]:
        """Columns of (example, output) values by name, class indices replaced by names."""
        return {
            name: [classes[int(row[column])] if classes else row[column] for row in values]
            for column, (name, classes) in enumerate(self.outputs.items())
        }
