"""A packed data set gives what its files give, to the last bit, and says what is wrong with it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import datamodules
from datamodules import audio
from datamodules.audio.packed import find
from datamodules.audio.search import audio_files, names_in
from datamodules.base import ClipDataModule
from datamodules.clips import Clip, ClipDataset
from datamodules.clips.search import clips_to_predict, missing_files
from datamodules.demo.events import write_film
from datamodules.pack.__main__ import main
from datamodules.pack.verify import compare_speed, verify
from datamodules.pack.writer import pack

RATE = 16000


def _noise(channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (RATE // 2, channels))


def _film(path: Path) -> None:
    write_film(path, _noise()[:, 0], RATE)


def _sound(**settings: Any) -> Callable[[Path], None]:
    channels = settings.pop("channels", 1)
    return lambda path: soundfile.write(path, _noise(channels), RATE, **settings)


def _signed_zeros(path: Path) -> None:
    soundfile.write(path, np.array([0.0, -0.0, 0.5, -1.0], np.float32), RATE, subtype="FLOAT")


KINDS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "flac": ("a.flac", _sound(subtype="PCM_16"), "int16"),
    "flac24": ("a.flac", _sound(subtype="PCM_24"), "float32"),
    "wav8": ("a.wav", _sound(subtype="PCM_U8"), "int16"),
    "wav16": ("a.WAV", _sound(subtype="PCM_16", format="WAV"), "int16"),
    "wav24": ("a.wav", _sound(subtype="PCM_24"), "float32"),
    "wav32": ("a.wav", _sound(subtype="PCM_32"), "float32"),
    "float": ("a.wav", _sound(subtype="FLOAT"), "float32"),
    "double": ("a.wav", _sound(subtype="DOUBLE"), "float32"),
    "mu-law": ("a.wav", _sound(subtype="ULAW"), "int16"),
    "signed zeros": ("a.wav", _signed_zeros, "float32"),
    "stereo": ("a.wav", _sound(subtype="PCM_16", channels=2), "int16"),
    "six channels": ("a.flac", _sound(subtype="PCM_24", channels=6), "float32"),
    "vorbis": ("a.ogg", _sound(format="OGG"), "float32"),
    "mp4": ("a.mp4", _film, "float32"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_those_of_decoding(kind, tmp_path) -> None:
    name, write, dtype = KINDS[kind]
    root, into = tmp_path / "root", tmp_path / "packed"
    (root / "part").mkdir(parents=True)
    write(root / "part" / name)
    assert pack(root, into) == {}
    file, packed = root / "part" / name, into / "part" / name
    assert not packed.exists()
    clip = find(packed)
    assert clip is not None
    assert clip.dtype == dtype
    assert audio.info(packed) == audio.info(file)
    for start, frames in ((0, None), (0, 100), (1, 3), (3, 10**9)):
        expected, rate = audio.read(file, start, frames)
        found, packed_rate = audio.read(packed, start, frames)
        assert rate == packed_rate
        assert found.is_contiguous()
        assert torch.equal(found.view(torch.int32), expected.view(torch.int32))
    with pytest.raises(audio.AudioError, match="holds no samples from sample 1000000 on"):
        audio.read(packed, 1_000_000)


MODULES: list[type[ClipDataModule]] = [
    each
    for each in (getattr(datamodules, name) for name in datamodules.__all__)
    if issubclass(each, ClipDataModule) and each.demo_root is not None
    if each is not datamodules.OneShots  # an AudioFolder, which has no crops to set
]
SMALLER = {  # than the demo corpora
    "ASVspoof": "demo_corpus",
    "DCASE": "demo_machines",
    "VGGSound": "demo_events/VGGSound",
    "KineticsSounds": "demo_events/KineticsSounds",
    "EPICKitchens": "demo_events/EPIC-KITCHENS-100",
    "SpeechCorpora": "demo_corpora/",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "ASVspoof": {"predict": ["ASVspoof2019_LA_eval/flac"]},
    "AudioFolder": {"near_duplicates": None, "sample_rate": 22050},
    "DCASE": {"validation_fraction": 0.2},
    "SpeechCorpora": {"train": ["asvspoof_2019_la"], "predict": ["in_the_wild/meta.csv"]},
}


def _batches(module: type[ClipDataModule], root: Path, settings: dict[str, Any]) -> list[Any]:
    settings = {**settings, "predict": [str(root / name) for name in settings.get("predict", ())]}
    crops = {"train_crop_s": 0.5, "eval_crop_s": None, "batch_size": 8, "num_workers": 0, "padding": "zero"}
    data = module(root=str(root), **crops, **settings)
    data.prepare_data()
    loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    loaders += [data.predict_dataloader()] if data.predict else []
    return [batch for loader in loaders for batch in loader]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_data_modules_need_nothing_but_the_root(module, request, tmp_path) -> None:
    settings = SETTINGS.get(module.__name__, {})
    if corpus := SMALLER.get(module.__name__):
        fixture, _, folder = corpus.partition("/")
        root = request.getfixturevalue(fixture) / folder
    else:
        root = tmp_path / "root"
        module.demo_writer(root)
    pack(root, tmp_path / "packed", shard_bytes=1_000_000)
    assert not [path for path in (tmp_path / "packed").rglob("*") if path.suffix in audio.SUFFIXES]
    batches, expected = (_batches(module, place, settings) for place in (tmp_path / "packed", root))
    assert len(batches) == len(expected) > 3
    for batch, twin in zip(batches, expected, strict=True):
        assert batch.key == twin.key
        assert batch.attributes == twin.attributes
        assert torch.equal(batch.target, twin.target)
        assert torch.equal(batch.waveform, twin.waveform)


@pytest.fixture
def root(tmp_path) -> Path:
    """Six sounds in two folders, an empty folder and a list."""
    for i, name in enumerate(("a/0.wav", "a/1.flac", "a/deep/2.wav", "a-b/3.wav", "a-b/4.wav", "5.wav")):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(i).uniform(-0.5, 0.5, 1000 + i), RATE)
    (tmp_path / "root" / "empty").mkdir()
    (tmp_path / "root" / "list.txt").write_text("a/0.wav\n")
    return tmp_path / "root"


@pytest.fixture
def packed(root, tmp_path) -> Path:
    pack(root, tmp_path / "packed", shard_bytes=4000)
    return tmp_path / "packed"


def test_folders_look_alike(root, packed) -> None:
    for folder in ("", "a", "a/deep", "a-b", "empty", "missing"):
        assert names_in(packed / folder) - {"shards"} == names_in(root / folder)
    assert [path.relative_to(packed) for path in audio_files(packed)] == [
        path.relative_to(root) for path in audio_files(root)
    ]
    sources = ("", "a/1.flac", "list.txt")
    found = [clips_to_predict([place / name for name in sources]) for place in (packed, root)]
    assert [clip.key for clip in found[0] if "/" not in clip.key] == [
        clip.key for clip in found[1] if "/" not in clip.key
    ]
    assert not missing_files(found[0])


def test_a_packed_set_is_verified(root, packed) -> None:
    assert verify(root, packed) == []
    assert verify(root / "gone", packed) == []
    soundfile.write(root / "a/6.wav", np.zeros(10), RATE)
    assert verify(root, packed) == [f"{packed}/a/6.wav: is not packed: run datamodules.pack again"]
    pack(root, packed)
    assert verify(root, packed) == []
    soundfile.write(root / "a/6.wav", np.ones(10) / 2, RATE)
    assert verify(root, packed) == [f"{packed}/a/6.wav: differs from {root}/a/6.wav: pack into a new folder"]


def test_what_the_data_set_no_longer_has_is_named(root, packed) -> None:
    (root / "a" / "1.flac").unlink()
    assert verify(root, packed) == [f"{packed}/a/1.flac: is no longer in {root}: pack into a new folder"]
    for path in audio_files(root):
        path.unlink()
    assert verify(root, packed) == []


def test_damage_is_named(root, packed) -> None:
    clip = find(packed / "a/deep/2.wav")
    assert clip is not None
    shard = Path(clip.shard)
    content = bytearray(shard.read_bytes())
    content[clip.offset] ^= 1
    shard.write_bytes(content)
    problem = f"a/deep/2.wav: its samples in {shard} are damaged: copy the shard again"
    assert verify(root, packed) == [problem]
    shard.write_bytes(content[: clip.offset + 10])
    with pytest.raises(audio.AudioError, match=rf"2.wav: its shard {shard} is cut short; copy the shard"):
        audio.read(packed / "a/deep/2.wav")
    shard.unlink()
    assert "a/deep/2.wav: its shard" in " ".join(_in_new_process(verify, root, packed))


def _in_new_process(function: Callable[..., Any], *arguments: Path) -> Any:
    code = (
        f"import json; from pathlib import Path; from {function.__module__} import {function.__name__} as run;"
        f"print(json.dumps(run(*map(Path, {[str(argument) for argument in arguments]!r}))))"
    )
    return json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


@pytest.mark.parametrize("name", ["clips.npy", "names.npy"])
def test_a_damaged_list_is_named_and_written_again(name, root, packed) -> None:
    path = packed / "shards" / name
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = verify(root, packed)
    assert str(packed / "shards") in problem
    assert "delete names.npy and clips.npy, and run datamodules.pack again" in problem
    for lists in ("clips.npy", "names.npy"):
        (packed / "shards" / lists).unlink()
    pack(root, packed)
    assert verify(root, packed) == []


@pytest.mark.parametrize("field", ["num_frames", "sample_rate", "num_channels", "checksum"])
def test_a_list_that_differs_from_those_of_the_shards_is_named(field, root, packed) -> None:
    path = packed / "shards" / "clips.npy"
    clips = np.load(path)
    clips[field][3] += 1
    np.save(path, clips)
    (problem,) = verify(root / "gone", packed)
    assert problem.startswith(f"{packed}/shards: list of files differs from those of the shards: delete")


@pytest.mark.parametrize("name", ["clips.npy", "names.npy"])
def test_a_damaged_header_of_a_list_is_named(name, root, packed) -> None:
    path = packed / "shards" / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"}", b"(", 1))
    (problem,) = verify(root, packed)
    assert f"{packed}/shards: list of files not readable" in problem


@pytest.mark.parametrize("missing", ["clips.npy", "000000.*", "*.np?"])
def test_a_pack_without_its_list_is_unfinished(missing, root, packed) -> None:
    for path in {*packed.glob("shards/clips.npy"), *packed.glob(f"shards/{missing}")}:
        path.unlink()
    with pytest.raises(audio.AudioError, match=r"is packed in part; run the same datamodules.pack again"):
        audio.read(packed / "a" / "0.wav")


def test_damaged_list_of_a_shard(root, packed) -> None:
    path = packed / "shards" / "000000.npz"
    path.write_bytes(b"PK")
    with pytest.raises(
        ValueError, match=rf"^{path}: not readable .*: delete it and run datamodules.pack again"
    ):
        pack(root, packed)
    path.unlink()
    pack(root, packed)
    assert verify(root, packed) == []


def test_what_cannot_be_decoded_is_copied(root, tmp_path) -> None:
    (root / "a" / "bad.flac").write_bytes(b"fLaC" + bytes(100))
    cut = root / "a" / "cut.flac"
    soundfile.write(cut, np.random.default_rng(7).uniform(-0.5, 0.5, 40_000), RATE)
    cut.write_bytes(cut.read_bytes()[:30_000])
    faults = pack(root, tmp_path / "packed")
    assert sorted(faults) == ["a/bad.flac", "a/cut.flac"]
    assert all(str(root / name) in why for name, why in faults.items())
    assert (tmp_path / "packed" / "a" / "cut.flac").read_bytes() == cut.read_bytes()
    assert verify(root, tmp_path / "packed") == []


def test_command(root, tmp_path, capsys) -> None:
    config = tmp_path / "experiment.yaml"
    config.write_text(f"data:\n  class_path: datamodules.AudioFolder\n  init_args: {{root: {root}}}\n")
    packed = str(tmp_path / "packed")
    command = ["--config", str(config), "--into", packed]
    assert main(command) == 0
    assert f"{packed}: 6 files in 0.00 GB, 6 as int16" in capsys.readouterr().out
    assert main([*command, "--verify"]) == 0
    assert main([*command, "--benchmark"]) == 0
    output = capsys.readouterr().out
    assert ".flac: " in output
    assert ".wav: " in output
    next(Path(packed).glob("shards/*.bin")).write_bytes(b"")
    assert main([*command, "--verify"]) == 1
    assert "problem: " in capsys.readouterr().out
    assert main(["--config", str(config), "--into", str(root / "packed")]) == 1
    assert "lie in each other" in capsys.readouterr().err
    assert main(["--config", str(config), f"--data.root={packed}", "--into", str(tmp_path / "twice")]) == 1
    assert "is packed already" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no file of audio to pack"):
        pack(tmp_path / "empty", tmp_path / "none")
    with pytest.raises(SystemExit) as exit_:
        main(["--config", str(tmp_path / "missing.yaml"), "--into", packed])
    assert exit_.value.code == 2


def test_the_working_folder_is_no_data_set(root, tmp_path, monkeypatch, capsys) -> None:
    config = tmp_path / "experiment.yaml"  # without clean audio signals are drawn
    config.write_text("data:\n  class_path: datamodules.NoisyMixtures\n")
    monkeypatch.chdir(root)
    assert main(["--config", str(config), "--into", str(tmp_path / "packed")]) == 1
    assert "data.root is the working folder: give the data set's full path" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()


def test_moved_packs_are_read(root, packed, tmp_path) -> None:
    moved = Path(shutil.move(packed, tmp_path / "elsewhere"))
    assert torch.equal(audio.read(moved / "a/1.flac")[0], audio.read(root / "a/1.flac")[0])


def test_lengths_of_many_are_those_of_each(root, packed) -> None:
    names = sorted(audio_files(root))
    rows = [(0.0, None), (0.01, 0.03), (0.05, 9.0), (1 / 60, None)]
    copied = root / "copied.wav"
    soundfile.write(copied, _noise(), 7919)
    clips = [
        Clip(f"{name} {begin}", str(packed / name.relative_to(root)), start_s=begin, stop_s=end)
        for name in names
        for begin, end in rows
    ] + [Clip("no pack", str(copied))]
    data = ClipDataset(clips, sample_rate=11025)
    assert data.lengths().tolist() == [data[index, 0].length for index in range(len(clips))]
    with pytest.raises(audio.AudioError, match=r"clip .* beyond from 9\.0 s"):
        ClipDataset([*clips, replace(clips[0], key="far beyond", start_s=9.0)]).lengths()


def test_reading_a_pack_is_faster(tmp_path) -> None:
    (tmp_path / "root").mkdir()
    for i in range(4):
        sound = np.random.default_rng(i).uniform(-0.5, 0.5, 5 * RATE)
        soundfile.write(tmp_path / "root" / f"{i}.flac", sound, RATE)
    pack(tmp_path / "root", tmp_path / "packed")
    (speed,) = compare_speed(tmp_path / "root", tmp_path / "packed")
    assert speed.suffix == ".flac"
    assert speed.packed > 3 * speed.files  # ten times and more on a machine at rest
