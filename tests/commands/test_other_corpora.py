"""Testing a checkpoint on other data, or in another way, changes no result of its run and no report."""

import json
import re
from pathlib import Path

import pytest
import yaml
from toy_run import QUICK, best, rows, run_command
from wandb_file import artifacts, history, records

from lightning_modules import predict, report, test, validate
from lightning_modules.grids.cells import last_test
from lightning_modules.run.folder import Run

wandb = pytest.importorskip("wandb")

NAME = "test@ASVspoof-2021_DF-eval-"


def state(folder: Path) -> dict[str, bytes]:
    """All files of a run but the tables that grow."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("results.csv", ".results.csv.lock", "metrics.csv")
    }


def test_another_corpus_stands_beside_the_runs_own(trained, toy):
    folder = trained()
    before, (own,) = state(folder), rows(folder / "results.csv")
    run_command(test, best(folder), "--data.edition=2021_DF", f"--data.root={toy}/DF")
    (other,) = rows(folder / "results.csv")[1:]
    name = other["files"]
    assert re.fullmatch(f"{NAME}[0-9a-f]{{6}}", name)
    assert (other["clips"], other["data_set"]) == ("12", "ASVspoof-2021_DF-eval")
    assert (own["clips"], own["data_set"], own["files"]) == ("16", "ASVspoof-2019_LA-eval", "test")
    assert other["data_hash"] != own["data_hash"]
    after = state(folder)
    assert {path: after[path] for path in before} == before
    added = {path for path in after if path not in before}
    assert all(name in path for path in added)
    assert {f"scores/{name}.txt", f"tables/{name}.csv", f"figures/{name}_det.png"} <= added
    lines = (folder / f"scores/{name}.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == [f"DF_E_{number:07d}" for number in range(12)]

    run_command(test, f"--config={toy}/df.yaml", best(folder))  # the same, said otherwise
    again = rows(folder / "results.csv")
    assert [row["files"] for row in again] == ["test", name]
    assert again[1]["eer"] == other["eer"]
    assert again[0] == own


@pytest.mark.parametrize(
    ("more", "clips"),
    [
        (["--data.eval_crop_s=0.3"], "16"),
        (["--trainer.limit_test_batches=1", "--data.eval_batch_size=10"], "10"),
    ],
    ids=["another crop", "a part"],
)
def test_another_way_of_scoring_stands_beside_the_runs_own(more, clips, trained, capsys):
    folder = trained()
    before, own = state(folder), rows(folder / "results.csv")
    run_command(test, best(folder), *more)
    assert rows(folder / "results.csv")[0] | own[0] == rows(folder / "results.csv")[0]
    after = state(folder)
    assert {path: after[path] for path in before} == before
    (other,) = rows(folder / "results.csv")[1:]
    assert (other["files"].startswith("test@ASVspoof-2019_LA-eval-"), other["clips"]) == (True, clips)
    is_part = clips != "16"
    assert (other["data_hash"] != own[0]["data_hash"]) == is_part
    assert other.get("data", "") == ("10 of 16 clips" if is_part else "")
    assert ("10 of 16 clips were scored: trainer.limit_test_batches" in capsys.readouterr().out) == is_part


def test_a_run_that_tests_a_part_says_so(trained):
    folder = trained("--trainer.limit_test_batches=1", "--data.eval_batch_size=10")
    (row,) = rows(folder / "results.csv")
    assert (row["files"], row["clips"], row["data"]) == ("test", "10", "10 of 16 clips")


def test_a_report_takes_the_grids_own_data_alone(trained, toy, capsys):
    folder = trained()
    output = {"name": "t", "title": "ASVspoof 2019 LA", "values": ["eer", "cllr"]}
    block = {"name": "x", "config": [f"{toy}/toy.yaml"]}
    grid = {"experiment": "toy", "blocks": [block], "report": {"outputs": [output]}}
    Path("grid.yaml").write_text(yaml.safe_dump(grid))
    assert report.main(["grid.yaml"]) == 0
    reported = Path("reports/grid/t.csv").read_text()
    own = last_test(Run(experiment="toy", id="x"))
    run_command(test, best(folder), f"--config={toy}/df.yaml")
    run_command(test, best(folder), "--data.eval_crop_s=0.3")
    assert len(rows(folder / "results.csv")) == 3
    assert last_test(Run(experiment="toy", id="x")) == own
    assert report.main(["grid.yaml"]) == 0
    assert Path("reports/grid/t.csv").read_text() == reported
    assert "warning" not in capsys.readouterr().out


def test_the_first_corpus_of_another_run_id_is_its_own(trained, toy):
    folder = trained()
    for config in (f"{toy}/df.yaml", f"{toy}/toy.yaml"):
        words = [best(folder), "--tracking.wandb=disabled", "--run.id=elsewhere", *QUICK]
        run_command(test, f"--config={config}", *words)
    found = rows(Path("runs/toy/elsewhere/results.csv"))
    assert (found[0]["files"], found[0]["clips"]) == ("test", "12")
    assert found[1]["files"].startswith("test@ASVspoof-2019_LA-eval-")
    assert "edition: 2021_DF" in Path("runs/toy/elsewhere/config.yaml").read_text()


def parts_of_wandb(folder: Path) -> list[list]:
    """The records of each part that the real client wrote of a run."""
    wandb.finish()
    wandb.teardown()
    return [list(records(path)) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def test_wandb_keeps_what_the_run_told_and_predictions_tell_nothing(trained, toy, demo_corpus):
    folder, offline = trained(), "--tracking.wandb=offline"
    before = json.loads((folder / "provenance.json").read_text())
    clip = next((demo_corpus / "ASVspoof2019_LA_eval/flac").iterdir())
    run_command(predict, f"--data.predict=[{clip}]", best(folder), f"--output={folder}/out.txt", offline)
    assert (folder / "out.txt").read_text().split()[0] == clip.stem
    assert not list(Path().rglob("wandb"))

    for number, (command, more, key) in enumerate(
        [
            (test, f"--config={toy}/df.yaml", NAME),
            (validate, "--data.eval_crop_s=0.3", "validation@ASVspoof-2019_LA-eval-"),
        ]
    ):
        run_command(command, best(folder), more, offline)
        part = parts_of_wandb(folder)[number]
        logged = history(part)
        assert len([name for name in logged if name.startswith(key) and name.endswith("/eer")]) == 1
        assert not [name for name in logged if name.startswith(("test/", "val/", "validation/"))]
        told = [*(record.config for record in part), *(record.run.config for record in part)]
        assert not {"data", "data_hash"} & {update.key for each in told for update in each.update}
        (scores,) = [each.name for each in artifacts(part) if each.type in ("scores", "model")]
        assert "ASVspoof" in scores
    assert json.loads((folder / "provenance.json").read_text()) == before
