"""EPIC-KITCHENS-100: segments to the sample, every place where audio may lie, lists with faults, submissions."""

import csv
import json
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch

from datamodules.audio import AudioError
from datamodules.demo.epic_kitchens import write_epic_kitchens
from datamodules.event.epic_annotations import seconds
from datamodules.event.epic_kitchens import EPICKitchens
from datamodules.protocol import ProtocolError

RATE = 24000
TRACK = np.random.default_rng(0).uniform(-1, 1, 10 * RATE).astype(np.float32)
HEADER = (
    "narration_id,participant_id,video_id,narration_timestamp,"
    "start_timestamp,stop_timestamp,start_frame,stop_frame"
)
LABELS = ",narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
ROWS = {
    "P01_11_0": "P01,P01_11,00:00:00.560,00:00:00.00,00:00:01.89,1,113",
    "P01_11_1": "P01,P01_11,00:00:01.700,00:00:02.07,00:00:02.57,93,147",
    "P18_01_0": "P18,P18_01,00:00:04.700,00:00:09.50,00:00:10.40,93,147",
}
CLASSES = {"P01_11_0": (0, 2), "P01_11_1": (90, 2), "P18_01_0": (1, 299)}
SETTINGS = {
    "validation": "official",
    "sample_rate": RATE,
    "train_crop_s": 1.0,
    "eval_crop_s": 1.0,
    "padding": "zero",
    "num_workers": 0,
}


def _lists(root: Path) -> Path:
    folder = root / "annotations"
    folder.mkdir()
    rows = [f"{key},{row}" for key, row in ROWS.items()]
    (folder / "EPIC_100_test_timestamps.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    labelled = [
        f"{key},{row},a b,a,{verb},b,{noun},\"['b', 'c']\",\"[{noun}, 7]\""
        for (key, row), (verb, noun) in zip(ROWS.items(), CLASSES.values(), strict=True)
    ]
    for name in ("train", "validation"):
        (folder / f"EPIC_100_{name}.csv").write_text("\n".join([HEADER + LABELS, *labelled]) + "\n")
    for name, count in (("verb", 97), ("noun", 305)):
        classes = [f"{index},{name}{index},\"['x', 'y']\",z" for index in range(count)]
        text = "\n".join(["id,key,instances,category", *classes]) + "\n"
        (folder / f"EPIC_100_{name}_classes.csv").write_text(text)
    (folder / "EPIC_100_tail_verbs.csv").write_text("verb\n90\n91\n")
    (folder / "EPIC_100_tail_nouns.csv").write_text("noun\n299\n")
    (folder / "EPIC_100_unseen_participant_ids_validation.csv").write_text("participant_id\nP18\nP32\n")
    return root


@pytest.fixture
def root(tmp_path) -> Path:
    """The lists and the tracks ``audio/P01_11.wav`` and ``audio/P18_01.wav``."""
    _lists(tmp_path)
    (tmp_path / "audio").mkdir()
    for video in ("P01_11", "P18_01"):
        soundfile.write(tmp_path / f"audio/{video}.wav", TRACK, RATE, subtype="FLOAT")
    return tmp_path


def _data(root: Path, **settings) -> EPICKitchens:
    return EPICKitchens(root=str(root), **(SETTINGS | settings))


def _waveforms(data: EPICKitchens) -> list[torch.Tensor]:
    """Validation clips before padding."""
    return [
        waveform[0, :length]
        for batch in data.val_dataloader()
        for waveform, length in zip(batch.waveform, batch.length, strict=True)
    ]


def test_rows(root) -> None:
    data = _data(root)
    clips = data.split("validation")
    assert [clip.key for clip in clips] == list(ROWS)
    assert [clip.target for clip in clips] == list(CLASSES.values())
    assert [(clip.start_s, clip.stop_s) for clip in clips] == [(0, 1.89), (2.07, 2.57), (9.5, 10.4)]
    assert [dict(clip.attributes) for clip in clips] == [
        {"participant": "P01", "video": "P01_11", "unseen": "0", "tail_verb": "0", "tail_noun": "0"},
        {"participant": "P01", "video": "P01_11", "unseen": "0", "tail_verb": "1", "tail_noun": "0"},
        {"participant": "P18", "video": "P18_01", "unseen": "1", "tail_verb": "0", "tail_noun": "1"},
    ]
    assert data.split("test") == clips
    assert [len(names) for names in data.heads.values()] == [97, 300]
    assert data.heads["noun"][299] == "noun299"


