"""Ranks see the batches that one process would see."""

import re
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.loading.samplers import EvaluationBatchSampler, ProxyBatchSampler, TrainBatchSampler


def _train(
    num_clips: int, batch_size: int, world_size: int, epoch: int = 0, position: int = 0, **settings
) -> list:
    """Global batches: what all ranks together are given, step by step."""
    ranks = []
    for rank in range(world_size):
        sampler = TrainBatchSampler(
            num_clips, batch_size=batch_size, rank=rank, world_size=world_size, **settings
        )
        sampler.seek(epoch, position)
        ranks.append(list(sampler))
        assert len(ranks[-1]) == len(sampler) - position
    return [list(chain(*step)) for step in zip(*ranks, strict=True)]


@given(num_clips=st.integers(8, 100), epoch=st.integers(0, 5), seed=st.integers(0, 9))
def test_equal_global_batches_whatever_the_ranks(num_clips: int, epoch: int, seed: int) -> None:
    one = _train(num_clips, 8, 1, epoch, seed=seed)
    assert one == _train(num_clips, 4, 2, epoch, seed=seed) == _train(num_clips, 2, 4, epoch, seed=seed)
    rows = [index for batch in one for index, _ in batch]
    assert len(set(rows)) == len(rows) == num_clips // 8 * 8


@given(position=st.integers(0, 6))
def test_training_continues_anywhere(position: int) -> None:
    assert _train(30, 2, 2, 3, position) == _train(30, 2, 2, 3)[position:]


def test_orders_and_draws_differ_between_epochs_and_seeds() -> None:
    first, second, other = _train(40, 8, 1, 0), _train(40, 8, 1, 1), _train(40, 8, 1, 0, seed=1)
    assert first != second
    assert first != other
    draws = [draw for batch in first + second for _, draw in batch]
    assert len(set(draws)) == len(draws)
    assert max(draws) > 2**63  # all 64 bits are drawn
    assert _train(40, 8, 1, 5, reshuffle=False) == first


@pytest.mark.parametrize(("num_clips", "batch_size"), [(7, 4), (0, 1), (10, 0), (10, -2)])
def test_too_small_a_split_is_refused_in_one_line(num_clips: int, batch_size: int) -> None:
    with pytest.raises(
        ValueError, match=f"a global batch of {batch_size} x 2 clips cannot be made of the {num_clips}"
    ):
        TrainBatchSampler(num_clips, batch_size=batch_size, world_size=2)


@pytest.mark.parametrize(
    ("num_clips", "batch_size", "ranks", "way_out"),
    [
        (60, 64, 1, "set data.batch_size to at most 60"),
        (60, 64, 2, "set data.batch_size to at most 30"),
        (3, 1, 4, "use at most 3 devices"),
        (0, 4, 1, "set data.root to the folder of the data set"),
    ],
)
def test_the_way_out_of_too_small_a_split_is_one(num_clips, batch_size, ranks, way_out) -> None:
    with pytest.raises(ValueError, match=f": {way_out}$"):
        TrainBatchSampler(num_clips, batch_size=batch_size, world_size=ranks)
    if found := re.search(r"at most (\d+)$", way_out):
        most = int(found[1])
        batch, devices = (most, ranks) if "batch" in way_out else (batch_size, most)
        assert len(TrainBatchSampler(num_clips, batch_size=batch, world_size=devices)) == 1


@given(num_clips=st.integers(1, 60), world_size=st.integers(1, 4), batch_size=st.integers(1, 9))
def test_a_last_small_batch_leaves_no_rank_without_a_clip(num_clips, world_size, batch_size) -> None:
    if num_clips < world_size:
        with pytest.raises(ValueError, match="cannot be made of"):
            _train(num_clips, batch_size, world_size, drop_last=False)
        return
    ranks = [
        list(
            TrainBatchSampler(
                num_clips, batch_size=batch_size, rank=rank, world_size=world_size, drop_last=False
            )
        )
        for rank in range(world_size)
    ]
    assert all(len(batch) for rank in ranks for batch in rank)
    served = [row for rank in ranks for batch in rank for row, _ in batch]
    assert len(set(served)) == len(served)
    rest = num_clips % (batch_size * world_size)
    assert num_clips - len(served) == (rest if rest < world_size else 0)


def _proxy(
    num_normals: int, num_proxies: int, batch_size: int, world_size: int = 1, epoch=0, position=0, **settings
) -> list:
    """Global batches: the normal clips of all ranks, then their proxies."""
    targets = np.repeat([0, 1], [num_normals, num_proxies])
    ranks = []
    for rank in range(world_size):
        sampler = ProxyBatchSampler(
            targets, batch_size=batch_size, rank=rank, world_size=world_size, **settings
        )
        sampler.seek(epoch, position)
        ranks.append(list(sampler))
        assert len(ranks[-1]) == len(sampler) - position
        for batch in ranks[-1]:
            half = len(batch) // 2
            assert [targets[row] for row, _ in batch] == [0] * half + [1] * half
    steps = [list(chain(*step)) for step in zip(*ranks, strict=True)]
    return [sorted(step, key=lambda request: targets[request[0]]) for step in steps]


