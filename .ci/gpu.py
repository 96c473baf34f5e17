"""What a GPU does with the platform, in six minutes at most: the same scores as the CPU's, and what a step costs.

    python .ci/gpu.py
    python .ci/gpu.py --markdown gpu.md

Scores of every method on both devices must agree. Times and memory are measured by `lightning_modules.benchmark` in
bfloat16: plain, compiled and in CUDA graphs, and beside the published AASIST where AASIST_REFERENCE names a clone.
Where there is no GPU it says so, and nothing has failed.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

REPOSITORY = Path(__file__).parents[1]
BUDGET_S = 360.0
PARITY = 1e-4
"""Of the largest score: convolutions add in another order, and algorithms of cuDNN differ from those of the CPU."""

SCORED = {
    "ssd_aasist": [],
    "ssd_lcnn": ["--data.batch_size=8"],
    "asd_proxy_outlier": [],
    "event_datar": [],
    "production_tagger": ["--data=datamodules.AudioFolder"],
}
STEPS = ("ssd_aasist", "ssd_aasist_inf_ini", "asd_proxy_outlier", "event_datar", "production_effect")
FASTER = {"ssd_aasist": ("compile", "cuda_graphs"), "production_effect": ("compile", "cuda_graphs")}


class PublishedAASIST(nn.Module):
    """The published network at its published size, for waveforms (batch, 1, time)."""

    def __init__(self) -> None:
        super().__init__()
        clone = Path(os.environ["AASIST_REFERENCE"])
        spec = importlib.util.spec_from_file_location("published_aasist", clone / "models" / "AASIST.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        settings = json.loads((clone / "config" / "AASIST.conf").read_text(encoding="utf-8"))["model_config"]
        self.network = module.Model(settings)

    def forward(self, waveform: Tensor) -> Any:
        """Embeddings and logits."""
        return self.network(waveform[:, 0])


def differences(device: torch.device) -> dict[str, float]:
    """Of the scores of random clips, device against CPU, over the largest; networks with random weights."""
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]  # tests/ has folders of the packages' names
    from one_score import build

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    found = {}
    for name, settings in SCORED.items():
        with tempfile.TemporaryDirectory() as folder:
            platform = build(name, Path(folder), "--trainer.accelerator=cpu", *settings)
        data, scorer = platform.datamodule, platform.model.scorer().eval()
        clips = torch.randn(4, 1, round((data.eval_crop_s or 10.0) * data.sample_rate)) / 10
        lengths = torch.full((len(clips),), clips.shape[-1])
        with torch.inference_mode():
            expected = scorer(clips, lengths).double()
            scores = scorer.to(device)(clips.to(device), lengths.to(device)).double().cpu()
        found[name] = float((scores - expected).abs().max() / expected.abs().max())
    return found


def measured(name: str, *arguments: str, overlays: Sequence[str] = ()) -> dict[str, Any]:
    """Figures of the benchmark of a configuration on one GPU in bfloat16."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        configs = [name, *(f"overlays/{overlay}" for overlay in ("gpu_bf16", *overlays))]
        command = [sys.executable, "-m", "lightning_modules.benchmark", f"--json={path}"]
        command += [f"--config=configs/{config}.yaml" for config in configs]
        subprocess.run(  # noqa: S603
            [*command, *arguments],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return json.loads(path.read_text(encoding="utf-8"))


def steps(end: float) -> list[list[str]]:
    """A row a configuration, until time is up."""
    rows = []
    for name in STEPS:
        for overlays in ((), *((overlay,) for overlay in FASTER.get(name, ()))):
            label = " + ".join((name, *overlays))
            if time.monotonic() > end:
                rows.append([label, "no time left", "", ""])
                continue
            figures = measured(name, "--step", "--budget_s=5", overlays=overlays)
            rows.append(
                [
                    label,
                    " × ".join(map(str, figures["batch"])),
                    f"{1e3 * figures['step_s']:.1f}",
                    f"{figures['step_gib']:.2f}",
                ]
            )
    return rows


def main() -> int:
    """Runs all; the exit code is 1 where scores differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--markdown", type=Path, help="Also write the tables to this file.")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: nothing was tested")
        return 0
    end = time.monotonic() + BUDGET_S
    found = differences(torch.device("cuda"))
    lines = [f"**{torch.cuda.get_device_name()}, torch {torch.__version__}**", ""]
    lines += ["| configuration | scores differ from the CPU's by, of the largest |", "| --- | --- |"]
    lines += [f"| {name} | {value:.1e} |" for name, value in found.items()]
    beside = ["--reference=gpu:PublishedAASIST"] if os.environ.get("AASIST_REFERENCE") else []
    waiting = measured("ssd_aasist", "--budget_s=10", *beside)
    lines += [
        "",
        f"ssd_aasist waits for data {waiting['data_wait_share']:.1%} of the time; the platform's step takes",
    ]
    lines[-1] += f" {waiting['platform_over_bare']:.3f} of a bare loop's"
    lines[-1] += (
        f", the network's {waiting['ours_over_reference']:.3f} of the published one's." if beside else "."
    )
    lines += ["", "| bf16 step | batch | ms | GiB |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in steps(end - 40)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
    apart = [f"{name} {value:.1e}" for name, value in found.items() if not value <= PARITY]
    if apart:
        print(f"scores differ by more than {PARITY:.0e} of the largest: {', '.join(apart)}", file=sys.stderr)
    return int(bool(apart))


if __name__ == "__main__":
    sys.exit(main())
