"""The demo corpora of events: layouts as those of the data sets, the same by seed, learnable but not trivial."""

import ast
import csv
import filecmp
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from scipy.signal import stft

from datamodules import audio
from datamodules.demo import epic_kitchens, events


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def vggsound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vggsound") / "corpus"
    events.write_vggsound(folder, num_train=12, num_test=6, seconds=1.0)
    return folder


@pytest.fixture(scope="module")
def kitchens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("epic") / "corpus"
    epic_kitchens.write_epic_kitchens(folder, num_actions=30)
    return folder


def find(folder, video, start):
    (path,) = folder.glob(f"*/{video}_{int(start):06d}.*")
    return path


def test_vggsound_lists_every_clip_and_splits_classes_evenly(vggsound):
    listed = rows(vggsound / "vggsound.csv")
    assert len(listed) == len(list(vggsound.glob("*/*"))) == 8 * (12 + 6)
    assert len({video for video, *_ in listed}) == len(listed)
    assert all(len(video) == 11 for video, *_ in listed)
    assert listed[0][0].startswith("-")
    assert any("," in label for _, _, label, _ in listed)
    for label in events.VGGSOUND_LABELS:
        assert [split for *_, found, split in listed if found == label] == ["train"] * 12 + ["test"] * 6


def test_clips_of_both_containers_have_their_length(vggsound):
    for video, start, _, _ in rows(vggsound / "vggsound.csv"):
        path = find(vggsound, video, start)
        info = audio.info(str(path))
        assert info.sample_rate == 16000
        padding = 1024 * 2 if path.suffix == ".mp4" else 0  # AAC fills its frames
        assert 16000 <= info.num_frames <= 16000 + padding
    assert {path.suffix for path in vggsound.glob("*/*")} == {".flac", ".mp4"}


def test_same_seed_same_corpus(vggsound, tmp_path):
    for name, seed in (("same", 0), ("other", 1)):
        events.write_vggsound(tmp_path / name, num_train=2, num_test=0, seconds=1.0, seed=seed)
    first = sorted(path.relative_to(tmp_path / "same") for path in (tmp_path / "same").glob("*/*"))
    for path in first:
        assert filecmp.cmp(tmp_path / "same" / path, vggsound / path, shallow=False)
    assert not any((tmp_path / "other" / path).exists() for path in first)


def features(path):
    """Log energy of 24 bands, its mean, deviation and change over time."""
    waveform, _ = soundfile.read(path)
    power = np.abs(stft(waveform, 16000, nperseg=512)[2]) ** 2
    edges = np.unique(np.geomspace(1, 256, 25).astype(int))
    bands = np.log10([power[low:high].mean(0) + 1e-9 for low, high in pairwise(edges)])
    return np.concatenate([bands.mean(1) - bands.mean(), bands.std(1), np.abs(np.diff(bands)).mean(1)])


def test_classes_are_learnable_but_not_trivial(vggsound):
    labels = list(events.VGGSOUND_LABELS)
    parts = {"train": ([], []), "test": ([], [])}
    for video, start, label, split in rows(vggsound / "vggsound.csv"):
        path = find(vggsound, video, start)
        if path.suffix == ".flac":
            parts[split][0].append(features(path))
            parts[split][1].append(labels.index(label))
    (x, y), (x_test, y_test) = ((np.array(a), np.array(b)) for a, b in parts.values())
    mean, std = x.mean(0), x.std(0)
    distance = np.linalg.norm(((x_test - mean) / std)[:, None] - (x - mean) / std, axis=2)
    accuracy = (y[distance.argmin(1)] == y_test).mean()
    assert 0.35 < accuracy < 0.95  # chance is 0.125


def test_kinetics_sounds_has_class_folders_and_lists(tmp_path):
    events.write_kinetics_sounds(tmp_path / "corpus", num_train=2, num_test=1, seconds=0.5)
    for split, size in {"train": 16, "val": 8}.items():
        header, *listed = rows(tmp_path / "corpus" / f"{split}.csv")
        assert header == ["label", "youtube_id", "time_start", "time_end", "split", "is_cc"]
        paths = {
            tmp_path / "corpus" / split / label / f"{video}_{int(begin):06d}_{int(end):06d}.mp4"
            for label, video, begin, end, *_ in listed
        }
        assert paths == set((tmp_path / "corpus" / split).glob("*/*.mp4"))
        assert len(paths) == size


def seconds(clock):
    hours, minutes, rest = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def test_epic_actions_lie_in_their_tracks(kitchens):
    annotations = kitchens / "annotations"
    header, *train = rows(annotations / "EPIC_100_train.csv")
    header_of_test, *test = rows(annotations / "EPIC_100_test_timestamps.csv")
    _, *validation = rows(annotations / "EPIC_100_validation.csv")
    assert len(train) == 4 * 30
    assert len(validation) == 3 * 10
    assert header[:8] == header_of_test
    assert len(header) == 15
    assert len({row[0] for row in [*train, *validation, *test]}) == len(train) + len(validation) + len(test)
    for row in [*train, *validation, *test]:
        track = soundfile.info(kitchens / "audio" / f"{row[2]}.wav")
        assert track.samplerate == 24000
        assert 0 <= seconds(row[4]) < seconds(row[5]) <= track.duration
    for row in [*train, *validation]:
        named = dict(zip(header, row, strict=True))
        assert (
            named["participant_id"] == named["video_id"].split("_")[0] == named["narration_id"].split("_")[0]
        )
        assert ast.literal_eval(named["all_noun_classes"]) == [int(named["noun_class"])]


def test_epic_classes_are_all_named(kitchens):
    annotations = kitchens / "annotations"
    for kind, size in (("verb", 97), ("noun", 300)):
        header, *classes = rows(annotations / f"EPIC_100_{kind}_classes.csv")
        assert header == ["id", "key", "instances", "category"]
        assert [int(row[0]) for row in classes] == list(range(size))
        assert len({row[1] for row in classes}) == size
    header, *train = rows(annotations / "EPIC_100_train.csv")
    names = [row[1] for row in rows(annotations / "EPIC_100_verb_classes.csv")[1:]]
    assert all(names[int(row[header.index("verb_class")])] == row[header.index("verb")] for row in train)
    assert rows(annotations / "EPIC_100_unseen_participant_ids_validation.csv") == [
        ["participant_id"],
        ["P18"],
    ]


def test_epic_headers_are_those_of_the_data_set(kitchens, corpora):
    for path in (kitchens / "annotations").iterdir():
        genuine = corpora / "annotations" / "epic100" / path.name.replace("100_train", "100_uda_source_train")
        assert rows(path)[0] == rows(genuine)[0], path.name


def test_an_action_is_louder_than_what_surrounds_it(kitchens):
    _, *train = rows(kitchens / "annotations" / "EPIC_100_train.csv")
    track, rate = soundfile.read(kitchens / "audio" / "P01_01.wav")
    spans = [(seconds(row[4]), seconds(row[5])) for row in train if row[2] == "P01_01"]
    inside = np.concatenate([track[round(a * rate) : round(b * rate)] for a, b in spans])
    between = np.concatenate([track[round(a * rate) : round(b * rate)] for (_, a), (b, _) in pairwise(spans)])
    assert inside.std() > 1.4 * between.std()
