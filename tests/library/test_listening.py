"""Sorting with a real tagger: the training-time path, files that cannot be heard."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from library_samples import CONFIG, run, tree

from lightning_modules import select, sort
from lightning_modules.config import cli
from lightning_modules.library.listening import Listener
from lightning_modules.run.checkpoints import load_weights

RATE = 22050


def test_probabilities_are_those_of_evaluation(sounds, ckpt_path):
    platform = cli.build("validate", "", [f"--config={CONFIG}", f"--data.root={sounds}", "--check"])
    model, data = platform.model, platform.datamodule
    load_weights(model, ckpt_path)
    data.num_workers = 0
    data.setup("test")
    model.eval()
    wanted = {}
    with torch.inference_mode():
        for batch in data.test_dataloader():
            wanted |= dict(zip(batch.key, model.score(batch), strict=True))
    assert wanted
    listener = Listener(ckpt_path, device="cpu", num_workers=0)
    assert listener.classes == ["tom", "kick", "snare", "hihat", "clap"]
    for index, found in listener.probabilities([f"{sounds}/{key}" for key in wanted]):
        assert not isinstance(found, str), found
        torch.testing.assert_close(torch.tensor(found), list(wanted.values())[index], rtol=1e-5, atol=1e-6)
        assert sum(found) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_heard_is_unsorted_with_its_reason(sounds, ckpt_path, tmp_path, capsys):
    library = tmp_path / "library"
    shutil.copytree(sounds / "kick", library)
    hit, _ = soundfile.read(library / "kit1__1.flac")
    write = {
        "silent.wav": (0 * hit, RATE),
        "short.wav": (hit[:60], RATE),
        "eight.wav": (np.stack([hit] * 8, axis=1), RATE),
        "stereo.wav": (np.stack([hit] * 2, axis=1), 48000),
        "empty.wav": (hit[:0], RATE),
    }
    for name, (samples, rate) in write.items():
        soundfile.write(library / name, samples, rate, subtype="PCM_24")
    (library / "zero.wav").touch()
    (library / "text.mp3").write_text("no audio at all")
    (library / "cut.wav").write_bytes((library / "stereo.wav").read_bytes()[:5000])
    assert run(sort, "--ckpt_path", ckpt_path, "--into", tmp_path / "into", "--json", library) == 1
    files = json.loads((tmp_path / "into" / "sorted.json").read_text())["files"]
    reasons = {file["path"]: file["unsorted"] for file in files if file["unsorted"]}
    for name, reason in {
        "silent.wav": "silent",
        "short.wav": "too short: 2.7 ms",
        "eight.wav": "8 channels",
        "empty.wav": "no samples",
        "zero.wav": "0 bytes",
        "text.mp3": "",
        "cut.wav": "",
    }.items():
        assert reason in reasons.pop(name)
    assert reasons == {}
    assert sum(bool(file["filed"]) for file in files) == 7
    shown = capsys.readouterr().out
    assert "7 sounds in" in shown
    assert "7 unsorted" in shown
    assert "short.wav: too short" in shown


def test_sort_twice_and_undo(sounds, ckpt_path, tmp_path, capsys):
    library = tmp_path / "library"
    shutil.copytree(sounds, library)
    before = tree(tmp_path)
    arguments = ["--ckpt_path", ckpt_path, "--into", tmp_path / "into", library]
    assert run(sort, *arguments, "--dry-run") == 0
    assert tree(tmp_path) == before
    assert run(sort, *arguments) == 0
    after = tree(tmp_path)
    assert len(list((tmp_path / "into").rglob("*.flac"))) == 30
    assert run(sort, *arguments) == 0
    assert tree(tmp_path) == after
    assert "30 entries made now" in capsys.readouterr().out
    assert sort.main(["--undo", "--into", str(tmp_path / "into")]) == 0
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ckpt_path=x", "lib"], "--into DIR"),
        (["--into=x", "lib"], "--ckpt_path"),
        (["--into=x", "--config=x", "lib"], "no trained weights"),
        (["--undo"], "--undo needs --into"),
        (["--undo", "--into=x", "lib"], "--undo needs --into"),
        (["--ckpt_path=x", "--into=x"], "name the folder"),
        (["--ckpt_path=x", "--into=x", "--tags=0", "lib"], "--tags: 0: expected at least 1"),
        (["--ckpt_path=x", "--into=x", "--threshold=2", "lib"], "--threshold 2.0"),
    ],
)
def test_wrong_use(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        sort.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_errors_are_one_line(ckpt_path, tmp_path, capsys):
    assert run(sort, "--ckpt_path", ckpt_path, "--into", tmp_path / "a" / "b", tmp_path) == 1
    assert run(sort, "--ckpt_path", tmp_path / "none.ckpt", "--into", tmp_path / "a", tmp_path) == 1
    assert run(select, "--ckpt_path", ckpt_path, "--library", tmp_path, "x.wav") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)


def test_a_tagger_of_tags_files_a_sound_under_each(sounds, tags_ckpt_path, tmp_path):
    listener = Listener(tags_ckpt_path, device="cpu", num_workers=0)
    assert listener.is_multi_tag
    assert listener.classes == ["skin", "dark", "metal", "bright"]
    names = [path.relative_to(sounds).as_posix() for path in sorted(sounds.rglob("*.flac"))]
    heard: dict[str, Any] = {
        names[row]: found for row, found in listener.probabilities([f"{sounds}/{name}" for name in names])
    }
    assert all(0 <= value <= 1 for row in heard.values() for value in row)
    arguments = ["--ckpt_path", tags_ckpt_path, "--tags=4", "--json"]
    assert run(sort, *arguments, "--into", tmp_path / "half", sounds) == 0
    assert run(sort, *arguments, "--into", tmp_path / "none", "--threshold=1", sounds) == 0
    for folder, least in (("half", 0.5), ("none", 1.0)):
        files = json.loads((tmp_path / folder / "sorted.json").read_text())["files"]
        for file in files:
            order = sorted(zip(heard[file["path"]], listener.classes, strict=True), key=lambda pair: -pair[0])
            wanted = [tag for probability, tag in order if probability >= least] or ["_unsure"]
            assert [entry.split("/")[0] for entry in file["filed"]] == wanted
        assert len(files) == len(names)
    assert any((tmp_path / "half" / tag).is_dir() for tag in listener.classes)


def test_a_sound_is_heard_alone_where_sounds_are_whole(ckpt_path, tmp_path):
    paths = []
    for number, size in enumerate((9000, 4000, 4000, 7001)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.random.default_rng(number).uniform(-0.3, 0.3, size), RATE, subtype="FLOAT")
        paths.append(str(path))
    listener = Listener(ckpt_path, device="cpu", num_workers=0)
    listener.data.eval_crop_s = None
    heard = dict(listener.hear(paths, lambda batch: torch.full((len(batch.key),), batch.waveform.shape[-1])))
    assert [int(heard[row]) for row in range(4)] == [9000, 4000, 4000, 7001]


def test_what_there_is_of_cut_files_is_heard_by_an_option(sounds, ckpt_path, tmp_path, capsys):
    library, cut = tmp_path / "library", tmp_path / "library" / "cut.wav"
    library.mkdir()
    hit, rate = soundfile.read(sounds / "kick" / "kit1__1.flac", dtype="int16")
    soundfile.write(cut, hit, rate)
    cut.write_bytes(cut.read_bytes()[:5044])
    soundfile.write(tmp_path / "part.wav", hit[:2500], rate)
    sorting = ["--ckpt_path", ckpt_path, "--into", tmp_path / "into", library]
    assert run(sort, *sorting) == 1
    assert "cut.wav: truncated: has 2500 samples and lacks" in capsys.readouterr().out
    assert run(sort, "--allow_truncated", *sorting) == 0
    selecting = ["--ckpt_path", ckpt_path, "--index", tmp_path / "index", "--library", library, "--json"]
    capsys.readouterr()
    assert run(select, *selecting, "--allow_truncated", tmp_path / "part.wav") == 0
    ((nearest,),) = [result["nearest"] for result in json.loads(capsys.readouterr().out)]
    assert nearest == {"path": "cut.wav", "similarity": pytest.approx(1, abs=1e-5)}
