"""The commands sort and select with a real tagger: the training-time path, files that cannot be heard, packs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from library_samples import tree

from datamodules.demo.one_shots import write_one_shots
from lightning_modules import cli, select, sort
from lightning_modules.checkpoints import load_weights
from lightning_modules.library.listening import Listener

REPOSITORY = Path(__file__).parents[2]
CONFIG = str(REPOSITORY / "configs" / "production_tagger.yaml")
RATE = 22050


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two synthetic kits in folders of five classes, not to be changed."""
    folder = tmp_path_factory.mktemp("sounds") / "one_shots"
    write_one_shots(folder, num_kits=3, num_hits=2)
    return folder


@pytest.fixture(scope="module")
def ckpt_path(sounds, tmp_path_factory):
    """Checkpoint of an untrained tagger, whose classes are not in the order of their names."""
    torch.manual_seed(0)
    platform = cli.build("fit", "", [f"--config={CONFIG}", f"--data.root={sounds}", "--check"])
    platform.model._set_heads({"class": ["tom", "kick", "snare", "hihat", "clap"]})
    checkpoint = {"state_dict": platform.model.state_dict(), "config": platform.dump()}
    platform.model.on_save_checkpoint(checkpoint)
    path = tmp_path_factory.mktemp("tagger") / "last.ckpt"
    torch.save(checkpoint, path)
    return str(path)


def run(module, *arguments):
    return module.main([*map(str, arguments), "--device=cpu", "--workers=0"])


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


def test_a_pack_trains_as_the_audio(sounds, ckpt_path, tmp_path, monkeypatch):
    pack = tmp_path / "pack"
    config = ["--config", CONFIG]
    assert run(sort, *config, "--spectrograms-only", pack, sounds) == 0
    assert run(sort, *config, "--spectrograms-only", pack, sounds) == 1  # exists
    names = {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()}
    audio = {path.relative_to(sounds).as_posix() for path in sounds.rglob("*.flac")}
    assert names == {f"{name}.png" for name in audio} | {"pack.json"}

    monkeypatch.setenv("PACK", str(pack))
    overlay = CONFIG.replace("production_tagger", "overlays/production_spectrograms")
    packed = cli.build("fit", "", [f"--config={CONFIG}", f"--config={overlay}", "--check"])
    heard = cli.build("fit", "", [f"--config={CONFIG}", f"--data.root={sounds}", "--check"])
    for name in ("train", "validation", "test"):
        keys = [[clip.key for clip in data.datamodule.split(name)] for data in (packed, heard)]
        assert keys[0] == keys[1]
    batches = []
    for platform in (packed, heard):
        load_weights(platform.model.eval(), ckpt_path)
        platform.datamodule.num_workers = 0
        platform.datamodule.setup("test")
        batches.append(next(iter(platform.datamodule.test_dataloader())))
    assert batches[0].key == batches[1].key
    assert batches[0].target.equal(batches[1].target)
    features = [p.model.frontend(b.waveform, b.length) for p, b in zip((packed, heard), batches, strict=True)]
    step = 80 / 255
    assert (features[0] - features[1]).abs().max() <= step / 2 * 1.001
    scores = [p.model.score(b) for p, b in zip((packed, heard), batches, strict=True)]
    torch.testing.assert_close(*scores, atol=0.02, rtol=0)
    torch.testing.assert_close(packed.model.score(batches[1]), scores[1])  # hears audio as well


def test_select_finds_a_sound_by_itself_and_keeps_its_index(sounds, ckpt_path, tmp_path, capsys):
    library = tmp_path / "library"
    shutil.copytree(sounds, library)
    arguments = ["--ckpt_path", ckpt_path, "--library", library, "--top", 3, "--json"]
    queries = [sounds / "kick" / "kit1__1.flac", sounds / "clap" / "kit2__2.flac"]

    def nearest():
        assert run(select, *arguments, *queries) == 0
        return json.loads(capsys.readouterr().out)

    found = nearest()
    assert [result["nearest"][0]["path"] for result in found] == ["kick/kit1__1.flac", "clap/kit2__2.flac"]
    for result in found:
        similarities = [sound["similarity"] for sound in result["nearest"]]
        assert similarities[0] == pytest.approx(1)
        assert similarities == sorted(similarities, reverse=True)
    index = library / ".select.npz"
    before = index.stat().st_mtime_ns
    assert nearest() == found
    assert index.stat().st_mtime_ns == before  # nothing new: nothing written
    (library / "kick" / "kit1__1.flac").unlink()
    shutil.copy(queries[0], library / "clap" / "kit2__2.flac")
    found = nearest()
    assert found[0]["nearest"][0]["path"] == "clap/kit2__2.flac"
    assert all(sound["path"] != "kick/kit1__1.flac" for sound in found[0]["nearest"])
