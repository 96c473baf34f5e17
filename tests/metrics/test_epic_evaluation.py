"""Accuracies of EPIC-KITCHENS-100 by hand, and against a plain ranking of all 97 x 300 actions."""

import math

import pytest
import torch

from datamodules.clips import Clip
from lightning_modules.metrics.epic_evaluation import epic_evaluation, epic_ranks, epic_report_rows

NO_TAIL, NO_UNSEEN = torch.zeros(4, 2, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)


def random_scores(num_clips: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    verbs, nouns = (
        torch.randn(num_clips, count, generator=generator, dtype=torch.float64).mul(3) for count in (97, 300)
    )
    targets = [scores.softmax(1).multinomial(1, generator=generator) for scores in (verbs, nouns)]
    return verbs, nouns, torch.cat(targets, dim=1)


def test_figures_by_hand() -> None:
    verbs = torch.tensor([[0.0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]])
    nouns = torch.tensor([[0.0, 10, 20], [0, 10, 20], [0, 10, 20], [0, 10, 20]])
    targets = torch.tensor([[2, 2], [2, 1], [0, 2], [0, 1]])
    # sums fall as 22 21 20 12 11 10 2 1 0: the true actions are the first, fourth, third and sixth
    assert epic_ranks(verbs, nouns, targets).tolist() == [[1, 1, 1], [1, 2, 4], [3, 1, 3], [3, 2, 6]]
    tail = torch.tensor([[True, False], [False, True], [False, False], [False, True]])
    everything, tails, unseen = epic_evaluation(
        verbs, nouns, targets, tail=tail, unseen=torch.tensor([False, True, False, True])
    )
    assert list(everything)[2:] == [
        *("verb top-1 %", "verb top-5 %", "noun top-1 %", "noun top-5 %"),
        *("action top-1 %", "action top-5 %", "both top-5 %"),
    ]
    assert list(everything.values()) == ["all", 4, 50, 100, 50, 100, 25, 75, 100]
    # one tail verb (right), two tail nouns (wrong), three tail actions (one right)
    figures = [tails[name] for name in ("clips", "verb top-1 %", "noun top-1 %", "action top-1 %")]
    assert figures == pytest.approx([3, 100, 0, 100 / 3])
    assert (unseen["subset"], unseen["clips"], unseen["action top-5 %"]) == ("unseen", 2, 50)


def test_empty_subsets_are_left_out() -> None:
    verbs, nouns, targets = random_scores(4)
    (row,) = epic_evaluation(verbs, nouns, targets, tail=NO_TAIL, unseen=NO_UNSEEN)
    assert row["subset"] == "all"
    only_nouns = torch.tensor([[False, True]]).expand(4, 2)
    _, tail = epic_evaluation(verbs, nouns, targets, tail=only_nouns, unseen=NO_UNSEEN)
    assert math.isnan(float(tail["verb top-1 %"]))
    assert tail["clips"] == 4


def test_ranks_are_those_of_products_of_probabilities() -> None:
    verbs, nouns, targets = random_scores(260)  # more than are compared at once
    ranks = epic_ranks(verbs, nouns, targets)
    products = verbs.softmax(1)[:, :, None] * nouns.softmax(1)[:, None]
    order = products.flatten(1).argsort(dim=1, descending=True)
    wanted = (order == targets[:, :1] * 300 + targets[:, 1:]).nonzero()[:, 1] + 1
    assert torch.equal(ranks[:, 2], wanted)
    assert torch.equal(ranks[:, 2] == 1, (ranks[:, :2] == 1).all(1))
    assert (ranks[:, 2] >= ranks[:, 0] * ranks[:, 1]).all()


def test_offsets_and_large_scores_change_nothing() -> None:
    verbs, nouns, targets = random_scores(50)
    shift = torch.linspace(-1e3, 1e3, 50, dtype=torch.float64)[:, None]
    assert torch.equal(epic_ranks(verbs + shift, nouns - shift, targets), epic_ranks(verbs, nouns, targets))


def test_constant_scores_are_no_success() -> None:
    ranks = epic_ranks(torch.zeros(2, 97), torch.zeros(2, 300), torch.zeros(2, 2, dtype=torch.long))
    assert ranks.tolist() == [[97, 300, 29100]] * 2


def test_nan_is_no_success() -> None:
    scores = torch.full((1, 97), math.nan), torch.full((1, 300), math.nan)
    assert epic_ranks(*scores, torch.zeros(1, 2, dtype=torch.long)).tolist() == [[97, 300, 29100]]


def test_rows_of_clips() -> None:
    verbs, nouns, targets = random_scores(100)
    probabilities = torch.cat([verbs.softmax(1), nouns.softmax(1)], dim=1)
    unseen, tail = torch.arange(100) % 3 == 0, torch.arange(200).view(100, 2) % 7 < 3
    clips = [
        Clip(
            f"P01_01_{row}",
            "P01_01.wav",
            tuple(targets[row].tolist()),
            {
                "tail_verb": str(int(tail[row, 0])),
                "tail_noun": str(int(tail[row, 1])),
                "unseen": str(int(unseen[row])),
            },
        )
        for row in range(100)
    ]
    wanted = epic_evaluation(verbs, nouns, targets, tail=tail, unseen=unseen)
    assert epic_report_rows(clips, probabilities) == wanted
    assert [row["subset"] for row in wanted] == ["all", "tail", "unseen"]


def test_a_probability_of_zero_is_the_worst() -> None:
    probabilities = torch.zeros(1, 397)
    probabilities[0, [3, 97 + 5]] = 1
    (row,) = epic_report_rows([Clip("a", "a.wav", (3, 5))], probabilities)
    assert row["action top-1 %"] == 100
    (row,) = epic_report_rows([Clip("a", "a.wav", (3, 6))], probabilities)
    assert (row["verb top-1 %"], row["noun top-5 %"], row["action top-5 %"]) == (100, 0, 0)


def test_clips_without_labels() -> None:
    clips = [Clip("a", "a.wav", (-1, -1)), Clip("b", "b.wav", (1, 2))]
    with pytest.raises(ValueError, match="1 of 2 clips have no label"):
        epic_report_rows(clips, torch.full((2, 397), 0.01))
