"""Grids: what a file lists, how its runs are told apart, run, killed, continued and put on a cluster."""

import csv
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
import yaml

from lightning_modules import grid
from lightning_modules.grids import local
from lightning_modules.grids.cells import expand
from lightning_modules.grids.grid_file import read_grid

REPOSITORY = Path(__file__).parents[2]
GRIDS = sorted((REPOSITORY / "configs/grids").glob("*.yaml"))
TWO_BLOCKS = {
    "experiment": "two",
    "blocks": [
        {
            "name": "same type (a)",
            "config": ["config.yaml"],
            "set": {"data.proxy_outliers": "same_type", "model.part": None},
            "axes": {
                "data.machine,data.id": [["fan", "id_00"], ["pump", "id_02"]],
                "seed_everything": [1, 2],
            },
        },
        {"name": "flow", "config": ["config.yaml", "overlay.yaml"], "axes": {"seed_everything": [1]}},
    ],
}


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "PRELOAD", [])  # stubs need no library
    for name in ("config.yaml", "overlay.yaml"):
        (tmp_path / name).touch()


def write(content, name="grid.yaml"):
    Path(name).write_text(yaml.safe_dump(content, sort_keys=False))
    return name


def seeds(*values, **more):
    block = {"name": "a", "config": ["config.yaml"], "axes": {"seed_everything": list(values)}}
    return write({"experiment": "e", "blocks": [block | more]})


def add_result(folder, split="test"):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.csv").open("a", newline="") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(["split", "seed"])
        writer.writerow([split, 1])


# stands in for fit: by its seed a run ends well, fails, is killed, forgets its result, or never ends
def stub(arguments):
    given = dict(each.lstrip("-").split("=", 1) for each in arguments)
    folder = Path(given["run.root"]) / given["run.experiment"] / given["run.id"]
    with (folder / "starts.txt").open("a") as file:
        file.write(
            f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n"
        )
    print("prints", given["seed_everything"])
    match int(given["seed_everything"]):
        case 13:
            print("error: unlucky", file=sys.stderr)
            raise SystemExit(1)
        case 14:
            os.kill(os.getpid(), signal.SIGKILL)
        case 15:
            return
        case 99:
            time.sleep(100)
    add_result(folder)


def test_cells_are_the_union_of_products_with_readable_ids():
    cells = expand(read_grid(write(TWO_BLOCKS)))
    assert [cell.run.id for cell in cells] == [
        "same_type_a-fan-id_00-seed_1",
        "same_type_a-fan-id_00-seed_2",
        "same_type_a-pump-id_02-seed_1",
        "same_type_a-pump-id_02-seed_2",
        "flow-seed_1",
    ]
    assert [cell.index for cell in cells] == list(range(5))
    assert cells[0].arguments(["--seed_everything=7"]) == [
        "--config=config.yaml",
        "--trainer.enable_progress_bar=false",
        "--seed_everything=7",  # the cell's own comes later and wins
        "--data.proxy_outliers=same_type",
        "--model.part=null",
        "--data.machine=fan",
        "--data.id=id_00",
        "--seed_everything=1",
        "--run.experiment=two",
        "--run.id=same_type_a-fan-id_00-seed_1",
        "--run.root=runs",
    ]


def block(**changes):
    return {"experiment": "e", "blocks": [{"name": "a", "config": ["config.yaml"]} | changes]}


