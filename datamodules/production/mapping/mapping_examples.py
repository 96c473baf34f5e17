"""Examples of a mapping, a few in ``train.csv``, as one batch to learn from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import maxsize
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from datamodules import audio
from datamodules.clips import pad
from datamodules.demo import mapping
from datamodules.loading.resumable import ResumableDataModule
from datamodules.loading.samplers import Request
from datamodules.production.mapping.example_table import Example, class_names, read_examples, write_columns


class ExampleBatch(NamedTuple):
    """A batch of examples; one alone has not the first dimension.

    Attributes:
        inputs: float32 (batch, input), or waveforms (batch, time) in [-1, 1].
        outputs: float32 (batch, output), values or class indices.
        index: int64 (batch,), row in the split.
    """

    inputs: Tensor
    outputs: Tensor
    index: Tensor


class ExampleDataset(Dataset[ExampleBatch]):
    """Examples one by one, files as what is heard of them.

    Args:
        examples: The rows.
        clip: Samples of every sound.
        **decoding: See `read_mono`.
    """

    def __init__(self, examples: Sequence[Example], *, clip: int, **decoding: Any) -> None:
        self.examples, self.clip, self.decoding = examples, clip, decoding

    def __getitem__(self, request: Request) -> ExampleBatch:
        index, _ = request
        example = self.examples[index]
        inputs = torch.from_numpy(example.inputs)
        if example.path is not None:
            heard = read_mono(example.path, **self.decoding)[:, : self.clip]
            inputs = pad(heard, self.clip, "zero")[0]
        return ExampleBatch(inputs, torch.from_numpy(example.outputs), torch.tensor(index))


class MappingExamples(ResumableDataModule):
    """``train.csv``, ``validation.csv`` and ``test.csv`` of a folder; without the last, training examples are tested.

    A file has a header. The columns named here are outputs, ``key`` names the row, and either ``path`` names an audio
    file or all others are inputs.

    Args:
        root: The folder.
        outputs: Columns of continuous control values.
        class_outputs: Columns of classes; those of ``train.csv`` are all.
        sample_rate: What audio is resampled to, in Hz; its channels are averaged.
        resampler: By what, see `ResumableDataModule`.
        allow_truncated: Take what there is of files that were cut off, instead of refusing them.
        clip_s: What is heard of an audio file, in seconds from its beginning; shorter ones end in silence.
        eval_batch_size: Examples a batch in validation and test; training takes all at once.

    Attributes:
        outputs: Output -> its class names by index, none where it is continuous; known once `setup` has read them.
        input_names: Columns of the inputs, likewise; none with audio files.
    """

    demo_root = Path(mapping.ROOT)
    demo_writer = staticmethod(mapping.write_mapping)
    rows: dict[str, list[Example]]

    def __init__(
        self,
        *,
        root: str = mapping.ROOT,
        outputs: Sequence[str] = mapping.OUTPUTS,
        class_outputs: Sequence[str] = (),
        sample_rate: int = 16000,
        resampler: audio.Resampler | None = None,
        allow_truncated: bool = False,
        clip_s: float = 1.0,
        eval_batch_size: int = 1024,
    ) -> None:
        if not (outputs or class_outputs) or clip_s * sample_rate < 1:
            raise ValueError(
                f"outputs {list(outputs)}, class_outputs {list(class_outputs)}, clip_s {clip_s}: give at least one"
                " output and one sample"
            )
        super().__init__(  # a dry run takes fewer examples a batch
            root=root,
            sample_rate=sample_rate,
            resampler=resampler,
            allow_truncated=allow_truncated,
            batch_size=maxsize,
            eval_batch_size=eval_batch_size,
            num_workers=0,
        )
        self.clip = round(clip_s * sample_rate)
        self.outputs: dict[str, list[str]] = {name: [] for name in (*outputs, *class_outputs)}
        self.class_outputs, self.input_names = list(class_outputs), []

    def setup(self, stage: str | None = None) -> None:
        """Read all files whatever the stage: they are small, and ``train.csv`` tells the classes."""
        super().setup()

    def split(self, name: Literal["train", "validation", "test"]) -> list[Example]:
        """Rows of a file; without ``test.csv`` those of training, see `unseen`, without ``validation.csv`` none.

        Raises:
            ValueError: If a file is faulty, or its inputs are not those of ``train.csv``.
        """
        path = self.root / f"{name}.csv"
        if name == "train":
            self.outputs |= {column: class_names(path, column) for column in self.class_outputs}
            self.input_names, examples = read_examples(path, self.outputs)
            return examples
        if not path.is_file():
            return self.rows["train"] if name == "test" else []
        names, examples = read_examples(path, self.outputs)
        if names != self.input_names:
            raise ValueError(
                f"{path}: inputs {names}, and train.csv has {self.input_names}: give all files the same columns in the"
                " same order"
            )
        return examples

    def seconds_of(self, batch: ExampleBatch) -> float:
        """None: examples are no stretches of sound."""
        return 0.0

    def unseen(self, split: Literal["train", "validation", "test"]) -> bool:
        """Whether the rows of a split, once read, are others than those that are learnt."""
        return self.rows[split] is not self.rows["train"]

    def train_dataloader(self) -> DataLoader[ExampleBatch]:
        """All training examples as one batch, on every rank."""
        self.setup("fit")
        return self._loader("train", self.batch_size, dealt=False)

    def evaluation_loader(self, split: str) -> DataLoader[ExampleBatch]:
        """Batches of a file, or of the training examples without ``test.csv``."""
        return self._loader(split, self.eval_batch_size)

    def _loader(self, split: str, batch_size: int, *, dealt: bool = True) -> DataLoader[ExampleBatch]:
        dataset = ExampleDataset(self.rows[split], clip=self.clip, **self.decoding)
        return self.ordered_loader(
            dataset, len(dataset.examples), default_collate, batch_size=batch_size, dealt=dealt
        )

    def windows(self, path: str, hop_s: float) -> Iterator[Tensor]:
        """The last `clip_s` seconds heard of a file, (time,), every `hop_s`; silence comes before its beginning."""
        hop = round(hop_s * self.sample_rate)
        if not 1 <= hop <= self.clip:
            raise ValueError(
                f"a hop of {hop_s} s: expected one sample to {self.clip / self.sample_rate} s, the clip"
            )
        heard = torch.nn.functional.pad(read_mono(path, **self.decoding)[0], (self.clip - hop, 0))
        yield from heard.unfold(0, self.clip, hop)

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[Sequence[float]],
        decisions: Sequence[int] | None = None,
    ) -> Path:
        """Write ``key,<output>...`` as CSV, classes by name; `path` gets the suffix ``.csv``."""
        return write_columns(Path(path).with_suffix(".csv"), {"key": list(keys), **self.named(scores)})

    def write_examples(self, path: str | Path, names: Sequence[str], inputs: Tensor, outputs: Tensor) -> Path:
        """Write examples as a file that can be ``train.csv``: inputs (example, input), outputs (example, output)."""
        columns = dict(zip(names, inputs.T.tolist(), strict=True))
        return write_columns(path, columns | self.named(outputs.tolist()))

    def named(self, values: Sequence[Sequence[float]]) -> dict[str, list[Any]]:
        """Columns of (example, output) values by name, class indices replaced by names."""
        return {
            name: [classes[int(row[column])] if classes else row[column] for row in values]
            for column, (name, classes) in enumerate(self.outputs.items())
        }


def read_mono(
    path: str | Path, *, sample_rate: int, resampler: audio.Resampler, allow_truncated: bool = False
) -> Tensor:
    """Decode a file, its channels averaged, at `sample_rate`: (1, time)."""
    waveform, rate = audio.read(path, allow_truncated=allow_truncated)
    return audio.resample(waveform.mean(dim=0, keepdim=True), rate, sample_rate, resampler)
