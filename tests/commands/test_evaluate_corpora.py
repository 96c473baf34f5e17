"""`evaluate` on public corpora by name, and the matrix of what it wrote."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from test_evaluate import exit_code, scored  # noqa: F401  a fixture
from toy_run import QUICK, TOY, rows, run_command

from datamodules.ssd.corpora import CORPORA
from lightning_modules import fit, report
from lightning_modules.run.checkpoints import read_checkpoint

CORPORA_TOY = """
data:
  class_path: datamodules.SpeechCorpora
  init_args:
    corpora: {{asvspoof_2019_la: {root}/LA, asvspoof_5: {root}/V}}
    train: [asvspoof_2019_la, asvspoof_5]
    test: [asvspoof_2019_la, asvspoof_5]
    train_crop_s: 0.2
    eval_crop_s: 0.5
    batch_size: 10
"""


def only(path: Path, label: str) -> None:
    """Keeps the rows of a label of an In-the-Wild list."""
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *(line for line in lines if line.endswith(f",{label}"))]) + "\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Folders of made corpora: LA, V, DF, wild, and wild without bona fide speech or without spoofs."""
    folder = tmp_path_factory.mktemp("made")
    names = {"LA": "asvspoof_2019_la", "V": "asvspoof_5", "DF": "asvspoof_2021_df"}
    names |= dict.fromkeys(("wild", "fakes", "genuine"), "in_the_wild")
    for seed, (name, corpus) in enumerate(names.items()):
        (folder / name).mkdir()
        CORPORA[corpus].write_demo(folder / name, seed)
    only(folder / "fakes/meta.csv", "spoof")
    only(folder / "genuine/meta.csv", "bona-fide")
    return folder


def other_seed(run: Path, other: Path) -> None:
    """Makes a run as of seed 2, with other weights."""
    checkpoint = read_checkpoint(run / "checkpoints/last.ckpt")
    config = yaml.safe_load(checkpoint["config"])
    config["seed_everything"], config["run"]["id"] = 2, other.name
    checkpoint["config"] = yaml.safe_dump(config)
    weight = checkpoint["state_dict"]["network.head.weight"]
    weight += torch.randn(weight.shape, generator=torch.manual_seed(0))
    (other / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint, other / "checkpoints/best=0.5-epoch=0.ckpt")


