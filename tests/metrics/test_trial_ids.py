"""Ids of two lists: equal, with and without folders and endings, and ambiguous ones."""

import pytest

from lightning_modules.metrics.trial_ids import align


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        (["a", "b.wav"], ["b.wav", "c"], (["a", "b.wav"], ["b.wav", "c"], "")),
        (["a", "b"], ["x/b.flac", "x/a.flac"], (["a", "b"], ["b", "a"], "x/b.flac is taken for b")),
        (["/data/0.wav", "/data/1.wav"], ["1", "0"], (["0", "1"], ["1", "0"], "1 is taken for /data/1.wav")),
        (["d\\a.WAV"], ["a.mp3"], (["a"], ["a"], "a.mp3 is taken for d\\a.WAV")),
        (
            ["/x/real/1.wav", "/x/fake/1.wav"],
            ["fake/1.wav", "real/1.wav"],
            (["real/1", "fake/1"], ["fake/1", "real/1"], "fake/1.wav is taken for /x/fake/1.wav"),
        ),
        (["v1.2", "v1.3"], ["v1.3.wav"], (["v1.2", "v1.3"], ["v1.3"], "v1.3.wav is taken for v1.3")),
        (["a"], ["b"], (["a"], ["b"], "")),
    ],
)
def test_names_that_agree(wanted, given, expected):
    ours, theirs, told = align([wanted], [given])
    assert (ours, theirs, told.removesuffix(", as are all others")) == expected


def test_another_column_may_have_the_names():
    ids, paths = ["LA-1", "LA-2"], ["$ROOT//LA_1.wav", "$ROOT//LA_2.wav"]
    assert align([ids, paths], [["LA_2", "LA_1"]])[:2] == (["LA_1", "LA_2"], ["LA_2", "LA_1"])


def test_names_that_need_folders_which_the_other_list_lacks():
    with pytest.raises(
        ValueError, match=r"^/x/real/1.wav and /x/fake/1.wav have one name: give ids with their folders"
    ):
        align([["/x/real/1.wav", "/x/fake/1.wav"]], [["1"]])
