"""The wheel, in an environment of its own and an empty folder: it lacks nothing that commands need."""

import csv
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from import_graph import PACKAGES, REPOSITORY, files

SOURCES = ["pyproject.toml", "setup.py", "README.md", "LICENSE", "configs", *PACKAGES]
ONE_STEP = [
    "lightning_modules.fit",
    "--config=configs/ssd_aasist.yaml",
    "--config=configs/overlays/demo.yaml",
    "--model.network.channels=[8,8,8,8,8,8]",
    "--trainer.max_steps=1",
    "--trainer.limit_test_batches=1",
    "--data.num_workers=0",
    "--tracking.wandb=disabled",
]


class Environment(NamedTuple):
    python: Path

    def run(self, folder: Path, *arguments: object) -> str:
        """Runs Python in a folder, to its success; it sees nothing of this environment."""
        done = subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=folder,
            env=without_python_path() | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @classmethod
    def make(cls, folder: Path, *requirements: object) -> "Environment":
        """Makes one with what pip installs."""
        venv.create(folder)
        made = cls(folder / "bin" / "python")
        pip("--python", made.python, "install", *requirements, env=without_python_path())
        return made


def without_python_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def pip(*arguments: object, env: dict[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, arguments)], check=True, env=env)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:  # a build writes beside its sources
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "dist", folder)
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Environment:
    """The wheel, and what it depends on lent from here; of paths in a ``.pth`` no others are read."""
    folder = tmp_path_factory.mktemp("environment")
    made = Environment.make(folder, "--no-deps", wheel)
    next(folder.glob("lib/*/site-packages")).joinpath("lent.pth").write_text(sysconfig.get_path("purelib"))
    return made


@pytest.fixture
def repository_of_another(tmp_path) -> Path:
    """An empty folder, but for a repository that is not the project's."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message=theirs"]):
        subprocess.run([*git, *command], check=True)
    return tmp_path


def test_it_holds_all_modules_and_configurations_and_nothing_else(wheel):
    modules = [path.relative_to(REPOSITORY).as_posix() for path in files().values()]
    configs = [
        f"lightning_modules/{path.relative_to(REPOSITORY).as_posix()}"
        for path in (REPOSITORY / "configs").rglob("*.yaml")
    ]
    typed = [f"{package}/py.typed" for package in PACKAGES]
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {*modules, *configs, *typed}


def test_a_step_of_training_in_an_empty_folder(wheel, environment, repository_of_another):
    folder = repository_of_another
    home = environment.run(folder, "-c", "import lightning_modules; print(lightning_modules.__file__)")
    assert Path(home).is_relative_to(environment.python.parents[1])
    environment.run(folder, "-m", *ONE_STEP)
    assert sorted(path.name for path in folder.iterdir()) == [".git", "data", "runs"]
    with next(folder.glob("runs/demo/*/results.csv")).open(newline="") as file:
        row = next(csv.DictReader(file))
    assert row["split"] == "test"
    assert row["commit"] == wheel.name.split("-")[1]
    checked = environment.run(folder, "-m", "datamodules.check", "--config=configs/ssd_aasist.yaml")
    assert checked.endswith("ok\n")


def test_a_grid_and_its_configurations_are_found(environment, tmp_path):
    listed = environment.run(
        tmp_path, "-m", "lightning_modules.grid", "configs/grids/asd_figure3.yaml", "--list"
    )
    assert "0 finished" in listed


@pytest.mark.slow
def test_it_names_all_that_it_depends_on(wheel, tmp_path):
    """Downloads some gigabytes."""
    folder = tmp_path / "empty"
    folder.mkdir()
    constraints = REPOSITORY / "constraints.txt"
    environment = Environment.make(tmp_path / "environment", "--constraint", constraints, wheel)
    environment.run(folder, "-m", *ONE_STEP)
    modules = [name for name, path in files().items() if 'if __name__ == "__main__":' in path.read_text()]
    commands = {name.removesuffix(".__main__") for name in modules}
    for command in sorted(name for name in commands if name.count(".") == 1):
        assert "usage" in environment.run(folder, "-m", command, "--help")
