"""Files longer than the crop: what the test hears, what their windows come to, and what is said of them."""

import csv
import os
import sys
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from sounding import CROP_S, Loudness, classifier, package, tagger, tone, write

from datamodules.clips import Clip
from datamodules.clips.search import clips_to_predict
from lightning_modules.package import command
from lightning_modules.package.files import package_score, scores_of
from lightning_modules.package.predicted import predicted

CPU = torch.device("cpu")


def results(model, *paths, **settings) -> list[Any]:
    return list(predicted(model, clips_to_predict(paths), CPU, **settings))


def clip_scores(model, clips) -> list[float]:
    """Of clips as a test cuts them."""
    return [score.item() for score in scores_of(package_score(model, CPU), clips, model.listening)]


@pytest.fixture
def predict(monkeypatch, capsys):
    """Runs `predict --package` with a model; returns exit code, lines, remarks."""

    def run(model, *arguments):
        monkeypatch.setattr(command, "read_package", lambda _: model)
        monkeypatch.setattr(sys, "argv", ["predict", "--package=x", "--device=cpu", *map(str, arguments)])
        code = 0
        try:
            command.main()
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err.splitlines()

    return run


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("rate", [8000, 11025])
@pytest.mark.parametrize("settings", [{}, {"num_views": 3}, {"stop_s": 0.3}, {"crop_s": None}])
def test_the_score_is_that_of_the_test_whatever_the_length(rate, settings, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (round(2.6 * rate), 2))
    lengths = [0.3, 0.5, 0.501, 1.3, 2.6]
    paths = [write(tmp_path / f"{s}.wav", noise[: round(s * rate)], rate=rate) for s in lengths]
    model = package(**settings)
    expected = dict(zip(map(str, lengths), clip_scores(model, clips_to_predict(paths)), strict=True))
    for result in results(model, *paths):
        assert result.score is not None
        assert result.score.item() == pytest.approx(expected[result.key], rel=1e-6)


@pytest.mark.parametrize("how", ["mean", "max", "min"])
def test_windows_are_clips_of_their_own(how, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 21000) * np.linspace(0.2, 1, 21000)
    path = write(tmp_path / "noise.wav", noise[::-1])
    model = package(Loudness(how))
    starts = [*np.arange(0, 2.01, 0.25), 2.125]
    clips = [Clip(str(start), str(path), start_s=start, stop_s=start + CROP_S) for start in starts]
    expected = clip_scores(model, clips)
    (result,) = results(model, path, keep_windows=True)
    assert [window[:2] for window in result.windows] == [(start, start + CROP_S) for start in starts]
    assert [window.score.item() for window in result.windows] == pytest.approx(expected, rel=1e-6)
    summary = {"mean": np.mean, "max": np.max, "min": np.min}[how]
    assert result.aggregate == how
    assert result.score_windows.item() == pytest.approx(summary(expected), rel=1e-6)
    assert result.at_s.item() == (2.125 if how == "min" else 0)
    assert result.answer is result.score


def test_an_event_in_the_eighth_of_ten_minutes_is_found(tmp_path, predict):
    quiet, event = tone(600, level=0.01), tone(0.75, 1000, level=0.5)
    at = round(440.3 * 8000)
    quiet[at : at + len(event)] += event
    path = write(tmp_path / "ten.flac", quiet)
    code, lines, remarks = predict(package(), "--output", tmp_path / "scores.csv", path)
    assert (code, lines) == (0, [])
    assert len(remarks) == 1
    assert remarks[0].startswith(
        "ten: heard 0.5 of 600 s by the test rule; max of 2399 windows; highest 0.125"
    )
    (row,) = table(tmp_path / "scores_files.csv")
    assert float(row["score"]) == pytest.approx(0.01**2 / 2, rel=1e-2)
    assert float(row["score_windows"]) == pytest.approx((0.5**2 + 0.01**2) / 2, rel=1e-2)
    assert row["at_s"] == "440.500"  # the window that holds nothing else
    assert (row["seconds"], row["heard_s"], row["windows"]) == ("600.000", "0.500", "2399")
    (score,) = table(tmp_path / "scores.csv")
    assert score == {"key": "ten", "score": row["score"]}


def test_a_method_of_whole_clips_hears_windows_of_what_is_longer_than_a_minute(tmp_path, predict):
    quiet = tone(95, level=0.01)
    quiet[70 * 8000 : 71 * 8000] *= 50
    model = package(crop_s=None)
    short, long = write(tmp_path / "minute.wav", quiet[: 60 * 8000]), write(tmp_path / "long.wav", quiet)
    first, second = results(model, short, long)
    assert (first.num_windows, first.score) == (1, first.score_windows)
    assert (second.num_windows, second.score, second.answer) == (18, None, second.score_windows)
    assert 61 <= second.at_s <= 70
    code, lines, remarks = predict(model, long)
    assert (code, lines) == (0, [f"long {second.score_windows:.9g}"])
    assert (
        "heard 0 of 95 s by the test rule, which cannot hear so long a file: the score is the max"
        in remarks[0]
    )


