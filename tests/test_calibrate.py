"""The calibrate command: files in, calibrated scores and JSON out, messages."""

import json

import numpy as np
import pytest

from lightning_modules import calibrate, score
from lightning_modules.metrics.functional import fit_calibration


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Writes two detectors' scores of 60 development and 40 evaluation trials; returns the options of one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    for part, num in (("dev", 60), ("eval", 40)):
        is_bonafide = np.arange(num) % 4 == 0
        lines = [
            f"S {part}_{i} - {'-' if b else 'A07'} {'bonafide' if b else 'spoof'}"
            for i, b in enumerate(is_bonafide)
        ]
        write(f"{part}.trl.txt", lines)
        for name in ("a", "b"):
            scores = 20 + rng.normal(size=num) * 4 + 5 * is_bonafide
            write(
                f"{name}_{part}.txt",
                [f"{part}_{i} {s!r}" for i, s in reversed(list(enumerate(scores.tolist())))],
            )
    return options(["a_dev.txt"], ["a_eval.txt"])


def options(development, evaluation):
    return [
        *("--scores", *development, "--protocol", "dev.trl.txt", "--json", "calibration.json"),
        *("--evaluation", *evaluation, "--evaluation-protocol", "eval.trl.txt", "--output", "out.txt"),
    ]


def write(path, lines):
    with open(path, "w") as file:  # noqa: PTH123
        file.write("\n".join([*lines, ""]))


def read(path):
    with open(path) as file:  # noqa: PTH123
        return {key: float(score) for key, score in map(str.split, file)}


def test_calibrates_evaluation_scores_by_development_trials(arguments, capsys, tmp_path):
    assert calibrate.main(arguments) == 0
    development, raw, out = read("a_dev.txt"), read("a_eval.txt"), read("out.txt")
    keys = [f"dev_{i}" for i in range(60)]
    fitted = fit_calibration([development[key] for key in keys], [i % 4 == 0 for i in range(60)])
    assert list(out) == [f"eval_{i}" for i in range(40)]  # the protocol's order
    expected = {key: fitted.scale[0] * value + fitted.offset for key, value in raw.items()}
    assert out == pytest.approx(expected, rel=1e-8)
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert content == {"scale": list(fitted.scale), "offset": fitted.offset, "prior": 0.5}
    shown = capsys.readouterr().out
    rows = [
        line.split() for line in shown.splitlines() if line.strip().startswith(("development", "evaluation"))
    ]
    assert [row[:2] for row in rows] == [
        [t, s] for t in ("development", "evaluation") for s in ("raw", "calibrated")
    ]
    for before, after in (rows[:2], rows[2:]):
        assert before[2:4] == after[2:4]  # EER and minDCF keep
        assert before[5] == after[5]  # so does the minimum of Cllr
        assert float(before[6]) > 1 > float(after[6]) >= float(after[5])
    assert score.main(["--scores", "out.txt", "--protocol", "eval.trl.txt"]) == 0


def test_fuses_in_the_order_of_the_files(arguments, capsys):
    assert calibrate.main(options(["a_dev.txt", "b_dev.txt"], ["a_eval.txt", "b_eval.txt"])) == 0
    fused = read("out.txt")
    assert calibrate.main(options(["b_dev.txt", "a_dev.txt"], ["b_eval.txt", "a_eval.txt"])) == 0
    assert read("out.txt") == pytest.approx(fused, rel=1e-6)
    rows = [
        line.split()[1]
        for line in capsys.readouterr().out.splitlines()
        if line.strip().startswith("evaluation")
    ]
    assert rows[:3] == ["raw", "raw", "fused"]


def test_inverted_scores_are_said(arguments, capsys):
    for part in ("dev", "eval"):
        write(f"a_{part}.txt", [f"{key} {-value!r}" for key, value in read(f"a_{part}.txt").items()])
    assert calibrate.main(arguments) == 0
    assert "warning: a_dev.txt looks inverted" in capsys.readouterr().out


def test_a_wrong_file_is_one_line(arguments, capsys, tmp_path):
    write("a_eval.txt", ["eval_0 1.0"])
    assert calibrate.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a_eval.txt: no score for eval_1 and 38 others" in error
    assert not (tmp_path / "out.txt").exists()
    assert not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        (("--output", "out.txt"), (), "--evaluation needs --output"),
        ((), ("--evaluation", "a_eval.txt", "b_eval.txt"), "--evaluation: 2 files, but --scores has 1"),
        ((), ("--prior", "1"), "--prior 1.0: expected a probability between 0 and 1"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments, removed, added, message, capsys):
    kept = [each for each in arguments if each not in removed]
    with pytest.raises(SystemExit) as ended:
        calibrate.main([*kept, *added])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