def test_the_official_test_split_has_no_labels(root) -> None:
    data = _data(root, test_split="test")
    (batch,) = data.test_dataloader()
    assert batch.target.tolist() == [[-1, -1]] * 3
    assert set(batch.attributes) == {"participant", "video"}
    assert data.split("validation")[0].target == (0, 2)


def test_segments_are_cut_to_the_sample(root) -> None:
    segments = [TRACK[:45360], TRACK[49680:61680], TRACK[228000:]]  # the last one outlasts its track
    found = _waveforms(_data(root, eval_crop_s=2.0))
    assert all(
        torch.equal(ours, torch.from_numpy(theirs)) for ours, theirs in zip(found, segments, strict=True)
    )
    (batch,) = _data(root, padding="repeat").val_dataloader()
    assert batch.length.tolist() == [24000, 12000, 12000]
    assert torch.equal(batch.waveform[1, 0], torch.from_numpy(TRACK[49680:61680]).repeat(2))


@pytest.mark.parametrize("layout", ["P01/{}.wav", "P01/videos/{}.flac", "P01/audio/{}.WAV", "hdf5"])
def test_where_audio_may_lie(root, tmp_path_factory, layout) -> None:
    other = _lists(tmp_path_factory.mktemp("other"))
    for video in ("P01_11", "P18_01"):
        if layout == "hdf5":
            with h5py.File(other / "EPIC_audio.hdf5", "a") as file:
                file[video] = TRACK
        else:
            path = other / "EPIC" / layout.replace("P01", video[:3]).format(video)
            path.parent.mkdir(parents=True)
            soundfile.write(path, TRACK, RATE, subtype=None if path.suffix == ".flac" else "FLOAT")
    data = _data(other, audio="EPIC_audio.hdf5" if layout == "hdf5" else "EPIC")
    for ours, theirs in zip(_waveforms(data), _waveforms(_data(root)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0 if "flac" not in layout else 2**-15)


@pytest.mark.parametrize("hdf5", [False, True])
def test_absent_videos_are_counted(root, hdf5) -> None:
    (root / "audio/P18_01.wav").unlink()
    if hdf5:
        with h5py.File(root / "audio.hdf5", "w") as file:
            file["P01_11"] = TRACK
    data = _data(root, audio="audio.hdf5" if hdf5 else "audio")
    data.setup("validate")
    assert [clip.key for clip in data.rows["validation"]] == ["P01_11_0", "P01_11_1"]
    assert data.coverage["validation"].left_out == {"P18_01_0": "no such file"}


def test_an_unknown_test_split(root) -> None:
    with pytest.raises(ValueError, match="test_split 'dev' is unknown: choose validation or test"):
        _data(root, test_split="dev")


def test_validation_holds_out_whole_videos(root) -> None:
    assert _data(root, validation=0).split("validation") == []
    data = _data(root, validation=0.1)  # sha256 of P01_11 begins with 2f, of P18_01 with f9
    assert [clip.key for clip in data.split("validation")] == ["P01_11_0", "P01_11_1"]
    assert [clip.key for clip in data.split("train")] == ["P18_01_0"]
    for validation in (-0.1, 1, "test"):
        with pytest.raises(ValueError, match=f"validation {validation} must be official, or at least 0"):
            _data(root, validation=validation)


def test_validation_on_the_test_split_warns(root) -> None:
    with pytest.warns(UserWarning, match="checkpoints are chosen on test clips"):
        _data(root).split("validation")


def test_a_sound_goes_before_a_film(root) -> None:
    (root / "audio/P01").mkdir()
    (root / "audio/P01/P01_11.MP4").write_bytes(b"")
    assert _data(root).split("test")[0].path == f"{root}/audio/P01_11.wav"


def test_a_damaged_hdf5_file(root) -> None:
    (root / "audio.hdf5").write_bytes(b"x" * 1000)
    with pytest.raises(AudioError, match=r"audio\.hdf5: not readable as HDF5"):
        _data(root, audio="audio.hdf5").split("train")


def test_context_surrounds_short_segments(root) -> None:
    found = _waveforms(_data(root, context=True))
    begins = [0, 43680, 226800]  # 1.89 s are long enough; 2.07 to 2.57 s; 9.5 to 10.4 s of 10 s
    for ours, begin in zip(found, begins, strict=True):
        assert torch.equal(ours, torch.from_numpy(TRACK[begin : begin + RATE]))
    clip = _data(root, context=True, eval_crop_s=4.0).split("validation")[0]
    assert (clip.start_s, clip.stop_s) == (0, 4)
    clip = _data(root, context=True, train_crop_s=0.4).split("train")[1]
    assert (clip.start_s, clip.stop_s) == (2.07, 2.57)
    with pytest.raises(ValueError, match="context fills crops"):
        _data(root, context=True, eval_crop_s=None)


@pytest.mark.parametrize(
    ("timestamp", "wanted"),
    [
        ("00:00:01.89", 1.89),
        ("00:00:01.5", 1.5),
        ("00:00:01.05", 1.05),
        ("00:00:01.050", 1.05),
        ("00:00:02", 2.0),
        ("01:02:03.045", 3723.045),
        ("100:00:00.00", 360000.0),
    ],
)
def test_timestamps(timestamp, wanted) -> None:
    assert seconds(timestamp, "list:1") == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize("timestamp", ["", "1.5", "00:60:00.0", "00:00:60", "00:00:-1", "00:00:1,5", "nan"])
def test_no_timestamps(timestamp) -> None:
    with pytest.raises(ProtocolError, match=r"list:1: .* is no time as 00:01:02\.34"):
        seconds(timestamp, "list:1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("00:00:02.57", "00:00:02.07", r"csv:3: P01_11_1 ends at 00:00:02\.07, not after 00:00:02\.07"),
        ("00:00:02.57", "2.57", r"csv:3: '2\.57' is no time"),
        (",90,", ",97,", "csv:3: class '97' is not one of 0 to 96"),
        (",299,", ",-1,", "csv:4: class '-1' is not one of 0 to 299"),
        (",299,", ",,", "csv:4: class '' is not one of 0 to 299"),
        ("noun_class,", "noun_id,", "csv:1: no column noun_class: take the list from"),
        ("P01_11_1", "P01_11_0", "csv:3: id 'P01_11_0' occurs twice"),
        ("P18,P18_01", "P18,../P18_01", "csv:4: id '../P18_01' is a path"),
    ],
)
def test_faults_of_lists(root, old, new, message) -> None:
    path = root / "annotations/EPIC_100_validation.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ProtocolError, match=message) as error:
        _data(root).split("validation")
    assert "\n" not in str(error.value)