@pytest.fixture(scope="module")
def of_two_seeds(toy, made, tmp_path_factory) -> Path:
    """A folder with runs of two seeds, of two corpora; not to be changed."""
    folder = tmp_path_factory.mktemp("seeds")
    toy_text = TOY.format(root="unused").split("data:")[0]
    (folder / "toy.yaml").write_text(toy_text + CORPORA_TOY.format(root=made) + "trainer: {max_epochs: 1}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ["--seed_everything=1", "--run.id=s1", "--tracking.wandb=disabled", *QUICK]
        run_command(fit, "--config=toy.yaml", *words)
        other_seed(Path("runs/toy/s1"), Path("runs/toy/s2"))
    return folder


@pytest.fixture
def runs(of_two_seeds, tmp_path, monkeypatch) -> list[str]:
    """The runs' folders, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(of_two_seeds / "runs", "runs")
    return ["runs/toy/s1", "runs/toy/s2"]


def trials_of(row: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and which are bona fide, read without the project."""
    with Path(row["trials"]).open(newline="") as file:
        lines = list(csv.DictReader(file))
    return np.array([float(line["score"]) for line in lines]), np.array(
        [line["label"] == "bonafide" for line in lines]
    )


def eer(scores: np.ndarray, is_bonafide: np.ndarray) -> tuple[float, float]:
    """A few lines of NumPy."""
    order = np.lexsort((~is_bonafide, scores))
    miss = np.r_[0, np.cumsum(is_bonafide[order])] / is_bonafide.sum()
    false_alarm = ((~is_bonafide).sum() - np.r_[0, np.cumsum(~is_bonafide[order])]) / (~is_bonafide).sum()
    at = np.argmin(abs(miss - false_alarm))
    return (miss[at] + false_alarm[at]) / 2, np.r_[np.nan, scores[order]][at]


def figures(folder: Path) -> dict[tuple[str, str], list[float]]:
    """(condition, corpus) -> figure of each seed, of a report."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows(folder / "checkpoints.csv"):
        found.setdefault((row["condition"], row["corpus"]), []).append(float(row["value"]))
    return found


def test_six_corpora_by_one_command_and_the_matrix_of_them(runs, made, scored, capsys):  # noqa: F811
    on = [
        "asvspoof_2019_la",
        "asvspoof_5",
        f"asvspoof_2021_df={made}/DF",
        f"WILD=in_the_wild:{made}/wild",
        f"fakes=in_the_wild:{made}/fakes",
        f"genuine=in_the_wild:{made}/genuine",
    ]
    assert exit_code("--ckpt_path", *runs, "--on", *on[:5], "--output=out", *QUICK) == 0
    assert len(scored) == 10
    before = rows(Path("out/evaluations.csv"))
    capsys.readouterr()
    assert exit_code("--ckpt_path", runs[0], "--on", *on, "--output=out", *QUICK) == 0
    assert len(scored) == 11  # what was finished is not scored again
    printed = capsys.readouterr().out
    table = rows(Path("out/evaluations.csv"))
    assert table[:10] == before
    assert {(row["corpus"], row["public"]) for row in table} >= {("WILD", "in_the_wild"), ("asvspoof_5",) * 2}
    assert {row["trained_on"] for row in table} == {"asvspoof_2019_la+asvspoof_5"}
    assert len({row["recipe"] for row in table}) == 1

    assert report.main(["out", "--output=rep", "--threshold-from=asvspoof_5"]) == 0
    text, found = Path("rep/README.md").read_text(), figures(Path("rep"))
    of_seed = [[row for row in table if row["seed"] == seed] for seed in "12"]
    for seed, several in enumerate(of_seed):
        of = {row["corpus"]: trials_of(row) for row in several}
        both = {name: each for name, each in of.items() if len(set(each[1])) == 2}
        assert set(both) == {"asvspoof_2019_la", "asvspoof_5", "asvspoof_2021_df", "WILD"}
        for name, each in both.items():
            assert found["clean", name][seed] == eer(*each)[0]
        assert found["clean", "mean EER"][seed] == pytest.approx(
            np.mean([eer(*each)[0] for each in both.values()]), abs=1e-15
        )
        together = [np.concatenate(each) for each in zip(*both.values(), strict=True)]
        assert found["clean", "pooled EER"][seed] == eer(*together)[0]
        threshold = eer(*both["asvspoof_5"])[1]
        assert found["clean", "fakes"][seed] == np.mean(of["fakes"][0] >= threshold)
        if seed == 0:
            assert found["clean", "genuine"] == [
                pytest.approx(np.mean(of["genuine"][0] < threshold), abs=1e-15)
            ]
    wild = np.array(found["clean", "WILD"]) * 100
    (ours,) = [line for line in text.splitlines() if "| toy (closed) |" in line]
    assert f"{wild.mean():.2f} ± {wild.std(ddof=1):.2f}" in ours
    (sls,) = [line for line in text.splitlines() if "published: XLS-R 300M + SLS (open)" in line]
    head = next(line for line in text.splitlines() if line.startswith("| trained on")).split(" | ")
    assert sls.split(" | ")[head.index("WILD")] == "7.46"
    assert sls.split(" | ")[head.index("asvspoof_2021_df")] == "1.92"
    assert "published figures are of 19963 bona fide and 11816 spoofed trials, ours of 4 and 4" in text
    assert "missing: toy on asvspoof_2019_la+asvspoof_5, seed 2: no genuine" in text
    assert "at the EER threshold of asvspoof_5" in text
    assert "at the EER threshold of asvspoof_2019_la" in printed  # by default
    assert f"| {100 * found['clean', 'genuine'][0]:.2f} |" in next(
        line for line in printed.splitlines() if "| toy (closed) |" in line
    )
    assert Path("rep/matrix.tex").read_text().count(r"\pm") > 3


def test_conditions_are_rows_of_their_own_and_unknown_ones_are_named(runs, made, capsys):
    words = ["--ckpt_path", runs[0], "--on", f"in_the_wild={made}/wild", "--output=out", *QUICK]
    assert exit_code(*words, "--condition", "clean", "mp3@32k") == 0
    assert [row["condition"] for row in rows(Path("out/evaluations.csv"))] == ["clean", "mp3@32k"]
    assert report.main(["out", "--output=rep"]) == 0
    text = Path("rep/README.md").read_text()
    assert "| clean | " in text
    assert "| mp3@32k | " in text
    assert exit_code(*words, "--condition", "opus@16k", "mp9+snr10") == 2
    assert "mp9" in capsys.readouterr().err
    assert len(rows(Path("out/evaluations.csv"))) == 2  # nothing was scored before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("asvspoof_2019", "did you mean asvspoof_2019_la?"),
        (
            "in_the_wild",
            "the checkpoint's own data have no such corpus: in_the_wild=FOLDER says where it lies",
        ),
    ],
)
def test_own_data_are_not_called_as_a_corpus_is(name, expected, runs, capsys):
    assert exit_code("--ckpt_path", runs[0], "--on", name, "--output=named", *QUICK) == 1
    assert f"--on {name}: {expected}" in capsys.readouterr().err
    assert not Path("named/evaluations.csv").exists()


def test_a_threshold_from_nowhere_is_told_before_anything_is_scored(capsys):
    assert exit_code("--ckpt_path=x", "--on", "a", "b", "--threshold-from=c") == 2
    assert "--threshold-from c: no corpus is called so: name one of a, b" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("in_the_wold={made}/wild", "no corpus is called in_the_wold; did you mean in_the_wild?"),
        ("W=wild:{made}/wild", "no corpus is called wild"),
        ("W=in_the_wild:{made}/none", "no such folder: name the one that in_the_wild is unpacked in"),
        ("in_the_wild={made}/none", "no such folder: name the one that in_the_wild is unpacked in"),
        ("W={made}/none.yaml", "none.yaml: no such file"),
        (
            "W=in_the_wild:",
            "--on W=in_the_wild:: nothing stands behind its end: name the folder, or leave : out",
        ),
        ("W=", "--on W=: nothing stands behind its end: name the folder, or leave = out"),
    ],
)
def test_a_wrong_corpus_is_one_line(on, expected, made, capsys):
    assert exit_code("--ckpt_path=x", "--on", on.format(made=made)) == 2
    message = capsys.readouterr().err.strip()
    assert "\n" not in message
    assert expected in message
