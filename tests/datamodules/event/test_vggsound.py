"""VGGSound: the lists, how clips are found, validation by video, containers that cannot be used."""

from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import yaml

from datamodules import VGGSound
from datamodules.audio import AudioError
from datamodules.audio.containers import open_track
from datamodules.check import main
from datamodules.clips import films
from datamodules.demo.events import write_vggsound
from datamodules.event.youtube import find_files
from datamodules.files import write_csv
from datamodules.protocol import ProtocolError

RATE = 16000
LIST = """---g-f_I2yQ,1,people marching,test
--0PQM4-hqg,30,waterfall burbling,train
--9O4XZOge4,30,"female speech, woman speaking",train
-5o4C4ZtHSU,430,police car (siren),train
"""


def _vggsound(root: Path, **settings: Any) -> VGGSound:
    defaults: dict[str, Any] = {"train_crop_s": 1, "eval_crop_s": 1, "padding": "zero", "batch_size": 2}
    return VGGSound(root=str(root), num_workers=0, **(defaults | settings))


def _write_list(root: Path, content: str = LIST) -> Path:
    (root / "vggsound.csv").write_text(content)
    return root


def _write_film(
    path: Path, *, seconds: float = 2.0, sound: str | None = "aac", picture: str = "mpeg4"
) -> None:
    """A film of noise; `sound` None leaves it silent."""
    random = np.random.default_rng(list(path.name.encode()))
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(picture, rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        streams: list[tuple[Any, Any]] = []
        for i in range(round(seconds * 10)):
            image = av.VideoFrame.from_ndarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8))
            image.pts = i
            streams.append((video, image))
        if sound:
            audio: Any = container.add_stream(sound, rate=48000)
            audio.layout = "mono"
            samples = random.normal(0, 3000, (1, round(seconds * 48000))).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = 48000
            resampler = av.AudioResampler(format=audio.format, layout="mono", rate=48000)
            streams += [(audio, converted) for converted in resampler.resample(frame)] + [(audio, None)]
        for stream, frame in [*streams, (video, None)]:
            container.mux(stream.encode(frame))


def test_the_list_with_hyphens_commas_and_parentheses(tmp_path) -> None:
    data = _vggsound(_write_list(tmp_path), validation=0)
    assert data.heads == {
        "event": [
            "female speech, woman speaking",
            "people marching",
            "police car (siren)",
            "waterfall burbling",
        ]
    }
    assert [(clip.key, clip.target) for clip in data.split("train")] == [
        ("--0PQM4-hqg_000030", 3),
        ("--9O4XZOge4_000030", 0),
        ("-5o4C4ZtHSU_000430", 2),
    ]
    assert [clip.key for clip in data.split("test")] == ["---g-f_I2yQ_000001"]
    assert data.split("validation") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("id,start,label,split", r"vggsound\.csv:5: start 'start' and split 'split' where whole seconds"),
        ("id,1,label,valid", r"vggsound\.csv:5: start '1' and split 'valid'"),
        ("id,1,female speech, woman speaking,train", r"vggsound\.csv:5: 5 columns where 4 .* quote values"),
        ('id,1,"female speech,train', r"vggsound\.csv:5: a quoted value does not end"),
        ("---g-f_I2yQ,1,people marching,train", r"vggsound\.csv:5: id '---g-f_I2yQ_000001' occurs twice"),
        ("../a,1,people marching,train", r"vggsound\.csv:5: id '../a_000001' is a path"),
    ],
)
def test_faulty_lines_are_named(line, message, tmp_path) -> None:
    data = _vggsound(_write_list(tmp_path, LIST + line + "\n"))
    with pytest.raises(ProtocolError, match=message) as error:
        data.split("test")
    assert "\n" not in str(error.value)


def test_lists_by_split_are_read_where_the_whole_is_absent(tmp_path) -> None:
    (tmp_path / "test.csv").write_text(
        "-LDoXsip0BE_000177.mp4,parrot talking\n6jiO0tPLK7U_000090.mp4,basketball bounce\n"
    )
    data = _vggsound(tmp_path)
    assert [(clip.key, clip.target) for clip in data.split("test")] == [
        ("-LDoXsip0BE_000177", 1),
        ("6jiO0tPLK7U_000090", 0),
    ]
    with pytest.raises(ProtocolError, match=r"neither vggsound\.csv nor train\.csv is there"):
        data.split("train")


