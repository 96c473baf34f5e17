"""What configs/ says of itself: headers, and the table of what each configuration needs."""

import re
import runpy
import shutil
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
import yaml
from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
PARTS = ("Data", "Hardware", "Time", "Metric")
write = runpy.run_path(str(CONFIGS.parent / ".ci/configurations.py"))["write"]


def header(name, folder=CONFIGS):
    """The comment that a file begins with."""
    return re.match(r"(#.*\n)*", (folder / f"{name}.yaml").read_text())[0]  # pyright: ignore[reportOptionalSubscript]


def row(name, folder=CONFIGS):
    """The cells of a configuration in the table: name, parameters, batch, step, memory, published, ours."""
    page = (folder / "README.md").read_text()
    (found,) = re.findall(rf"^\| (\[{name}\]\({name}\.yaml\) \|.*) \|$", page, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


def build(part):
    """An object of a configuration, and the objects in its arguments."""
    arguments = part.get("init_args", {}).items()
    return resolve_name(part["class_path"])(
        **{k: build(v) if isinstance(v, dict) and "class_path" in v else v for k, v in arguments}
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_header_names_command_data_hardware_time_and_metric(name):
    text = header(name)
    assert f"python -m lightning_modules.fit --config configs/{name}.yaml" in text
    for part in PARTS:
        assert len(re.findall(rf"^# {part}: \S", text, re.MULTILINE)) == 1, part
    chosen = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()).get("checkpoints", {})
    monitor, mode = chosen.get("monitor", "val/eer"), chosen.get("mode", "min")
    kept = f"{'smallest' if mode == 'min' else 'largest'} {monitor}" if monitor else "the last,"
    assert f"Checkpoint: {kept}" in " ".join(text.replace("#", "").split())


@pytest.mark.parametrize("name", NAMES)
def test_the_table_agrees_with_headers_and_networks(name):
    _, parameters, _, step, memory, *_ = row(name)
    if name == "production_mapper":  # has parameters and steps only once it knows the data
        return
    assert f"# Time: {step} a step on two CPU cores, " in header(name)
    assert f"# Hardware: {memory} a step (computed)" in header(name)
    network = OmegaConf.select(OmegaConf.load(CONFIGS / f"{name}.yaml"), "model.init_args.network")
    if network is not None:
        with torch.device("meta"):
            network = build(OmegaConf.to_container(network, resolve=True))
        assert parameters == f"{sum(each.numel() for each in network.parameters()):,}"


def test_measured_figures_go_into_table_and_header(tmp_path):
    for name in ("README.md", "ssd_aasist.yaml"):
        shutil.copy(CONFIGS / name, tmp_path)
    figures = {"parameters": 1234, "batch": [2, 1, 99], "step_gib": 0.1234, "step_s": 12.34}
    write("ssd_aasist", figures, tmp_path)
    assert row("ssd_aasist", tmp_path)[1:5] == ["1,234", "2 × 1 × 99", "12 s", "0.12 GiB"]
    assert "# Hardware: 0.12 GiB a step (computed): a GPU" in header("ssd_aasist", tmp_path)
    assert "# Time: 12 s a step on two CPU cores, 15 days for 105,700 steps" in header("ssd_aasist", tmp_path)
