"""Classes that are counted in another order: by name, head by head, unknown ones left alone."""

import numpy as np
import pytest

from datamodules.clips.class_names import (
    as_texts,
    describe_difference,
    distinct,
    recounted,
    renamed,
    same_order,
)

DETECTOR = {"class": ["spoof", "bonafide"]}


def test_targets_follow_names():
    counted = recounted(np.array([0, 1, 1, -1]), {"label": ["bonafide", "spoof"]}, DETECTOR)
    assert counted.tolist() == [1, 0, 0, -1]


def test_classes_with_one_new_name_become_one():
    names = renamed({"class": ["A01", "A02", "real"]}, {"A01": "spoof", "A02": "spoof", "real": "bonafide"})
    assert distinct(names) == DETECTOR
    assert recounted(np.array([0, 1, 2]), names, DETECTOR).tolist() == [0, 0, 1]


def test_names_that_yaml_takes_for_numbers_are_texts():
    assert as_texts("class_names", {1: "bonafide", "0": "spoof"}) == {"1": "bonafide", "0": "spoof"}
    with pytest.raises(ValueError, match=r"data.class_names: YAML reads a name as False: put no, off"):
        as_texts("class_names", {False: "spoof"})


def test_heads_may_stand_in_another_order_too():
    found = {"noun": ["pan", "onion"], "verb": ["cut", "wash", "open"]}
    wanted = {"verb": ["open", "cut", "wash"], "noun": ["onion", "pan"]}
    counted = recounted(np.array([[0, 1], [1, -1], [1, 2]]), found, wanted)
    assert counted.tolist() == [[2, 1], [-1, 0], [0, 0]]
    assert not same_order(found, {"verb": found["verb"], "noun": found["noun"]})


@pytest.mark.parametrize(
    ("found", "complete", "expected"),
    [
        (["bonafide", "spoof"], True, None),
        (["spoof"], False, None),
        (["spoof"], True, "missing: bonafide"),
        (
            ["fake", "real"],
            False,
            "classes fake, real where spoof, bonafide were expected (not known: fake, real)",
        ),
    ],
)
def test_other_names_are_told(found, complete, expected):
    difference = describe_difference({"class": found}, DETECTOR, complete=complete)
    assert difference == expected or (expected is not None and expected in (difference or ""))


def test_long_lists_are_cut():
    many = {"class": [f"c{number}" for number in range(309)]}
    assert "c7 and 301 more" in (describe_difference(many, DETECTOR, complete=False) or "")


def test_a_name_that_the_data_lack_is_refused():
    with pytest.raises(
        ValueError, match=r"data\.class_names: the data have no class 'rael': name one of fake, real"
    ):
        renamed({"class": ["fake", "real"]}, {"rael": "bonafide"})
