"""Whole sources are held out, with whatever shares a recording with them, and every class keeps one to train on."""

import numpy as np
import pytest

from datamodules.folders.source_split import hold_out, join_sources


def _held_out(sources, labels, *, fraction, twins=(), order=None):
    parts = join_sources(sources, twins)
    matrix = np.array(labels)[:, None] == np.unique(labels)
    names = order or [f"{number}" for number in range(len(sources))]
    return hold_out(parts, matrix, fraction=fraction, order=names)


def test_sources_and_twins_are_one_part():
    parts = join_sources(["a", "a", "b", "c", "d", "b"], [(1, 2), (3, 3)])
    assert parts[0] == parts[1] == parts[2] == parts[5]
    assert len({parts[0], parts[3], parts[4]}) == 3


def test_twins_join_over_any_number_of_sources():
    parts = join_sources(list("abcde"), [(0, 1), (1, 2), (2, 3)])
    assert len(set(parts[:4].tolist())) == 1
    assert parts[4] != parts[0]


def test_no_clips():
    assert join_sources([], []).tolist() == []


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_single_files_are_held_out_class_by_class(fraction):
    labels = [name for name, count in (("kick", 40), ("snare", 80)) for _ in range(count)]
    sources = [f"{number}" for number in range(len(labels))]
    chosen = _held_out(sources, labels, fraction=fraction)
    assert chosen[:40].sum() == 40 * fraction
    assert chosen[40:].sum() == 80 * fraction


def test_parts_stay_whole_and_every_class_keeps_one():
    random = np.random.default_rng(0)
    sources = [f"kit{number}" for number in random.integers(12, size=300)]
    labels = random.choice(["kick", "snare", "tom"], size=300).tolist()
    twins = [(0, 100), (5, 200)]
    chosen = _held_out(sources, labels, fraction=0.2, twins=twins)
    parts = join_sources(sources, twins)
    assert not set(parts[chosen]) & set(parts[~chosen])
    assert set(np.array(labels)[~chosen]) == {"kick", "snare", "tom"}
    assert 0.1 < chosen.mean() < 0.3


def test_the_only_source_of_a_class_is_trained():
    sources = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    labels = ["kick"] * 4 + ["snare"] * 8
    chosen = _held_out(sources, labels, fraction=0.4)
    assert not chosen[:4].any()
    assert chosen[4:8].all() != chosen[8:].all()


def test_where_all_parts_are_too_large_the_smallest_excess_is_taken():
    chosen = _held_out(["a"] * 8 + ["b"] * 5 + ["c"] * 7, ["kick"] * 20, fraction=0.05)
    assert chosen.nonzero()[0].tolist() == list(range(8, 13))


def test_nothing_can_be_held_out():
    assert not _held_out(["a", "a", "b"], ["kick", "kick", "snare"], fraction=0.5).any()


def test_the_choice_depends_on_names_not_on_the_order_of_rows():
    names = [f"fold0 {number}" for number in range(60)]
    labels = ["kick", "snare", "tom"] * 20
    chosen = _held_out(names, labels, fraction=0.2, order=names)
    turned = _held_out(names[::-1], labels[::-1], fraction=0.2, order=names[::-1])
    assert (turned[::-1] == chosen).all()
    other = [name.replace("fold0", "fold1") for name in names]
    assert (_held_out(names, labels, fraction=0.2, order=other) != chosen).any()
