"""The command that makes sounds: as many as asked for, the same from the same seed, over nothing that is there."""

import numpy as np
import pytest
import soundfile
import torch

from lightning_modules import generate
from lightning_modules.networks import WaveGAN
from lightning_modules.production import Synthesizer


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Makes sounds with a small untrained network; returns the files' samples by name."""
    torch.manual_seed(0)
    model = Synthesizer(WaveGAN(1024, dim=2), sample_rate=8000).eval()
    monkeypatch.setattr(generate, "trained_model", lambda *_, **__: model)

    def sounds(into, *, num, seed):
        generate.generate("some.ckpt", num=num, seed=seed, into=tmp_path / into)
        return {path.name: soundfile.read(path)[0] for path in sorted((tmp_path / into).iterdir())}

    return sounds


def test_as_many_sounds_as_asked_for_and_the_same_from_a_seed(make):
    first, again, other = make("a", num=3, seed=5), make("deep/b", num=3, seed=5), make("c", num=3, seed=6)
    assert list(first) == ["sound0000.wav", "sound0001.wav", "sound0002.wav"]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)
    assert not np.array_equal(first["sound0000.wav"], first["sound0001.wav"])


def test_what_is_there_is_never_overwritten(make, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/sound0002.wav").write_bytes(b"precious")
    with pytest.raises(ValueError, match=r"sound0002.wav: is there already and never overwritten"):
        make("mine", num=3, seed=0)
    assert [path.read_bytes() for path in (tmp_path / "mine").iterdir()] == [b"precious"]


@pytest.mark.parametrize("num", ["0", "-1", "many"])
def test_no_sounds_cannot_be_asked_for(monkeypatch, capsys, num):
    monkeypatch.setattr("sys.argv", ["generate", "--ckpt_path", "a", "--into", "b", f"--num={num}"])
    with pytest.raises(SystemExit) as exit_code:
        generate.main()
    assert exit_code.value.code == 2
    assert "--num" in capsys.readouterr().err
