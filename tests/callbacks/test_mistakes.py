"""Which clips count as mistakes, and how bad they are."""

import pytest
import torch

from datamodules.clips import Clip
from lightning_modules.callbacks.mistakes import find_mistakes


def clips(targets, instances=None):
    return [
        Clip(f"c{row}", "x.wav", target, {"instance": instances[row]} if instances else {})
        for row, target in enumerate(targets)
    ]


DETECTOR = {"class": ("spoof", "bonafide")}


def test_detector_mistakes_lie_beyond_the_equal_error_threshold():
    scores = torch.tensor([-2.0, -1.0, 0.1, 3.0, 2.0, 1.0, -0.1, -5.0])
    found = find_mistakes(clips([0, 0, 0, 0, 1, 1, 1, 1]), scores, DETECTOR)
    assert [mistake.clip.key for mistake in found[:2]] == ["c7", "c3"]
    assert {mistake.clip.key for mistake in found} <= {"c2", "c3", "c6", "c7"}
    assert (found[0].target, found[0].predicted) == ("bonafide", "spoof")
    assert found[0].margin > found[-1].margin > 0


def test_machines_have_thresholds_of_their_own():
    scores = torch.tensor([1.0, 2.0, 101.0, 102.0])
    assert not find_mistakes(clips([0, 1, 0, 1], ["a", "a", "b", "b"]), scores, DETECTOR)
    assert find_mistakes(clips([0, 1, 0, 1]), scores, DETECTOR), "one threshold for both is wrong for some"


def test_unlabelled_clips_and_single_classes_are_no_mistakes():
    assert not find_mistakes(clips([-1, -1]), torch.tensor([1.0, 2.0]), DETECTOR)
    assert not find_mistakes(clips([0, 0]), torch.tensor([1.0, 2.0]), DETECTOR)


def test_classifier_mistakes_are_the_surest_first():
    heads = {"class": ("dog", "cat", "rain")}
    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.9, 0.0, 0.1], [0.2, 0.2, 0.6]])
    found = find_mistakes(clips([0, 1, 2, -1]), probabilities, heads)
    assert [(each.clip.key, each.target, each.predicted) for each in found] == [
        ("c2", "rain", "dog"),
        ("c1", "cat", "dog"),
    ]
    assert [each.margin for each in found] == pytest.approx([0.8, 0.3])


def test_only_wrong_heads_are_named():
    heads = {"verb": ("cut", "wash"), "noun": ("bread", "pan")}
    probabilities = torch.tensor([[0.9, 0.1, 0.2, 0.8], [0.9, 0.1, 0.8, 0.2]])
    (found,) = find_mistakes(clips([(0, 0), (0, 0)]), probabilities, heads)
    assert (found.clip.key, found.target, found.predicted) == ("c0", "noun=bread", "noun=pan")
