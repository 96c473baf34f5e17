"""Taking a sort back: the tree is as it was; what the user changed and the last copy of a sound stay."""

import shutil

import pytest
from library_samples import NASTY, tree

from lightning_modules.library.rule import Rule
from lightning_modules.library.undo import undo


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy"])
@pytest.mark.parametrize("has_target", [True, False])
def test_the_tree_is_as_before(sort, tmp_path, mode, has_target):
    if has_target:
        (tmp_path / "into" / "drum").mkdir(parents=True)
        (tmp_path / "into" / "drum" / "plain.wav").write_bytes(b"the user's")
    before = tree(tmp_path)
    sort(mode=mode, rule=Rule(2, 0.2), json=True)
    assert undo(tmp_path / "into", dry_run=True).num_removed == 3 * len(NASTY)
    done = undo(tmp_path / "into")
    assert (done.num_removed, done.kept) == (3 * len(NASTY), {})
    assert tree(tmp_path) == before
    with pytest.raises(ValueError, match="nothing was sorted into it"):
        undo(tmp_path / "into")


def test_folders_of_classes_with_a_backslash_go_too(sort, tmp_path, tagger):
    tagger.classes = [r"drum\x41", r"bass\\"]
    (tmp_path / "into" / "drumA").mkdir(parents=True)  # what an unescaped name reads as
    before = tree(tmp_path)
    sort()
    undo(tmp_path / "into")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy"])
def test_what_the_user_changed_stays(sort, library, tmp_path, mode):
    sort(mode=mode)
    drums = tmp_path / "into" / "drum"
    (drums / "plain.wav").unlink()
    (drums / "plain.wav").write_bytes(b"the user's")
    (drums / "two.dots.wav").rename(tmp_path / "into" / "moved.wav")
    (tmp_path / "into" / "sorted.csv").write_text("notes")
    done = undo(tmp_path / "into")
    assert done.kept == {"drum/plain.wav": "changed since"}
    assert done.num_removed == 2 * len(NASTY) - 2
    left = {path.relative_to(tmp_path / "into").as_posix() for path in (tmp_path / "into").rglob("*")}
    assert left == {"drum", "drum/plain.wav", "moved.wav", "sorted.csv"}


@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_the_last_copy_of_a_sound_stays(sort, library, tmp_path, mode):
    sort(mode=mode)
    shutil.rmtree(library / "a")
    done = undo(tmp_path / "into")
    assert len(done.kept) == len(NASTY)
    assert all("the last" in reason for reason in done.kept.values())
    assert (tmp_path / "into" / "drum" / "plain.wav").read_bytes() == b"d0"


def test_what_the_user_removed_stays_removed(sort, tmp_path):
    sort()
    (tmp_path / "into" / "drum" / "plain.wav").rename(tmp_path / "into" / "bass" / "corrected.wav")
    assert sort().num_made == 0
    assert not (tmp_path / "into" / "drum" / "plain.wav").exists()
