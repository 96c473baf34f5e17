"""`evaluate`: a row for each pair of checkpoint and corpus, each made once."""

import re
from pathlib import Path

import pytest
import torch
from toy_run import QUICK, rows, run_command

from lightning_modules import evaluate
from lightning_modules.commands import workflow
from lightning_modules.run.checkpoints import read_checkpoint


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        run_command(evaluate, *arguments)
    return stop.value.code  # pyright: ignore[reportReturnType]


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """Which splits were scored, in their order."""
    done, evaluate_split = [], workflow.evaluate

    def watched(platform, split, checkpoint):
        done.append(split)
        return evaluate_split(platform, split, checkpoint)

    monkeypatch.setattr(workflow, "evaluate", watched)
    return done


def files_of(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_pairs_become_rows_and_files_of_their_own(trained, toy, scored):
    folder = trained()
    last, before = folder / "checkpoints/last.ckpt", files_of(folder)
    words = ["--ckpt_path", str(folder), str(last), "--on", "LA", f"DF={toy}/df.yaml", "--output=out", *QUICK]
    assert exit_code(*words) == 0
    found = rows(Path("out/evaluations.csv"))
    best = next(folder.glob("checkpoints/best*"))
    assert [(row["checkpoint"], row["corpus"], row["clips"]) for row in found] == [
        (str(best), "LA", "16"),
        (str(best), "DF", "12"),
        (str(last), "LA", "16"),
        (str(last), "DF", "12"),
    ]
    (own,) = rows(folder / "results.csv")
    assert {name: found[0][name] for name in ("eer", "data_hash", "settings", "seed")} == {
        name: own[name] for name in ("eer", "data_hash", "settings", "seed")
    }
    assert {(row["experiment"], row["run"], row["split"]) for row in found} == {("toy", "x", "test")}
    assert [row["data_set"] for row in found[:2]] == ["ASVspoof-2019_LA-eval", "ASVspoof-2021_DF-eval"]
    assert files_of(folder) == before
    scores = [Path(row["scores"]) for row in found]
    assert [len(path.read_text().splitlines()) for path in scores] == [16, 12, 16, 12]
    assert len(set(scores)) == 4
    assert scores[0].read_text() == (folder / "scores/test.txt").read_text()
    assert scores[1].parts[:4] == ("out", "evaluations", "DF", "toy")

    assert exit_code(*words) == 0
    assert scored == ["test"] * 4  # finished before
    assert rows(Path("out/evaluations.csv")) == found

    assert (
        exit_code(*words, "--split", "validation", "test") == 1
    )  # 2021 DF validates on 2019 LA, which is not there
    assert scored[4:] == ["validation", "validation"]
    more = rows(Path("out/evaluations.csv"))
    assert more[:4] == found
    assert [(row["corpus"], row["split"], row["clips"]) for row in more[4:]] == [
        ("LA", "validation", "12")
    ] * 2


def test_what_changed_is_scored_again_and_other_rows_stay(trained, scored):
    folder = trained()
    last = folder / "checkpoints/last.ckpt"
    words = ["--ckpt_path", str(last), *QUICK]
    assert exit_code(*words) == 0
    (first,) = rows(Path("evaluations.csv"))
    checkpoint = read_checkpoint(last)
    checkpoint["state_dict"]["network.head.bias"] += 1
    torch.save(checkpoint, last)
    assert exit_code(*words) == 0
    assert exit_code(*words) == 0
    assert exit_code(*words, "--data.eval_crop_s=0.3") == 0
    assert scored == ["test"] * 3
    found = rows(Path("evaluations.csv"))
    assert found[0] == first
    assert len({row["checkpoint_hash"] for row in found}) == 2
    assert len({row["settings"] for row in found}) == 2
    assert {row["corpus"] for row in found} == {"own"}
    assert len({row["scores"] for row in found}) == 3


def test_a_failing_pair_is_named_and_the_others_go_on(trained, toy, scored, capsys):
    folder = trained()
    Path("broken.ckpt").write_bytes(b"no checkpoint")
    Path("gone.yaml").write_text("data: {init_args: {edition: 2021_DF, root: /none}}\n")
    Path("typo.yaml").write_text("data: {init_args: {edtion: 2021_DF}}\n")
    words = [
        "--ckpt_path",
        "broken.ckpt",
        "none.ckpt",
        str(folder),
        "--on",
        "a=gone.yaml",
        "b=typo.yaml",
        "c",
        *QUICK,
    ]
    assert exit_code(*words) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert [re.sub(r": .*", "", error.removeprefix("error: ")) for error in errors] == [
        *(f"{source} on {name}, test" for source in ("broken.ckpt", "none.ckpt") for name in "abc"),
        f"{folder} on a, test",
        f"{folder} on b, test",
    ]
    assert "none.ckpt: no such checkpoint" in errors[3]
    assert "no such protocol: set root of ASVspoof 2021_DF" in errors[6]
    assert "unknown key data.edtion; did you mean edition?" in errors[7]
    assert scored == ["test"]
    assert [row["corpus"] for row in rows(Path("evaluations.csv"))] == ["c"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "the following arguments are required: --ckpt_path"),
        (["--ckpt_path=a", "--on", "x=none.yaml"], "none.yaml: no such file"),
        (["--ckpt_path=a", "--on", "x", "x"], "--on x: x comes twice"),
        (["--ckpt_path=a", "--on", "configs/x.yaml"], "--on configs/x.yaml: give NAME=CONFIG"),
        (["--ckpt_path=a", "--splits=test"], "unknown key splits; did you mean split?"),
        (["--ckpt_path=a", "--split=train"], "invalid choice: 'train'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(words, expected, capsys):
    assert exit_code(*words) == 2
    message = capsys.readouterr().err.strip()
    assert "\n" not in message
    assert expected in message


def test_a_package_is_no_checkpoint(tmp_path, capsys):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/package.json").write_text("{}")
    assert exit_code("--ckpt_path", str(tmp_path / "package"), f"--output={tmp_path}") == 1
    assert "a package scores files alone: name the checkpoint" in capsys.readouterr().err
