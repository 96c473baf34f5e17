"""The same recording is found in another container, level, polarity, shift and rate; others are not."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from datamodules import AudioFolder
from datamodules.cache import VARIABLE
from datamodules.folders import near_duplicates as module
from datamodules.folders.near_duplicates import near_duplicates, survey

RATE = 16000


def _hit(seed, seconds=0.5, rate=RATE):
    """A decaying noise of its own, band-limited so that it survives another rate."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = random.uniform(200, 3000, 12)
    sound = sum(np.sin(2 * np.pi * (tone * time + random.uniform())) for tone in tones)
    return 0.05 * sound * np.exp(-6 * time)


@pytest.fixture
def write(tmp_path):
    def write(name, sound, rate=RATE, **settings):
        soundfile.write(tmp_path / name, sound, rate, **settings)
        return str(tmp_path / name)

    return write


def test_twins_are_found_and_others_are_not(write):
    original = _hit(0)
    paths = [
        write("original.wav", original),
        write("other.wav", _hit(1)),
        write("container.flac", 0.2 * original, subtype="PCM_24"),
        write("polarity.wav", -original),
        write("shifted.wav", np.concatenate([np.zeros(400), original])),
        write("rate.wav", _hit(0, rate=44100), 44100),
        write("stereo.wav", np.stack([original, original], axis=1)),
        write("offset.wav", original + 0.3),
        write("third.wav", _hit(2)),
    ]
    found = survey(paths, threshold=0.9)
    same = [0, 2, 3, 4, 5, 6, 7]
    assert sorted(found.pairs) == [(a, b) for a in same for b in same if a < b]
    assert found.faults == {}


def test_the_bound_rules_out_no_twin():
    """Pairs are those of all correlations, computed one by one."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(400, generator=generator)
    weights = torch.linspace(0, 6, 30)
    sounds = [common * weight + torch.randn(400, generator=generator) for weight in weights]
    for threshold in (0.5, 0.8, 0.95):
        wanted = []
        for a in range(30):
            for b in range(a + 1, 30):
                x, y = (sounds[row].double().numpy() for row in (a, b))
                peak = np.abs(np.correlate(x, y, "full")).max() / np.linalg.norm(x) / np.linalg.norm(y)
                wanted += [(a, b)] if peak > threshold else []
        assert wanted
        assert sorted(near_duplicates(sounds, threshold)) == wanted


def test_blocks_cover_all_pairs(monkeypatch):
    sounds = [torch.randn(64) for _ in range(11)]
    sounds += [-2 * sound for sound in sounds]
    wanted = [(row, row + 11) for row in range(11)]
    for rows in (1, 4, 512):
        monkeypatch.setattr(module, "_ROWS", rows)
        assert sorted(near_duplicates(sounds, 0.99)) == wanted


def test_few_sounds():
    assert near_duplicates([], 0.9) == near_duplicates([torch.ones(4)], 0.9) == []
    assert survey([], threshold=0.9) == ({}, {}, [])


def test_odd_files_are_told_and_the_others_compared(write, tmp_path):
    (tmp_path / "zero.wav").touch()
    (tmp_path / "text.mp3").write_text("no sound")
    paths = [
        write("silent.wav", np.zeros(RATE)),
        write("a.wav", _hit(0)),
        str(tmp_path / "zero.wav"),
        str(tmp_path / "text.mp3"),
        str(tmp_path / "absent.wav"),
        write("late.wav", np.concatenate([np.zeros(2 * RATE), _hit(1)])),
        write("b.wav", _hit(0)),
    ]
    found = survey(paths, threshold=0.9)
    assert found.faults.keys() == {2, 3, 4}
    assert found.silent == {row: f"{paths[row]}: its first 1 s are silent" for row in (0, 5)}
    assert found.pairs == [(1, 6)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def heard(monkeypatch):
    """Paths that have been listened to."""
    found, listen = [], module._listen
    monkeypatch.setattr(
        module, "_listen", lambda path, **settings: found.append(path) or listen(path, **settings)
    )
    return found


def test_the_result_is_remembered_until_a_file_or_the_threshold_changes(write, cache, heard):
    paths = [write("a.wav", _hit(0)), write("b.wav", _hit(0)), write("silent.wav", np.zeros(99))]

    def again(threshold=0.9):
        heard.clear()
        return survey(paths, threshold=threshold)

    first = again()
    assert (first.pairs, list(first.silent)) == ([(0, 1)], [2])
    assert len(heard) == 3
    assert again() == first
    assert heard == []
    again(threshold=0.8)
    assert len(heard) == 3
    write("b.wav", _hit(1, seconds=0.6))
    assert again().pairs == []
    for damaged in ("", "{}", "[1]", json.dumps({"faults": 1, "silent": [], "pairs": []})):
        for entry in cache.rglob("*.json"):
            entry.write_text(damaged)
        assert again().pairs == []
        assert len(heard) == 3


def test_moved_files_are_known_again_and_told_by_their_new_names(write, cache, heard, tmp_path):
    before = [write("a.wav", _hit(0)), write("silent.wav", np.zeros(99)), write("b.wav", _hit(0))]
    first = survey(before, threshold=0.9)
    (tmp_path / "moved").mkdir()
    paths = [shutil.move(path, tmp_path / "moved") for path in before]
    heard.clear()
    found = survey([str(path) for path in paths], threshold=0.9)
    assert (found.pairs, heard) == (first.pairs, [])
    assert found.silent == {1: f"{tmp_path}/moved/silent.wav: its first 1 s are silent"}


def test_files_are_listened_to_where_nothing_can_be_kept(write, monkeypatch, tmp_path):
    (tmp_path / "taken").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "taken"))
    paths = [write("a.wav", _hit(0)), write("b.wav", _hit(0))]
    assert survey(paths, threshold=0.9).pairs == [(0, 1)]


def test_files_that_were_cut_off_are_compared_where_they_are_allowed(write):
    path = write("cut.wav", _hit(0))
    with open(path, "r+b") as file:  # noqa: PTH123
        file.truncate(8000)
    paths = [path, write("whole.wav", _hit(0))]
    assert survey(paths, threshold=0.5).faults.keys() == {0}
    assert survey(paths, threshold=0.5, allow_truncated=True) == ({}, {}, [(0, 1)])


def test_nothing_is_written_beside_the_sounds(write, cache, tmp_path):
    root = tmp_path / "library"
    for name in ("x", "y"):
        (root / name).mkdir(parents=True)
        shutil.move(write("a.wav", _hit(0)), root / name / "a.wav")
    data = AudioFolder(root=str(root), validation=0, test=0)
    data.prepare_data()
    data.setup("fit")
    assert sorted(path.name for path in root.rglob("*")) == ["a.wav", "a.wav", "x", "y"]
    assert len([*cache.rglob("*.json")]) == 1