@pytest.fixture
def rain_and_dog(tmp_path):
    """A second of rain, five of a dog, a bark of a horn, two of silence."""
    parts = tone(1, 500), tone(4.5, 1000), tone(0.5, 2000), tone(2, 500, level=0)
    return write(tmp_path / "yard.wav", *parts)


def test_a_classifier_of_own_data_answers_by_the_mean_of_windows(rain_and_dog, predict):
    assert predict(classifier(), rain_and_dog)[1] == ["yard\train\t1.0000"]
    model = classifier(published_crop=False, stop_s=0.5)
    (result,) = results(model, rain_and_dog, keep_windows=True)
    expected = torch.stack([window.score for window in result.windows]).double().mean(0)
    torch.testing.assert_close(result.answer, expected)
    assert result.windows[-1].start_s == 5.75  # silence is no class's
    code, (line,), (remark,) = predict(model, "--top=2", rain_and_dog)
    assert (code, line) == (0, f"yard\tdog\t{expected[1]:.4f}\train\t{expected[0]:.4f}")
    assert remark.startswith("yard: the score is the mean of 24 windows over 8 s; highest ")
    assert expected[1] > 0.7


def test_the_table_names_the_best_classes_their_aggregate_and_their_times(rain_and_dog, tmp_path, predict):
    predict(classifier(published_crop=False), "--top=3", "--output", tmp_path / "s.csv", rain_and_dog)
    (row,) = table(tmp_path / "s_files.csv")
    assert row["aggregate"] == "mean"
    assert row["class_1"] == "rain"
    assert [row[f"windows_class_{place}"] for place in (1, 2, 3)] == ["dog", "rain", "horn"]
    at_s = {row[f"peak_class_{place}"]: float(row[f"peak_class_{place}_at_s"]) for place in (1, 2, 3)}
    assert at_s["rain"] == 0
    assert 1 <= at_s["dog"] <= 5
    assert at_s["horn"] == 5.5
    predict(classifier(), "--top=3", "--output", tmp_path / "t.csv", rain_and_dog)
    (row,) = table(tmp_path / "t_files.csv")
    assert row["aggregate"] == "max"
    assert float(row["windows_class_3_score"]) > 0.99
    assert "peak_class_1" not in row


def test_tags_are_there_where_a_window_has_them(rain_and_dog, tmp_path, predict):
    (result,) = results(tagger(published_crop=False), rain_and_dog)
    assert result.aggregate == "max"
    torch.testing.assert_close(result.answer.view(3, 2).sum(1), torch.ones(3, dtype=torch.float64))
    assert (result.answer[1::2] > 0.99).all()
    _, (line,), _ = predict(tagger(), "--top=2", rain_and_dog)
    assert line.split("\t")[1] == "rain"
    assert line.split("\t")[2::2][0] == "1.0000"
    predict(tagger(), "--output", tmp_path / "s.csv", rain_and_dog)
    (row,) = table(tmp_path / "s_files.csv")
    assert (row["tag_1"], row["windows_tag_1"]) == ("rain", "rain")


def test_windows_are_rows_with_their_times(rain_and_dog, tmp_path, predict):
    short = write(tmp_path / "short.wav", tone(0.3, 2000))
    _, lines, _ = predict(classifier(), "--windows", rain_and_dog, short)
    cells = [line.split("\t") for line in lines]
    assert cells[0][:4] == ["yard", "0.000", "0.500", "rain"]
    assert cells[9][:4] == ["yard", "2.250", "2.750", "dog"]
    assert cells[-1][:4] == ["short", "0.000", "0.300", "horn"]
    assert len(cells) == 25
    predict(classifier(), "--windows", "--output", tmp_path / "s.csv", rain_and_dog, short)
    rows = table(tmp_path / "s_windows.csv")
    assert list(rows[0]) == ["key", "start_s", "stop_s", "class/rain", "class/dog", "class/horn"]
    assert len(rows) == 25
    assert float(rows[9]["class/dog"]) > 0.9


def test_what_is_odd_has_columns_and_words(tmp_path, predict):
    sound = tone(1)
    clipped = np.clip(8 * sound, -1, 1)
    files = {
        "fine": sound,
        "near": 0.002 * sound,
        "clipped": clipped,
        "apart": np.stack([sound, -0.95 * sound], axis=1),
    }
    paths = [write(tmp_path / f"{name}.wav", samples) for name, samples in files.items()]
    _, _, remarks = predict(package(crop_s=1.0), "--output", tmp_path / "s.csv", *paths)
    assert remarks == [
        "near: nearly silent",
        f"clipped: {(np.abs(clipped) >= 1).mean():.1%} of the samples clipped",
        "apart: its channels cancel each other",
    ]
    columns = ("silent", "near_silent", "anti_phase")
    found = {row["key"]: tuple(row[name] for name in columns) for row in table(tmp_path / "s_files.csv")}
    assert found == {
        "fine": ("0", "0", "0"),
        "near": ("0", "1", "0"),
        "clipped": ("0", "0", "0"),
        "apart": ("0", "0", "1"),
    }
    assert [float(row["clipped"]) > 0 for row in table(tmp_path / "s_files.csv")] == [
        False,
        False,
        True,
        False,
    ]


