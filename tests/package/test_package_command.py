"""predict --package: files, standard input, live windows, and damaged packages in one line each."""

import csv
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from datamodules.clips import Clip
from datamodules.hearing import Listening
from lightning_modules.frontends import LFCC
from lightning_modules.metrics.functional import Calibration
from lightning_modules.networks import LCNN
from lightning_modules.package import command
from lightning_modules.package.class_scores import ClassScores
from lightning_modules.package.classes import FLOORS, build, describe
from lightning_modules.package.folder import Package, read_package, write_package
from lightning_modules.package.predicted import predicted
from lightning_modules.package.scorers import ClassScorer, SpoofingScorer

RATE = 8000  # not the network's
CONFIG = {
    "network": {"class_path": "lightning_modules.networks.LCNN.lstm_sum", "init_args": {"feature_dim": 20}},
    "frontend": {"class_path": "lightning_modules.frontends.LFCC", "init_args": {"num_deltas": 0}},
}


@pytest.fixture
def make(tmp_path):
    """Writes a package of random weights, with what else it may hold."""

    def package(crop_s=1.0, **more):
        torch.manual_seed(0)
        scorer = SpoofingScorer(LCNN.lstm_sum(20), LFCC(num_deltas=0)).eval()
        listening = Listening(sample_rate=16000, crop_s=crop_s, padding="repeat", mono=True)
        folder = tmp_path / "package"
        folder.mkdir()
        write_package(folder, Package(scorer=scorer, listening=listening, **more), describe(scorer, CONFIG))
        return folder

    return package


@pytest.fixture
def recording(tmp_path):
    """3.3 s of stereo noise in 16 bits."""
    path = tmp_path / "noise.wav"
    noise = np.random.default_rng(0).integers(-8000, 8000, (round(3.3 * RATE), 2), dtype=np.int16)
    soundfile.write(path, noise, RATE)
    return path


def run(monkeypatch, capsys, *arguments, stdin=b""):
    """Lines that the command prints."""
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
    command.main()
    return capsys.readouterr().out.splitlines()


def refusal(monkeypatch, capsys, *arguments, stdin=b""):
    """The line that it ends with."""
    with pytest.raises(SystemExit, match="1"):
        run(monkeypatch, capsys, *arguments, stdin=stdin)
    (line,) = capsys.readouterr().err.splitlines()
    return line


def by_key(lines):
    return {key: float(score) for key, score in (line.split() for line in lines)}


@pytest.mark.parametrize("crop_s", [1.0, None])
def test_standard_input_scores_as_the_file(crop_s, make, recording, monkeypatch, capsys):
    package = ["--package", make(crop_s)]
    expected = by_key(run(monkeypatch, capsys, *package, recording))["noise"]
    flac = io.BytesIO()
    samples, _ = soundfile.read(recording, dtype="int16")
    soundfile.write(flac, samples, RATE, format="FLAC")
    for content in (recording.read_bytes(), flac.getvalue()):
        assert by_key(run(monkeypatch, capsys, *package, "-", stdin=content)) == {
            "-": pytest.approx(expected)
        }
    left = recording.with_name("left.wav")
    soundfile.write(left, samples[:, 0], RATE)
    found = run(
        monkeypatch, capsys, *package, "--rate", RATE, left, "-", stdin=samples[:, 0].astype("<i2").tobytes()
    )
    assert by_key(found)["-"] == pytest.approx(by_key(found)["left"], abs=1e-6)  # another place in the batch