def output(**changes):
    return block() | {"report": {"outputs": [{"name": "o", "values": ["eer"], "title": "t"} | changes]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"experiment": "e", "blocks": []}, "no blocks"),
        ({"blocks": block()["blocks"]}, "experiment is missing"),
        (block() | {"blcks": 1}, "unknown key blcks; valid keys: experiment, blocks, report"),
        (block(axis={}), r"block 1 \(a\): unknown key axis; valid keys: name, config, set, axes"),
        (block(config=["none.yaml"]), "none.yaml: no such file; .*; paths are as for fit"),
        (block(config="config.yaml"), "config: 'config.yaml': expected a list"),
        (block(axes={"seed_everything": []}), "axis seed_everything: no values"),
        (block(axes={"seed_everything": 3}), "axis seed_everything: 3: expected a list"),
        (block(axes={"a.x,a.y": [[1, 2], [3]]}), r"axis a.x,a.y: \[3\]: expected a list of 2 values"),
        (block(set={"a.x": 1}, axes={"a.x": [2]}), "keys: 'a.x' comes twice"),
        (block(set={"run.id": "x"}), "run.id: the grid itself names its runs"),
        (block(axes={"seed_everything": [1, 1]}), "have the same id, a-seed_1"),
        (block(axes={"a.x": ["b c", "b_c"]}), "have the same id, a-b_c"),
        ({"experiment": "a/b", "blocks": block()["blocks"]}, "'a/b' is no folder name"),
        ({"experiment": "e", "blocks": block()["blocks"] * 2}, "blocks: 'a' comes twice"),
        (
            {"experiment": "e", "blocks": [*block()["blocks"], *block(name="b")["blocks"]]},
            "two cells are the same run, b: 'a' {} and 'b' {}",
        ),
        (output(kind="pie"), "kind 'pie': expected one of table, bars, curve"),
        (output(kind="curve"), "curve needs the axis x"),
        (output(kind="curve", x="a.x"), "no block has the axis x: a.x"),
        (output(per="machine"), "per and over come together"),
        (output(values="eer"), "values: 'eer': expected a list"),
        (block() | {"report": {"colors": {"b": "red"}}}, "report.colors: no block is named 'b'"),
        ("[1, 2", "line 1, column 6: no YAML"),
        (block(name=2020), "name: 2020: expected text"),
        (block() | {"experiment": 2020}, "experiment: 2020: expected text"),
        (block(config=[1]), r"block 1 \(a\): 1: expected text"),
        (block(set={1: 2}), "1: expected text"),
        (block(axes={1: [2]}), "1: expected text"),
        (block(axes={"a.x": [date(2020, 1, 1)]}), "axis a.x: 2020-01-01: .*not JSON serializable; put it in"),
        ("{experiment: e, experiment: f}", "line 1: key experiment comes twice"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_1(content, message, capsys):
    path = write(content)
    if isinstance(content, str):
        Path(path).write_text(content)
    assert grid.main([path, "--list"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        expand(read_grid(path))


def runner(**settings):
    return local.LocalRunner(command=stub, **settings)


def test_runs_what_is_missing_and_a_failure_stops_nothing(capsys):
    path = seeds(1, 13, 14, 15, 2)
    add_result(Path("runs/e/a-seed_2"))
    add_result(Path("runs/e/a-seed_1"), split="validation")  # not the end of a run
    outcome = runner(jobs=2).run(expand(read_grid(path)))
    assert outcome.done == ["a-seed_1"]
    assert outcome.skipped == ["a-seed_2"]
    assert outcome.failed["a-seed_13"] == "error: unlucky"
    assert outcome.failed["a-seed_14"] == "killed by SIGKILL; the log ends: prints 14"
    assert outcome.failed["a-seed_15"] == "ended without a test result; the log ends: prints 15"
    assert not outcome.interrupted
    assert "[5/5]" in capsys.readouterr().out
    log = Path("runs/e/a-seed_1/log.txt").read_text()
    assert "lightning_modules.fit --config=config.yaml" in log
    assert log.endswith("prints 1\n")
    again = runner().run(expand(read_grid(path)))
    assert again.skipped == ["a-seed_1", "a-seed_2"]
    assert len(again.failed) == 3
    pids = [
        line.split()[0]
        for path in Path("runs/e").glob("*/starts.txt")
        for line in path.read_text().splitlines()
    ]
    assert len(pids) == len(set(pids)) == 7  # a process a start


@pytest.mark.parametrize("since", ["before", "just now"])
def test_a_run_that_another_process_runs_is_skipped(since, monkeypatch, capsys):
    if since == "just now":  # it took the run after this one had looked
        monkeypatch.setattr(local, "_is_locked", lambda path: False)
    cells = expand(read_grid(seeds(99)))
    code = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(); time.sleep(60)"
    Path("runs/e/a-seed_99").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-uc", code, "runs/e/a-seed_99/log.txt"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        outcome = runner().run(cells)
        other.kill()
    assert outcome.skipped == ["a-seed_99"]
    assert "another process runs it" in capsys.readouterr().out


def test_jobs_take_turns_on_the_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert [local.gpu_of(slot) for slot in range(3)] == ["2", "5", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local.gpu_of(0) is None


def test_index_runs_one_cell_of_the_whole_list(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(grid, "fit", started.append)
    path = seeds(1, 2, 3)
    add_result(Path("runs/e/a-seed_1"))
    assert grid.main([path, "--index", "2", "--", "--data.root=x"]) == 0
    assert [each[-2] for each in started] == ["--run.id=a-seed_3"]
    assert "--data.root=x" in started[0]
    assert grid.main([path, "--index", "0"]) == 0
    assert len(started) == 1
    assert grid.main([path, "--index", "3"]) == 1
    assert "--index 3: expected 0 to 2" in capsys.readouterr().err


def test_job_array_names_the_missing_cells(capsys):
    path = seeds(1, 2, 3, 4, 5)
    for seed in (1, 4):
        add_result(Path(f"runs/e/a-seed_{seed}"))
    assert grid.main([path, "--sbatch", "--jobs", "8", "--", "--data.root=/a b"]) == 0
    command = capsys.readouterr().out
    assert command.startswith("sbatch --job-name=e --array=1-2,4%8 ")
    assert command.endswith(f"slurm/grid.sbatch {path} --root runs -- '--data.root=/a b'\n")
    for seed in (2, 3, 5):
        add_result(Path(f"runs/e/a-seed_{seed}"))
    assert grid.main([path, "--sbatch"]) == 1
    assert "all 5 runs are finished" in capsys.readouterr().err


def test_submit_runs_sbatch(monkeypatch, tmp_path):
    fake = tmp_path / "bin/sbatch"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@" > submitted\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    assert grid.main([seeds(1, 2), "--submit"]) == 0
    assert "--array=0-1 --output=runs/e/" in Path("submitted").read_text()
    assert Path("runs/e").is_dir()  # SLURM does not make the folder of its output


@pytest.mark.parametrize("wrong", [["--jobs", "0"], ["--", "--run.id=x"], ["--list", "--sbatch"]])
def test_wrong_use_is_exit_code_2(wrong):
    with pytest.raises(SystemExit) as stop:
        grid.main([seeds(1), *wrong])
    assert stop.value.code == 2


def test_looking_needs_neither_torch_nor_lightning():
    code = (
        "import sys; from lightning_modules import grid, report;"
        "assert not {'torch', 'lightning', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_shipped_grids_expand(path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    content = yaml.safe_load(path.read_text())
    configs = {config for block in content["blocks"] for config in block["config"]}
    if absent := [config for config in configs if not Path(config).is_file()]:
        pytest.skip(f"not there yet: {', '.join(absent)}")
    for config in configs:
        assert isinstance(yaml.safe_load(Path(config).read_text()), dict)
    cells = expand(read_grid(path))
    assert f"# {len(cells)} runs" in path.read_text()
    assert all(len(f"{cell.run.experiment}-{cell.run.id}") <= 128 for cell in cells)  # W&B's limit


def test_grids_of_one_experiment_share_only_equal_runs(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    seen = {}
    for path in GRIDS:
        content = yaml.safe_load(path.read_text())
        if not all(Path(config).is_file() for block in content["blocks"] for config in block["config"]):
            continue
        for cell in expand(read_grid(path)):
            arguments = cell.arguments()
            assert seen.setdefault(cell.run.folder, arguments) == arguments


TINY = {
    "model.network.num_frames": 63,
    "data.train_crop_s": 0.5,
    "data.eval_crop_s": 0.5,
    "data.batch_size": 8,
    "data.num_workers": 0,
    "trainer.accelerator": "cpu",
    "trainer.limit_val_batches": 1,
    "checkpoints.every_n_train_steps": 1,
    "tracking.wandb": "disabled",
}


def test_killed_half_way_it_stops_its_runs_and_the_next_start_continues_them(tmp_path, demo_corpus):
    axes = {"trainer.max_epochs": [1, 2], "seed_everything": [1]}
    tiny = {"name": "LCNN", "config": ["configs/ssd_lcnn.yaml"], "set": TINY, "axes": axes}
    path = write({"experiment": "tiny", "blocks": [tiny]}, str(tmp_path / "tiny.yaml"))
    command = [sys.executable, "-m", "lightning_modules.grid", path, "--root", str(tmp_path / "runs")]
    command += ["--", f"--data.root={demo_corpus}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    folder = tmp_path / "runs/tiny/LCNN-max_epochs_2-seed_1"
    while not (folder / "checkpoints/last.ckpt").is_file():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    process.terminate()
    shown = process.communicate(timeout=100)[0]
    assert process.returncode == 130, shown
    assert "stopped LCNN-max_epochs_2-seed_1" in shown
    assert not (folder / "results.csv").exists()

    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert "1 done, 1 skipped, 0 failed" in ended.stdout
    assert "started LCNN-max_epochs_2-seed_1: started" in ended.stdout
    assert "continues at step" in (folder / "log.txt").read_text()
