"""Pairs of an effect: names, faults in one line, chunks, captures, delays."""

from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules.production.pairs.delay import measure_delay
from datamodules.production.pairs.effect_layout import EffectInfo, folder_pairs, read_info
from datamodules.production.pairs.effect_pairs import EffectPairs
from datamodules.production.pairs.effect_writer import write_effect

RATE = 8000
TWO = EffectInfo("X", ("gain", "tone"), ((-20.0, 0.0), (0.0, 1.0)))


def write(path, size=100, rate=RATE, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (size, channels))
    soundfile.write(path, noise, rate)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my__effects") / "echo"
    write_effect(folder, "echo", num_train=5, num_test=2, seconds=0.5, sample_rate=RATE)
    return folder


def data(root, **settings: Any) -> Any:
    arguments: dict[str, Any] = {"chunk": 1000} | settings
    return EffectPairs(root=str(root), sample_rate=RATE, num_workers=0, **arguments)


def test_settings_come_from_the_name_alone_and_may_be_negative(tmp_path):
    folder = tmp_path / "a__b" / "Train"
    write(folder / "input_10_.wav")
    write(folder / "target_10_X__-12.5__0.25.wav")
    write(folder / "input_2_.wav")
    write(folder / "target_2_X__-3__1e-05.wav")
    pairs = folder_pairs(folder, TWO)
    assert [pair.knobs for pair in pairs] == [(-3, 1e-5), (-12.5, 0.25)]
    assert [pair.key for pair in pairs] == ["Train/2", "Train/10"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["input_1_.wav"], "input_1_.wav: this input has no target_1"),
        (["input_1_.wav", "target_1_X__0.wav"], "target_1_X__0.wav: 1 settings in the name"),
        (["input_1_.wav", "target_1_X__-5__loud.wav"], "setting 'loud' of tone in the name is not a number"),
        (["input_1_.wav", "target_1_X__5__0.wav"], "gain = 5 lies outside of -20 to 0"),
        (["target_1_X__0__0.wav"], "holds no input_<n>_.wav"),
        (["input_1_.wav", "target_1_X__0__0.wav", "target_1_X__0__1.wav"], "has the same number"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(tmp_path, files, message):
    for name in files:
        write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as error:
        folder_pairs(tmp_path, TWO)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"size": 99}, "99 samples, but input.wav has 100"),
        ({"rate": 16000}, "16000 Hz, but input.wav has 8000"),
        ({"channels": 2}, "target.wav: 2 channels"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, target, message):
    write(tmp_path / "input.wav")
    write(tmp_path / "target.wav", **target)
    with pytest.raises(ValueError, match=message):
        data(tmp_path).setup("fit")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[effect]\nname = X\nknob_names = ['a']\nknob_ranges = [[0, 1], [0, 1]]",
            "and 2 knob_ranges: give every knob",
        ),
        ("[effect]\nname = X\nknob_names = ['a']\nknob_ranges = [[1, 1]]", "knob a ranges from 1.0 to 1.0"),
        ("[effect]\nname = X\nknob_names = ['a', 'a']\nknob_ranges = [[0, 1], [0, 1]]", "a name of its own"),
        ("[effect]\nname = X\nknob_names = ['a']\nknob_ranges = [[0, 1e999]]", "ranges from 0.0 to inf"),
        ("[effect]\nname = X\nknob_names = ['a']\nknob_ranges = [[0, 9**9**9]]", "not of the form"),
        ("[effect]\nname = X\nknob_names = [open('hacked', 'w').name]\nknob_ranges = []", "not of the form"),
        ("[effect]\nname = X\nknob_names = __import__('os').getcwd()\nknob_ranges = []", "not of the form"),
        ("[effect]\nname = X\nknob_names = " + 5000 * "[" + "\nknob_ranges = []", "not of the form"),
        ("knob_names = ['a']", "not of the form"),
        ("[effect]\nname = X", "not of the form"),
    ],
)
def test_effect_info_is_read_and_never_executed(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "effect_info.ini"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_info(path)
    assert "\n" not in str(error.value)
    assert [each.name for each in tmp_path.iterdir()] == ["effect_info.ini"]


def test_a_written_corpus_is_read_with_its_knobs(corpus):
    module = data(corpus)
    module.setup()
    assert module.knob_names == ("delay_samples", "ratio", "echoes")
    assert [len(module.rows[name]) for name in ("train", "validation", "test")] == [5, 2, 2]
    (batch, *_) = module.val_dataloader()
    assert batch.waveform.shape == (1, 1, RATE // 2)
    assert batch.knobs.abs().max() <= 0.5
    low, high = np.array(module.knob_ranges).T
    settings = (batch.knobs[0].numpy() + 0.5) * (high - low) + low
    assert settings == pytest.approx(module.rows["validation"][0].knobs, rel=1e-4)


def test_chunks_are_cut_alike_from_both_files_and_differ_from_draw_to_draw(corpus):
    module = data(corpus)
    module.setup("fit")
    dataset = module.dataset("train")
    pair = module.rows["train"][3]
    source, target = (
        torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in (pair.input, pair.target)
    )
    last = dataset[3, 2**64 - 1]
    assert torch.equal(last.waveform[0], source[-1000:])
    assert torch.equal(last.target[0], target[-1000:])
    first = dataset[3, 0]
    assert torch.equal(first.waveform[0], source[:1000])
    turned = data(corpus, flip_polarity=True)
    turned.setup("fit")
    assert torch.equal(turned.dataset("train")[3, 2**64 - 1].target, -last.target)


def test_a_capture_holds_out_its_end(tmp_path):
    write(tmp_path / "input.wav", 1000)
    write(tmp_path / "target.wav", 1000)
    module = data(tmp_path, chunk=100)
    module.setup()
    spans = [
        (module.rows[name][0].start, module.rows[name][0].stop) for name in ("train", "validation", "test")
    ]
    assert spans == [(0, 800), (800, 900), (900, 1000)]
    (batch,) = module.test_dataloader()
    assert batch.knobs.shape == (1, 0)
    assert batch.target.shape == (1, 1, 100)


def test_a_capture_of_many_files_holds_out_whole_ones(tmp_path):
    for number in range(20):
        write(tmp_path / "dry" / f"{number:02}.flac", 500 + number)
        write(tmp_path / "wet" / f"{number:02}.flac", 500 + number)
    module = data(tmp_path, chunk=100)
    module.setup()
    keys = {name: [pair.key for pair in module.rows[name]] for name in ("train", "validation", "test")}
    assert {name: len(each) for name, each in keys.items()} == {"train": 16, "validation": 2, "test": 2}
    assert sorted(key for each in keys.values() for key in each) == [f"{number:02}" for number in range(20)]
    assert [batch.target.shape[-1] for batch in module.test_dataloader()] == [
        500 + int(key) for key in keys["test"]
    ]


def test_folders_of_a_capture_must_hold_the_same_names(tmp_path):
    write(tmp_path / "input" / "a.wav")
    write(tmp_path / "target" / "b.wav")
    with pytest.raises(ValueError, match=r"a.wav has no partner"):
        data(tmp_path).setup("fit")


def test_another_rate_and_too_short_files_are_refused(corpus):
    with pytest.raises(ValueError, match=r"8000 Hz where data.sample_rate is 44100: set that to 8000"):
        EffectPairs(root=str(corpus), num_workers=0).setup("fit")
    with pytest.raises(ValueError, match=r"4000 samples are less than data.chunk = 4001"):
        data(corpus, chunk=4001).setup("fit")


@pytest.mark.parametrize("lag", [0, 37, 1000])
def test_a_delay_is_measured_to_a_sample_also_behind_a_distortion(lag):
    random = torch.Generator().manual_seed(lag)
    source = torch.randn(20000, generator=random)
    late = torch.nn.functional.pad(source, (lag, 0))[: len(source)]
    assert measure_delay(source, late) == lag
    assert measure_delay(source, torch.tanh(5 * late + 0.2)) == lag
    assert measure_delay(late, source) == -lag
    assert measure_delay(source, torch.randn(20000, generator=random)) is None


def test_a_target_that_leads_is_refused_and_a_late_one_is_told(tmp_path, capsys, caplog):
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 8000)
    soundfile.write(tmp_path / "input.wav", np.concatenate([np.zeros(37), noise]), RATE)
    soundfile.write(tmp_path / "target.wav", np.concatenate([noise, np.zeros(37)]), RATE)
    with pytest.raises(ValueError, match=r"target.wav: leads input.wav by 37 samples"):
        data(tmp_path).setup("fit")
    (tmp_path / "input.wav").rename(tmp_path / "other.wav")
    (tmp_path / "target.wav").rename(tmp_path / "input.wav")
    (tmp_path / "other.wav").rename(tmp_path / "target.wav")
    with caplog.at_level("INFO"):
        data(tmp_path).setup("fit")
    assert "37 samples (4.62 ms) behind" in caplog.text + capsys.readouterr().err