BAD = {
    "silent": "silent: no sample above -80 dB",
    "one": "too short: 0.000125 s where 0.005 s are needed",
    "opposite": "silent when its channels are averaged",
    "empty": "is empty (0 bytes)",
    "none": "no such file",
    "pipe": "no regular file",
}


@pytest.fixture
def bad(tmp_path):
    """A list of a good file and of bad ones."""
    write(tmp_path / "good.wav", tone(1))
    write(tmp_path / "silent.wav", tone(1, level=0))
    write(tmp_path / "one.wav", tone(1)[3:4])
    write(tmp_path / "opposite.wav", np.stack([tone(1), -tone(1)], axis=1))
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "list.txt").write_text("".join(f"{name}.wav\n" for name in [*BAD, "good"]))
    return tmp_path / "list.txt"


def test_bad_files_are_listed_and_the_rest_is_scored(bad, tmp_path, predict):
    code, lines, remarks = predict(package(), bad)
    assert code == 0
    assert [line.split()[0] for line in lines] == ["good"]
    *found, count = (remark for remark in remarks if "scored" in remark)
    assert count == "6 of 7 files were not scored"
    for line, (name, reason) in zip(found, BAD.items(), strict=True):
        assert line.startswith(f"{tmp_path}/{name}.wav: not scored: ")
        assert reason in line
    code, lines, remarks = predict(package(), "--strict", "--output", tmp_path / "s.csv", bad)
    assert code == 1
    assert remarks[-1] == "error: predict: 6 of 7 files were not scored (--strict)"
    assert [row["key"] for row in table(tmp_path / "s.csv")] == ["good"]
    faults = {row["key"]: row["fault"] for row in table(tmp_path / "s_files.csv")}
    assert faults.pop("good") == ""
    assert faults.keys() == BAD.keys()
    assert all(BAD[name] in fault for name, fault in faults.items())


def test_nothing_scored_is_a_failure(bad, tmp_path, predict):
    code, lines, remarks = predict(package(), "--output", tmp_path / "s.csv", bad.with_name("silent.wav"))
    assert (code, lines, remarks[-1]) == (1, [], "error: predict: no file was scored")
    assert not (tmp_path / "s.csv").exists()
    assert [row["silent"] for row in table(tmp_path / "s_files.csv")] == ["1"]


def test_a_file_that_breaks_off_later_has_no_score(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 70 * 8000)
    path, cut = write(tmp_path / "noise.flac", noise), tmp_path / "cut.flac"
    content = path.read_bytes()
    cut.write_bytes(content[: len(content) * 3 // 4])
    whole, broken = results(package(), path, cut)
    assert whole.answer is not None
    assert broken.answer is None
    assert broken.end.fault


def test_names_that_begin_with_a_dash_are_files(tmp_path, monkeypatch, predict):
    monkeypatch.chdir(tmp_path)
    names = ["-0jeONf82dE.wav", "--into.wav", "-h.wav"]
    for name in names:
        write(tmp_path / name, tone(0.5))
    code, lines, _ = predict(package(), "--top=1", *names)
    assert code == 0
    assert [line.split()[0] for line in lines] == ["-0jeONf82dE", "--into", "-h"]
    code, _, (error,) = predict(package(), "--nothing.wav")
    assert code == 2
    assert "nothing.wav" in error


def test_channels_are_those_that_the_network_knows(tmp_path):
    stereo = np.stack([tone(1), tone(1)], axis=1)
    model: Any = package(mono=False)
    model.scorer.network.input_size = (2, 1, 1)
    two, one = results(model, write(tmp_path / "two.wav", stereo), write(tmp_path / "one.wav", tone(1)))
    assert two.end.fault == ""
    assert one.end.fault == "1 channels where the model was trained on 2: mix it to as many"


def test_long_files_are_not_held_in_memory(tmp_path, monkeypatch):
    """The longest array that is made of twenty minutes holds two: a block and a window."""
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 8000, 1) as file:
        for _ in range(20):
            file.write(tone(60))
    longest = 0
    real = np.concatenate

    def concatenate(arrays, axis=0):
        nonlocal longest
        joined = real(arrays, axis=axis)
        longest = max(longest, joined.shape[-1])
        return joined

    monkeypatch.setattr("datamodules.hearing.windows.np.concatenate", concatenate)
    (result,) = results(package(crop_s=4.0), tmp_path / "long.flac")
    assert result.num_windows == 599
    assert longest < 1.1 * (1 << 20)