def _write_classes(path: Path, names: list[str]) -> None:
    write_csv(path, [("head", "index", "name"), *(("event", i, name) for i, name in enumerate(names))])


def test_another_order_of_classes(tmp_path) -> None:
    names = [
        "waterfall burbling",
        "people marching",
        "police car (siren)",
        "female speech, woman speaking",
        "more",
    ]
    _write_classes(tmp_path / "classes.csv", names)
    data = _vggsound(_write_list(tmp_path), classes_file=str(tmp_path / "classes.csv"), validation=0)
    assert data.heads == {"event": names}
    assert [clip.target for clip in data.split("train")] == [0, 3, 2]
    _write_classes(tmp_path / "classes.csv", names[1:])
    data = _vggsound(tmp_path, classes_file=str(tmp_path / "classes.csv"))
    with pytest.raises(
        ProtocolError, match=r"classes\.csv: class 'waterfall burbling' of clip --0PQM4-hqg_000030"
    ):
        data.split("train")


def test_clips_are_found_in_every_folder_and_sounds_before_films(tmp_path) -> None:
    names = [
        *(
            "audio/a.flac",
            "video/a.mp4",
            "b.MP4",
            "clips/b.webm",
            "video/test/c.mkv",
            "train/d.wav",
            "train/video/d.ogg",
        ),
        *("other/e.wav", ".f.wav", "g.txt", "audio/--h_i.j.mp3", "audio/test/k.wav"),
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {
        stem: str(Path(path).relative_to(tmp_path))
        for stem, path in find_files(tmp_path, VGGSound.folders).items()
    }
    assert found == {
        "a": "audio/a.flac",
        "b": "b.MP4",
        "c": "video/test/c.mkv",
        "d": "train/d.wav",
        "--h_i.j": "audio/--h_i.j.mp3",
        "k": "audio/test/k.wav",
    }
    assert find_files(tmp_path / "nowhere", VGGSound.folders) == {}


def _lists_of_videos(root: Path, labels: int = 4, clips: int = 100) -> VGGSound:
    """A third of the videos hold two clips, of different classes."""
    rows = [
        f"{video:011d},{start},label {(video + start) % labels},train"
        for video in range(labels * clips)
        for start in range(1 + (video % 3 == 0))
    ]
    return _vggsound(
        _write_list(root, "\n".join([*rows, "test_______,1,label 0,test"]) + "\n"), validation=0.1
    )


def test_validation_holds_out_whole_videos_of_every_class(tmp_path) -> None:
    data = _lists_of_videos(tmp_path)
    train, validation = data.split("train"), data.split("validation")
    assert not {clip.key[:11] for clip in train} & {clip.key[:11] for clip in validation}
    classes = Counter(clip.target for clip in train + validation)
    for target, held_out in Counter(clip.target for clip in validation).items():
        assert 0.8 * 0.1 < held_out / classes[target] <= 0.101
    assert len(Counter(clip.target for clip in validation)) == 4
    assert sorted(clip.key for clip in train + validation) == sorted(
        clip.key for clip in data.listed("train")
    )


def test_validation_is_the_same_whatever_the_seed_and_the_order_of_the_list(tmp_path) -> None:
    first = _lists_of_videos(tmp_path)
    lines = (tmp_path / "vggsound.csv").read_text().splitlines()
    other = _vggsound(_write_list(tmp_path, "\n".join(lines[::-1]) + "\n"), validation=0.1, seed=7)
    keys = [{clip.key for clip in data.split("validation")} for data in (first, other)]
    assert keys[0] == keys[1]


def test_validation_on_test_warns(tmp_path) -> None:
    data = _vggsound(_write_list(tmp_path), validation="test")
    assert len(data.split("train")) == 3
    with pytest.warns(UserWarning, match="VGGSound validates on its test split"):
        assert data.split("validation") == data.split("test")


@pytest.mark.parametrize("validation", [-0.1, 1, "train"])
def test_impossible_validation(validation, tmp_path) -> None:
    with pytest.raises(ValueError, match=f"validation must be 'test'.* found {validation}"):
        _vggsound(tmp_path, validation=validation)


@pytest.fixture
def damaged(tmp_path) -> Path:
    """Seven of eight clips: four good films, one without sound, one cut, one of text."""
    root = _write_list(
        tmp_path, "".join(f"clip{i}______,0,label {i % 2},{'test' if i > 2 else 'train'}\n" for i in range(8))
    )
    (root / "video").mkdir()
    films = [root / "video" / f"clip{i}_______000000.mp4" for i in range(7)]
    for i in range(4):
        _write_film(films[i])
    _write_film(films[4], sound=None)
    _write_film(films[5].with_suffix(".webm"), sound="libopus", picture="libvpx")
    whole = films[5].with_suffix(".webm").read_bytes()
    films[5].with_suffix(".webm").write_bytes(whole[: len(whole) // 2])
    films[6].write_text("<html>This video is unavailable</html>")
    return root


def _check(root: Path, *words: str) -> int:
    config = root / "config.yaml"
    section = {
        "class_path": "datamodules.event.vggsound.VGGSound",
        "init_args": {"root": str(root), "validation": 0},
    }
    config.write_text(yaml.safe_dump({"data": section}))
    return main(["--config", str(config), *words])


def test_the_check_lists_damaged_containers_which_are_then_left_out(damaged, capsys) -> None:
    film = (damaged / "video" / "clip0_______000000.mp4").read_bytes()
    (damaged / "video" / "clip7_______000000.mp4").write_bytes(film[: len(film) // 2])
    assert _check(damaged, "--exclude", str(damaged / "excluded.csv")) == 1
    output = capsys.readouterr().out
    assert "excluded.csv: 4 clips to leave out" in output
    lines = (damaged / "excluded.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["key", *(f"clip{i}_______000000" for i in range(4, 8))]
    for line, fault in zip(
        lines[1:], ["no audio track", "truncated", "not decodable", "not decodable"], strict=True
    ):
        assert fault in line
    assert _check(damaged) == 0
    data = _vggsound(damaged)
    (batch,) = data.test_dataloader()
    assert batch.key == ["clip3_______000000"]
    assert str(data.coverage["test"]).startswith("1 of 5 listed clips (20.0%; 0 absent, 4 excluded)")


def test_an_undecodable_clip_ends_a_run_in_one_line(damaged) -> None:
    data = _vggsound(damaged, validation="test")
    dataset = data.test_dataloader().dataset
    assert data.coverage["test"].left_out == {
        "clip7_______000000": "no such file",
        "clip4_______000000": "has no audio track",
    }
    with pytest.raises(AudioError, match=r"clip6_______000000\.mp4: .*python -m datamodules\.check") as error:
        dataset[2, 0]
    assert "\n" not in str(error.value)
    assert dataset[0, 0].waveform.abs().max() > 0.1


def test_films_without_sound_are_left_out_and_named(damaged, monkeypatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("datamodules.event.events.rank_zero_info", lines.append)
    _write_film(damaged / "video" / "clip1_______000000.mp4", sound=None)
    data = _vggsound(damaged, validation=0)
    data.setup("fit")
    assert [clip.key for clip in data.rows["train"]] == ["clip0_______000000", "clip2_______000000"]
    assert lines[0].startswith("VGGSound train: 2 of 3 listed clips (66.7%; 0 absent, 1 excluded)")
    assert lines[0].endswith(f"; films without sound: {damaged}/video/clip1_______000000.mp4")


def test_films_are_opened_once_and_again_when_they_change(damaged, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(films, "open_track", lambda path: opened.append(path) or open_track(path))
    paths = [f"{damaged}/video/clip{i}_______000000.mp4" for i in range(5)]
    silent = {paths[4]}
    assert films.soundless(paths) == films.soundless(paths) == silent
    assert len(opened) == 5
    _write_film(Path(paths[0]), sound=None, seconds=3)
    assert films.soundless(paths) == {paths[0], paths[4]}
    assert films.soundless(["a.wav", "absent.mp4"]) == set()


@pytest.mark.parametrize("corpus", ["demo", "real"])
def test_clips_of_every_container_become_batches(corpus, tmp_path, request) -> None:
    if corpus == "demo":
        write_vggsound(tmp_path / "VGGSound", num_train=6, num_test=4)
        data = _vggsound(tmp_path / "VGGSound", validation=0.1)
    else:
        data = _vggsound(request.getfixturevalue("corpora") / "events")
    data.setup()
    assert {split: coverage.share for split, coverage in data.coverage.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    batch = next(iter(data.test_dataloader()))
    assert batch.waveform.shape == (24, 1, RATE)
    assert torch.isfinite(batch.waveform).all()
    assert batch.length.max() <= RATE
    assert set(batch.target.tolist()) <= set(range(len(data.classes)))
