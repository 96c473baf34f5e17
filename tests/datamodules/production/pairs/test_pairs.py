"""Pairs: order, resumption, epochs longer than the rows, batches, the score file."""

import csv

import numpy as np
import pytest
import torch

from datamodules.production.pairs.pairs import Pair, PairDataModule, PairDataset, PairItem, normalise_knobs


class Doubling(PairDataset):
    """The target is twice the input; the input tells row and draw."""

    def __init__(self, pairs, *, equal=True):
        self.pairs, self.equal = pairs, equal

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, item):
        index, draw = item
        size = 4 if self.equal else 4 + index
        waveform = torch.full((1, size), draw / 2**64) + index
        pair = self.pairs[index]
        return PairItem(waveform, 2 * waveform, normalise_knobs(pair.knobs, [(0, 10)]), pair, index)


class Pairs(PairDataModule):
    knob_names = ("gain",)
    knob_ranges = ((0, 10),)

    def __init__(self, *, equal=True, **settings):
        super().__init__(root="nowhere", sample_rate=8000, num_workers=0, **settings)
        self.equal = equal

    def split(self, name):
        return [
            Pair(key=f"{name}{row}", knobs=(float(row),), attributes={"kind": str(row)}) for row in range(5)
        ]

    def dataset(self, name):
        return Doubling(self.rows[name], equal=self.equal)


def test_an_epoch_may_be_longer_than_the_rows_and_serves_them_alike_with_other_draws():
    batches = list(Pairs(batch_size=4, epoch_items=20).train_dataloader())
    assert len(batches) == 5
    rows = torch.cat([batch.index for batch in batches])
    assert rows.bincount().tolist() == [4] * 5
    first = torch.cat([batch.waveform[:, 0, 0] for batch in batches])
    assert len(set(first.tolist())) == 20


def test_order_is_the_seeds_and_a_restored_loader_goes_on_with_the_next_batch():
    whole = [batch.waveform for batch in Pairs(batch_size=2, epoch_items=10, seed=3).train_dataloader()]
    interrupted = Pairs(batch_size=2, epoch_items=10, seed=3)
    loader = iter(interrupted.train_dataloader())
    begun = [next(loader).waveform for _ in range(2)]
    resumed = Pairs(batch_size=2, epoch_items=10, seed=3)
    resumed.load_state_dict(interrupted.state_dict())
    rest = [batch.waveform for batch in resumed.train_dataloader()]
    assert torch.equal(torch.stack(whole), torch.stack(begun + rest))
    other = [batch.waveform for batch in Pairs(batch_size=2, epoch_items=10, seed=4).train_dataloader()]
    assert not torch.equal(torch.stack(whole), torch.stack(other))


def test_batches_of_evaluation_are_in_order_and_never_change():
    data = Pairs(eval_batch_size=3)
    first, second = list(data.val_dataloader()), list(data.val_dataloader())
    assert [batch.index.tolist() for batch in first] == [[0, 1, 2], [3, 4]]
    assert all(torch.equal(a.waveform, b.waveform) for a, b in zip(first, second, strict=True))
    assert first[1].key == ["validation3", "validation4"]
    assert first[1].attributes == {"kind": ["3", "4"]}
    assert first[0].knobs.tolist() == [[-0.5], [pytest.approx(-0.4)], [pytest.approx(-0.3)]]
    assert torch.equal(first[0].target, 2 * first[0].waveform)


def test_whole_files_of_other_lengths_come_one_by_one():
    sizes = [batch.waveform.shape for batch in Pairs(equal=False).test_dataloader()]
    assert sizes == [(1, 1, 4 + row) for row in range(5)]


def test_scores_are_written_with_the_names_of_the_metrics(tmp_path):
    scores = np.array([(0.1, 2.0), (np.nan, 1e-9)], dtype=[("esr", "f8"), ("mae", "f8")])
    path = Pairs().write_scores(tmp_path / "scores" / "test.txt", ["a,b", "c"], scores)
    assert path == tmp_path / "scores" / "test.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"key": "a,b", "esr": "0.1", "mae": "2"}, {"key": "c", "esr": "", "mae": "1e-09"}]
    with pytest.raises(ValueError, match="2 scores for 1 pairs"):
        Pairs().write_scores(tmp_path / "x.csv", ["a"], [0.1, 0.2])


def test_batch_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="eval_batch_size must be at least 1, found 0"):
        Pairs(eval_batch_size=0)