@given(
    num_normals=st.integers(4, 70),
    num_proxies=st.integers(1, 90),
    epoch=st.integers(0, 4),
    seed=st.integers(0, 9),
)
def test_proxy_batches_are_the_same_whatever_the_ranks(num_normals, num_proxies, epoch, seed) -> None:
    if lone := num_normals % 8 == 1:  # a lone clip cannot be dealt to two ranks
        epoch = 0  # and so later epochs draw on with other proxies
    one = _proxy(num_normals, num_proxies, 16, 1, epoch, seed=seed)
    two = _proxy(num_normals, num_proxies, 8, 2, epoch, seed=seed)
    assert two == one[: len(two)]
    assert len(one) - len(two) == lone
    rows = [row for batch in one for row, _ in batch if row < num_normals]
    assert sorted(rows) == list(range(num_normals))
    assert [len(batch) for batch in one[:-1]] == [16] * (len(one) - 1)


@given(num_normals=st.integers(1, 40), num_proxies=st.integers(1, 60), epochs=st.integers(1, 5))
def test_no_proxy_repeats_before_all_were_drawn(num_normals: int, num_proxies: int, epochs: int) -> None:
    stream = [
        request
        for epoch in range(epochs)
        for batch in _proxy(num_normals, num_proxies, 8, epoch=epoch)
        for request in batch
        if request[0] >= num_normals
    ]
    assert len(stream) == epochs * num_normals
    for begin in range(0, len(stream), num_proxies):
        rows = [row for row, _ in stream[begin : begin + num_proxies]]
        assert len(set(rows)) == len(rows)
    assert len({draw for _, draw in stream}) == len(stream)


@given(position=st.integers(0, 8), num_proxies=st.integers(1, 50), epoch=st.integers(0, 5))
def test_proxy_training_continues_anywhere(position: int, num_proxies: int, epoch: int) -> None:
    assert _proxy(33, num_proxies, 4, 2, epoch, position) == _proxy(33, num_proxies, 4, 2, epoch)[position:]


def test_proxy_orders_differ_between_epochs_and_seeds() -> None:
    assert _proxy(8, 9, 8, epoch=0) != _proxy(8, 9, 8, epoch=1)
    assert _proxy(8, 9, 8) != _proxy(8, 9, 8, seed=1)
    assert _proxy(8, 9, 8, epoch=3, reshuffle=False) == _proxy(8, 9, 8)


@pytest.mark.parametrize(
    ("num_normals", "num_proxies", "batch_size", "message"),
    [
        (8, 8, 3, "batch_size must be even"),
        (8, 8, 0, "batch_size must be even"),
        (1, 8, 4, "1 normal clips and 8 proxy outliers cannot be dealt to 2 devices"),
        (8, 0, 4, "8 normal clips and 0 proxy outliers"),
    ],
)
def test_impossible_proxy_batches_are_refused(num_normals, num_proxies, batch_size, message) -> None:
    with pytest.raises(ValueError, match=message):
        _proxy(num_normals, num_proxies, batch_size, 2)


@given(
    num_clips=st.integers(1, 40),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 5),
    lengths=st.none() | st.lists(st.integers(1, 5), min_size=40, max_size=40),
)
def test_evaluation_scores_every_clip_in_the_same_batches(num_clips, batch_size, world_size, lengths) -> None:
    lengths = None if lengths is None else lengths[:num_clips]
    settings = {"batch_size": batch_size, "lengths": lengths}
    alone = list(EvaluationBatchSampler(num_clips, **settings))
    ranks = [
        EvaluationBatchSampler(num_clips, rank=rank, world_size=world_size, **settings)
        for rank in range(world_size)
    ]
    assert len({len(rank) for rank in ranks}) == 1
    dealt = [batch for rank in ranks for batch in rank]
    assert {tuple(batch) for batch in dealt} == {tuple(batch) for batch in alone}
    assert sorted(index for batch in alone for index, _ in batch) == list(range(num_clips))
    assert all(draw == 0 for batch in alone for _, draw in batch)
    assert max(map(len, alone)) <= batch_size
    found = [num_clips] if lengths is None else [lengths.count(length) for length in set(lengths)]
    assert len(alone) == sum(-(-count // batch_size) for count in found), (
        "no more batches than lengths ask for"
    )
    if lengths is not None:
        sizes = [lengths[index] for batch in alone for index, _ in batch]
        assert sizes == sorted(sizes, reverse=True)
        assert all(len({lengths[index] for index, _ in batch}) == 1 for batch in alone)


def test_fewer_batches_than_ranks() -> None:
    ranks = [list(EvaluationBatchSampler(3, batch_size=2, rank=rank, world_size=5)) for rank in range(5)]
    assert ranks == [[[(0, 0), (1, 0)]], [[(2, 0)]], [[(0, 0), (1, 0)]], [[(2, 0)]], [[(0, 0), (1, 0)]]]