def test_faults_of_class_lists(root) -> None:
    path = root / "annotations/EPIC_100_verb_classes.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ProtocolError, match="no class 96, expected 0 to 96"):
        _ = _data(root).heads


@pytest.mark.parametrize("settings", [{"sls_pt": 6}, {"sls_tl": -1}, {"sls_td": 9}])
def test_levels_of_supervision(root, settings) -> None:
    with pytest.raises(ValueError, match="is no level of supervision: give 0 to 5"):
        _data(root, **settings)


def _probabilities(num_clips: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    logits = (10 * torch.randn(num_clips, count, generator=generator) for count in (97, 300))
    return torch.cat([each.softmax(1) for each in logits], dim=1)


def test_submissions(root, tmp_path) -> None:
    probabilities = _probabilities(3)
    probabilities[2, :96], probabilities[2, 96] = 0, 1
    data = _data(root, sls_td=4)
    written = data.write_scores(tmp_path / "scores/test.txt", list(ROWS), probabilities)
    assert written == tmp_path / "scores/test.zip"
    with zipfile.ZipFile(tmp_path / "scores/test.zip") as archive:
        assert archive.namelist() == ["test.json"]
        document = json.loads(archive.read("test.json"))
    results = document.pop("results")
    assert document == {
        "version": "0.2",
        "challenge": "action_recognition",
        "sls_pt": 2,
        "sls_tl": 3,
        "sls_td": 4,
    }
    assert list(results) == list(ROWS)
    for scores, wanted in zip(results.values(), probabilities, strict=True):
        assert list(scores["verb"]) == [str(index) for index in range(97)]
        assert list(scores["noun"]) == [str(index) for index in range(300)]
        verbs, nouns = (torch.tensor(list(scores[head].values())).softmax(0) for head in ("verb", "noun"))
        torch.testing.assert_close(torch.cat([verbs, nouns]), wanted, rtol=1e-5, atol=1e-30)
    data.write_scores(tmp_path / "again.zip", list(ROWS), probabilities)
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "scores/test.zip").read_bytes()


