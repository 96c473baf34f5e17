"""Corpora that are made of the same recordings."""

from dataclasses import replace

import pytest

from datamodules.ssd.corpora.in_the_wild import IN_THE_WILD
from datamodules.ssd.corpora.leakage import describe_leaks, shared_speech


def corpus(name, *speech_of):
    return replace(IN_THE_WILD, name=name, title=name.upper(), speech_of=frozenset(speech_of))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (corpus("a", "VCTK", "JSUT"), corpus("b", "LJSpeech", "VCTK"), ["VCTK"]),
        (corpus("a", "VCTK"), corpus("b", "MLS"), []),
        (corpus("mlaad", "M-AILABS"), corpus("m_ailabs"), ["M-AILABS"]),
        (corpus("a", "VCTK"), corpus("a", "VCTK"), []),  # splits of its own
    ],
)
def test_what_two_share(first, second, expected):
    assert shared_speech(first, second) == expected


def test_one_line_says_which_share_what():
    train, tested = (
        [corpus("a", "VCTK"), corpus("b", "MLS")],
        [corpus("c", "VCTK"), corpus("d", "VCTK", "MLS")],
    )
    assert describe_leaks(train, tested) == "A shares VCTK with C and D; B shares MLS with D"
    assert describe_leaks(train[1:], tested[:1]) == ""