@pytest.mark.parametrize(("crop_s", "hop_s"), [(1.0, 0.35), (None, 1.5)])
def test_a_stream_scores_as_the_same_windows_of_the_file(crop_s, hop_s, make, recording, monkeypatch, capsys):
    folder = make(crop_s)
    starts = np.arange(0, 2.3 + 1e-9, hop_s)
    clips = [
        Clip(f"{start:.3f}", str(recording), start_s=start, stop_s=start + 1.0) for start in starts.tolist()
    ]
    found = predicted(read_package(folder), clips, torch.device("cpu"))
    expected = {each.key: each.score.item() for each in found if each.score is not None}
    window = [] if crop_s else ["--window_s", 1]
    live = ["--package", folder, "--stream", "--hop_s", hop_s, *window, "-"]
    found = by_key(run(monkeypatch, capsys, *live, stdin=recording.read_bytes()))
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_short_stream_is_one_window(make, monkeypatch, capsys):
    samples = np.random.default_rng(0).integers(-8000, 8000, 12000, dtype=np.int16).astype("<i2").tobytes()
    raw = ["--package", make(), "--rate", 16000]
    (live,) = run(monkeypatch, capsys, *raw, "--stream", "-", stdin=samples)
    (whole,) = run(monkeypatch, capsys, *raw, "-", stdin=samples)
    assert live.split() == ["0.000", whole.split()[1]]
    assert run(monkeypatch, capsys, *raw, "--stream", "-") == []


def test_scores_go_to_a_table(make, recording, tmp_path, monkeypatch, capsys):
    output = tmp_path / "scores.csv"
    assert run(monkeypatch, capsys, "--package", make(), "--output", output, recording) == []
    header, row = csv.reader(output.read_text().splitlines())
    assert header == ["key", "score"]
    assert row[0] == "noise"


def test_scores_are_read_as_ratios_and_decisions(make, recording, tmp_path, monkeypatch, capsys):
    calibration = Calibration(scale=(2.5,), offset=-0.25)
    package = make(calibration=calibration, thresholds={"fan_id_00": -1e9, "fan_id_02": 1e9})
    ((_, score, llr),) = (line.split() for line in run(monkeypatch, capsys, "--package", package, recording))
    assert float(llr) == pytest.approx(2.5 * float(score) - 0.25, rel=1e-6)
    output = tmp_path / "scores.csv"
    for instance, decision in (("fan_id_00", "1"), ("fan_id_02", "0")):
        arguments = ("--package", package, "--instance", instance)
        assert run(monkeypatch, capsys, *arguments, recording) == [f"noise {score} {llr} {decision}"]
        run(monkeypatch, capsys, *arguments, "--output", output, recording)
        (row,) = csv.DictReader(output.read_text().splitlines())
        assert row["decision"] == decision
    line = refusal(monkeypatch, capsys, "--package", package, "--instance", "pump", recording)
    assert "it has those of fan_id_00, fan_id_02" in line


def test_the_only_threshold_decides(make, recording, monkeypatch, capsys):
    package = make(thresholds={"pump": 1e9})
    ((*_, decision),) = (line.split() for line in run(monkeypatch, capsys, "--package", package, recording))
    assert decision == "0"


def test_several_heads_are_named_side_by_side():
    class Logits(torch.nn.Module):
        def forward(self, features, length=None):
            return SimpleNamespace(logits=features[:, 0])

    heads = {"verb": ["cut", "wash"], "noun": ["onion", "pan", "knife"]}
    scorer = ClassScorer(Logits(), torch.nn.Identity(), heads=heads)
    scorer.frontend.forward = lambda x, _: x
    scores = scorer(torch.tensor([[[0.0, 9.0, 9.0, 0.0, 0.0]]]))
    torch.testing.assert_close(scores.sum(), torch.tensor(2.0))
    assert ClassScores(heads).line(["clip"], scores[0], None) == "clip\twash\t0.9999\tonion\t0.9998"