def test_faults_of_submissions(root, tmp_path) -> None:
    data, probabilities = _data(root), _probabilities(3)
    with pytest.raises(ValueError, match=r"scores of shape \(3, 390\) for 3 clips: expected \(3, 397\)"):
        data.write_scores(tmp_path / "test.zip", list(ROWS), probabilities[:, :390])
    with pytest.raises(ValueError, match="narration id a occurs twice"):
        data.write_scores(tmp_path / "test.zip", ["a", "b", "a"], probabilities)
    for wrong in (float("nan"), -1.0, 5.0):
        probabilities[1, 7] = wrong
        with pytest.raises(ValueError, match="scores of P01_11_1 and 0 others are no probabilities"):
            data.write_scores(tmp_path / "test.zip", list(ROWS), probabilities)
    assert not (tmp_path / "test.zip").exists()


@pytest.fixture(scope="session")
def annotations(corpora) -> Path:
    """The official lists."""
    folder = corpora / "annotations/epic100"
    if not folder.is_dir():
        pytest.skip(f"no lists at {folder}")
    return folder


def test_genuine_lists(annotations, tmp_path) -> None:
    data = _data(
        tmp_path, annotations=str(annotations), train_list="EPIC_100_uda_source_train.csv", test_split="test"
    )
    train, validation, test = data.split("train"), data.split("validation"), data.split("test")
    assert [len(clips) for clips in (train, validation, test)] == [16115, 9668, 13092]
    assert len({clip.key for clips in (train, validation, test) for clip in clips}) == 38875
    assert data.heads["verb"][:3] == ["take", "put", "wash"]
    assert data.heads["noun"][:3] == ["tap", "spoon", "plate"]
    unseen = Counter(clip.attributes["unseen"] for clip in validation)
    with (annotations / "EPIC_100_validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert unseen["1"] == sum(row["participant_id"] in {"P18", "P32"} for row in rows) > 0
    labels = [(int(row["verb_class"]), int(row["noun_class"])) for row in rows]
    assert [clip.target for clip in validation] == labels
    durations = sorted(clip.stop_s - clip.start_s for clip in validation if clip.stop_s)
    assert durations[len(durations) // 2] == pytest.approx(1.96, abs=0.01)
    for column, head in enumerate(("verb", "noun")):
        tail = set(np.loadtxt(annotations / f"EPIC_100_tail_{head}s.csv", int, skiprows=1).tolist())
        assert [clip.attributes[f"tail_{head}"] == "1" for clip in validation] == [
            label[column] in tail for label in labels
        ]


def test_a_genuine_video_by_the_reference_rule(annotations, tmp_path) -> None:
    track = np.random.default_rng(1).uniform(-1, 1, 25 * RATE).astype(np.float32)
    with h5py.File(tmp_path / "audio.hdf5", "w") as file:
        file["P28_23"] = track
    data = _data(tmp_path, annotations=str(annotations), audio="audio.hdf5", eval_crop_s=2.0)
    found = _waveforms(data)
    with (annotations / "EPIC_100_validation.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["video_id"] == "P28_23"]
    assert len(rows) == len(found) == data.coverage["validation"].found == 6
    for row, ours in zip(rows, found, strict=True):
        # AudioSlowFast: seconds plus the two digits of the fraction / 100, times the rate, rounded
        begin, end = (
            round((int(row[name][6:8]) + int(row[name][9:]) / 100) * RATE)
            for name in ("start_timestamp", "stop_timestamp")
        )
        assert torch.equal(ours, torch.from_numpy(track[begin : min(end, begin + 2 * RATE)]))


def test_demo(tmp_path) -> None:
    write_epic_kitchens(tmp_path / "demo", num_actions=6)
    data = _data(tmp_path / "demo", test_split="test")
    for stage in ("fit", "test"):
        data.setup(stage)
    assert {clip.attributes["unseen"] for clip in data.rows["validation"]} == {"0", "1"}
    assert next(iter(data.train_dataloader())).target.shape == (24, 2)


def test_a_demo_elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(EPICKitchens, "demo_root", tmp_path / "absent")
    monkeypatch.setattr(
        EPICKitchens, "make_demo", lambda _, folder: write_epic_kitchens(folder, num_actions=3)
    )
    data = _data(tmp_path / "absent")
    data.make_small(tmp_path / "elsewhere")
    assert Path(data.split("train")[0].path).is_relative_to(tmp_path / "elsewhere")
