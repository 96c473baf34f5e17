"""The command that makes pairs of an effect: synthetic or of one's own recordings."""

import numpy as np
import pytest
import soundfile

from datamodules import EffectPairs
from datamodules.effect_corpus import main
from datamodules.production.pairs.audio_effects import distort

RATE = 8000


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs the command in a folder of ten stereo recordings, each of a level of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/deep").mkdir(parents=True)
    for number in range(10):
        level = np.full((RATE, 2), 0.05 * (number + 1))
        soundfile.write(tmp_path / f"mine/deep/a '{number}'.flac", level, RATE)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["effect_corpus", *map(str, arguments)])
        main()

    return run


SMALL = ("--num_train", 12, "--num_test", 3, "--seconds", 0.25, "--sample_rate", RATE)


def test_clips_of_own_recordings_are_shared_out_by_file_and_pass_the_effect(call, tmp_path):
    call("distortion", "new/corpus", "--audio", "mine", *SMALL)
    data = EffectPairs(root="new/corpus", sample_rate=RATE, chunk=1000, num_workers=0)
    data.setup()
    levels = {}
    for name, count in (("train", 12), ("validation", 3), ("test", 3)):
        assert len(data.rows[name]) == count
        levels[name] = set()
        for pair in data.rows[name]:
            source, target = (soundfile.read(path)[0] for path in (pair.input, pair.target))  # pyright: ignore[reportAttributeAccessIssue]
            assert source.shape == (RATE // 4,)
            expected = distort(np.asarray(source[None], np.float64), np.array([pair.knobs]), RATE)[0]
            assert np.abs(target - expected).max() < 1e-6
            levels[name].add(round(float(source[0]) / 0.05))
    assert levels["train"].isdisjoint(levels["validation"] | levels["test"])
    assert levels["validation"].isdisjoint(levels["test"])
    assert len(levels["train"]) > 3


@pytest.mark.parametrize("audio", [(), ("--audio", "mine")])
def test_the_seed_decides(call, audio):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("low_pass", folder, "--seed", seed, *audio, *SMALL)
    names = {
        folder: sorted(path.name for path in EffectPairs(root=folder).root.rglob("*.wav")) for folder in "abc"
    }
    assert names["a"] == names["b"] != names["c"]
    first, again = (soundfile.read(f"{folder}/Train/input_3_.wav")[0] for folder in "ab")
    assert np.array_equal(first, again)


def test_an_effect_to_undo_has_its_output_as_input(call):
    call("denoise", "corpus", *SMALL)
    data = EffectPairs(root="corpus", sample_rate=RATE, chunk=1000, num_workers=0)
    data.setup("test")
    pair = max(data.rows["test"], key=lambda pair: pair.knobs)
    noisy, clean = (soundfile.read(path)[0] for path in (pair.input, pair.target))  # pyright: ignore[reportAttributeAccessIssue]
    assert np.abs(noisy - clean).max() == pytest.approx(pair.knobs[0], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("echo", "mine", *SMALL), 2, "mine exists: name a new folder"),
        (("reverb", "new"), 2, "invalid choice: 'reverb'"),
        (("echo", "new", "--num_test", 0), 2, "expected more than nothing"),
        (("echo", "new", "--audio", "none"), 1, "error: predict: none does not exist"),
    ],
)
def test_faults_are_told_and_nothing_is_left(call, tmp_path, capsys, arguments, code, message):
    with pytest.raises(SystemExit) as exit_code:
        call(*arguments)
    assert exit_code.value.code == code
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