def test_damaged_packages_say_so_in_one_line(make, recording, monkeypatch, capsys):
    folder = make()
    refused = ["--package", folder, recording]
    assert "no such file: name a folder" in refusal(monkeypatch, capsys, "--package", folder / "x", recording)
    path, weights = folder / "package.json", folder / "model.safetensors"
    content, state = json.loads(path.read_text()), weights.read_bytes()

    def described(**changes):
        path.write_text(json.dumps(content | changes))
        return refusal(monkeypatch, capsys, *refused)

    assert "version 2, and this program reads 1" in described(version=2)
    assert "no package of this project" in described(package="other")
    assert "damaged" in described(listening={"sample_rate": 16000})
    wider = json.loads(json.dumps(content["scorer"]))
    wider["init_args"]["network"]["init_args"]["feature_dim"] = 40
    assert "weights of another model" in described(scorer=wider)
    path.write_text("{")
    assert "package.json: damaged" in refusal(monkeypatch, capsys, *refused)
    path.write_text(json.dumps(content))
    weights.write_bytes(state[:-100])
    assert "model.safetensors: missing or damaged" in refusal(monkeypatch, capsys, *refused)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "lightning_modules.commands.workflow.predict",
        "lightning_modules.networks.aasist.torch.hub.load",
        "lightning_modules.networks.lcnn.read_weights",
        "lightning_modules.networks.lcnn.nn.Linear",
        "lightning_modules.networks.LCNN.load_official",
        "lightning_modules.networks.LCNN.lstm_sum.__call__",
        "lightning_modules.networks.nothing.Here",
        "lightning_modules.networks_elsewhere.LCNN",
        7,
    ],
)
def test_code_outside_of_the_networks_is_not_run(path):
    with pytest.raises(ValueError, match="nothing else is run"):
        build({"class_path": path}, "package.json: scorer")


def test_a_network_that_a_method_makes_itself_is_in_no_package():
    with pytest.raises(
        ValueError, match=r"model.network: 'torch.nn.* is no module of lightning_modules.networks"
    ):
        describe(SpoofingScorer(torch.nn.Flatten()), {})


def test_modules_are_found_where_they_are_defined_and_where_they_are_offered():
    for path in ("lightning_modules.networks.LCNN", "lightning_modules.networks.lcnn.LCNN"):
        assert build({"class_path": path, "init_args": {"feature_dim": 32}}, "x").feature_dim == 32
    with pytest.raises(ValueError, match="does not take these arguments"):
        build({"class_path": FLOORS[0] + ".LCNN", "init_args": {"width": 3}}, "x")


def test_wrong_use_says_what_is_right(make, recording, monkeypatch, capsys):
    package = ["--package", make()]
    assert "omit --window_s" in refusal(
        monkeypatch, capsys, *package, "--rate", 8000, "--stream", "--window_s", 2, "-"
    )
    assert "no WAV stream" in refusal(monkeypatch, capsys, *package, "--stream", "-", stdin=b"RIFX")
    assert "--device gpu9" in refusal(monkeypatch, capsys, *package, "--device", "gpu9", recording)
    for wrong in (["--stream", recording], ["--hop_s", "1", recording], ["--rate", "0", "-"]):
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, capsys, *package, *wrong)


def test_what_there_is_of_a_cut_file_is_scored_by_an_option(make, recording, tmp_path, monkeypatch, capsys):
    package = ["--package", make()]
    whole, cut = tmp_path / "whole.wav", tmp_path / "cut.wav"
    samples, _ = soundfile.read(recording, dtype="int16")
    soundfile.write(whole, samples[:20000], RATE)
    cut.write_bytes(recording.read_bytes()[: 44 + 20000 * 4])
    expected = by_key(run(monkeypatch, capsys, *package, whole))["whole"]
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, [*package, cut])])
    with pytest.raises(SystemExit, match="1"):
        command.main()
    shown = capsys.readouterr().err
    assert (
        "truncated: has 20000 samples and lacks 6400; copy or download it again, or use what is there"
        in shown
    )
    assert "(--allow_truncated where a command has no data section)" in shown
    assert by_key(run(monkeypatch, capsys, *package, "--allow_truncated", cut)) == {"cut": expected}
