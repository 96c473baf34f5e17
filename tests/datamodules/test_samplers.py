"""Ranks see the batches that one process would see."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.samplers import EvaluationBatchSampler, TrainBatchSampler


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
    if lengths is not None:
        sizes = [lengths[index] for batch in alone for index, _ in batch]
        assert sizes == sorted(sizes, reverse=True)


def test_fewer_batches_than_ranks() -> None:
    ranks = [list(EvaluationBatchSampler(3, batch_size=2, rank=rank, world_size=5)) for rank in range(5)]
    assert ranks == [[[(0, 0), (1, 0)]], [[(2, 0)]], [[(0, 0), (1, 0)]], [[(2, 0)]], [[(0, 0), (1, 0)]]]
