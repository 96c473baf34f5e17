"""Packs of spectrograms: what is in them, that they train as the audio does, that they are whole or not there."""

import json
import shutil

import numpy as np
import soundfile
import torch
from library_samples import CONFIG, run
from tagged_sounds import write_tags

from lightning_modules import sort
from lightning_modules.config import cli
from lightning_modules.library import spectrograms as module
from lightning_modules.run.checkpoints import load_weights

PACK = ["--config", CONFIG, "--spectrograms-only"]


def test_a_pack_trains_as_the_audio(sounds, ckpt_path, tmp_path, monkeypatch):
    pack = tmp_path / "pack"
    assert run(sort, *PACK, pack, sounds) == 0
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
    features = heard.model.frontend(batches[1].waveform, batches[1].length)
    step = 80 / 255
    assert (batches[0].features - features).abs().max() <= step / 2 * 1.001
    scores = [p.model.score(b) for p, b in zip((packed, heard), batches, strict=True)]
    torch.testing.assert_close(*scores, atol=0.02, rtol=0)
    torch.testing.assert_close(packed.model.score(batches[1]), scores[1])  # hears audio as well


def test_a_pack_holds_every_sound_and_no_audio(sounds, tmp_path, capsys):
    pack = tmp_path / "pack"
    assert run(sort, *PACK, pack, sounds) == 0
    names = {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()}
    audio = {path.relative_to(sounds).as_posix() for path in sounds.rglob("*.flac")}
    assert names == {f"{name}.png" for name in audio} | {"pack.json"}
    size = sum(path.stat().st_size for path in pack.rglob("*") if path.is_file())
    assert f"30 spectrograms in {pack}, {size / 1e6:.2f} MB" in capsys.readouterr().out
    pcm = sum(soundfile.info(sounds / name).frames * 2 for name in audio)
    assert size < pcm / 5  # of 0.6 s, filled up to 1 s
    before = {path: path.stat().st_mtime_ns for path in pack.rglob("*")}
    assert run(sort, *PACK, pack, sounds) == 1
    assert "exists: name another folder" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in pack.rglob("*")} == before


def test_a_library_packs_the_same_twice(sounds, tmp_path):
    packs = [tmp_path / name for name in ("a", "b")]
    for pack in packs:
        assert run(sort, *PACK, pack, sounds) == 0
    contents = [{path.relative_to(pack): path.read_bytes() for path in pack.rglob("*.*")} for pack in packs]
    assert contents[0] == contents[1]


def test_what_cannot_be_packed_is_told(sounds, tmp_path, capsys):
    library = tmp_path / "library"
    shutil.copytree(sounds / "kick", library / "kick")
    (library / "kick" / "zero.wav").touch()
    soundfile.write(library / "kick" / "silent.wav", np.zeros(22050), 22050)
    shutil.copy(library / "kick" / "kit1__1.flac", library / "kick" / "twin.flac")
    assert run(sort, *PACK, tmp_path / "pack", library) == 1
    shown = capsys.readouterr().out
    assert "7 spectrograms in" in shown
    assert "kick/silent.wav: silent" in shown
    assert "kick/zero.wav: " in shown
    index = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert index["twins"] == [["kick/kit1__1.flac", "kick/twin.flac"]]
    assert index["sample_rate"] == index["features"]["sample_rate"] == 22050


def test_a_pack_that_is_cut_off_leaves_nothing_and_is_begun_anew(sounds, tmp_path, monkeypatch):
    pack, calls = tmp_path / "pack", []

    def full(features):
        calls.append(features)
        if len(calls) > 5:
            raise OSError(28, "No space left on device")
        return encode(features)

    encode = module.encode
    monkeypatch.setattr(module, "encode", full)
    assert run(sort, *PACK, pack, sounds) == 1
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert run(sort, *PACK, pack, sounds) == 0
    assert len(list(pack.rglob("*.png"))) == 30


def test_the_list_of_tags_goes_along(sounds, tmp_path, monkeypatch):
    library, pack = tmp_path / "library", tmp_path / "pack"
    shutil.copytree(sounds, library)
    write_tags(library)
    overlays = [
        CONFIG.replace("production_tagger", f"overlays/production_{name}")
        for name in ("multi_tag", "spectrograms")
    ]
    monkeypatch.setenv("AUDIO_FOLDER_ROOT", str(library))
    heard = cli.build("fit", "", [f"--config={CONFIG}", f"--config={overlays[0]}", "--check"])
    config = tmp_path / "config.yaml"
    config.write_text(heard.dump())
    assert run(sort, "--config", config, "--spectrograms-only", pack, library) == 0
    monkeypatch.setenv("PACK", str(pack))
    packed = cli.build(
        "fit", "", [f"--config={CONFIG}", *(f"--config={path}" for path in overlays), "--check"]
    )
    for name in ("train", "validation", "test"):
        rows = [[(clip.key, clip.target) for clip in data.datamodule.split(name)] for data in (packed, heard)]
        assert rows[0] == rows[1]
        assert rows[0]
