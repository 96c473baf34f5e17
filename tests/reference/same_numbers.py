"""Trains every method a few steps with the code of two checkouts and compares all numbers to the last bit.

    python tests/reference/same_numbers.py BEFORE AFTER                    # all, minutes on one core
    python tests/reference/same_numbers.py BEFORE AFTER --only asd_arcface ssd_lcnn_inf_ini

For changes that must change no number. BEFORE and AFTER are folders of checkouts, as ``git worktree add`` makes them.
Each trains with its own code and configurations, in the environment of this Python, on the demo corpora that BEFORE
writes. Compared are metrics.csv but for speeds and the state of the machine, the score files, and the weights and the
states of optimizers in last.ckpt. Exits with 1 where something differs or fails.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

_COMMON = """
    --run.root=runs --run.experiment=same --run.id=numbers --tracking.wandb=disabled
    --trainer.accelerator=cpu --trainer.deterministic=true --trainer.max_epochs=2 --trainer.log_every_n_steps=1
    --trainer.limit_train_batches=2 --trainer.limit_val_batches=2 --trainer.limit_test_batches=4
    --trainer.enable_progress_bar=false --trainer.enable_model_summary=false
"""
_CLIPS = "--data.num_workers=0 --data.batch_size=4 --data.eval_batch_size=4"
_SPEECH = f"{_CLIPS} --data.train_crop_s=0.5 --data.eval_crop_s=0.5"
_EVENTS = f"""{_CLIPS} --data.train_crop_s=0.64 --data.eval_crop_s=0.64 --data.num_views=2
    --data.validation=0.25"""
_PAIRS = "--data.num_workers=0 --data.batch_size=4 --data.epoch_items=8"
_SETTINGS = {  # configuration -> what makes it small
    "ssd_aasist_inf_ini": f"""{_SPEECH} --model.network.channels=[4,4,4,4,4,4] --model.network.graph_dims=[8,4]
        --model.inter_instance.bank_size=16""",
    "ssd_lcnn_inf_ini": f"{_SPEECH} --model.network.num_frames=63 --model.inter_instance.bank_size=16",
    "ssd_lcnn_lstm_sum": f"{_SPEECH} --data.eval_crop_s=null",
    "asd_proxy_outlier": f"{_CLIPS} --model.network.channels=4 --model.window=24",
    "asd_arcface": f"""{_CLIPS} --model.network.channels=4 --model.window=24
        --model.objective.embedding_dim=16 --data.validation_fraction=0.25""",
    "asd_autoencoder": f"{_CLIPS} --data.validation_fraction=0.25",
    "asd_maf": f"{_CLIPS} --model.network.hidden_dim=32 --model.windows_per_step=64",
    "asd_frontend_ensemble": f"""{_CLIPS} --data.machines=[fan] --data.num_microphones=2
        --data.reverberation_time_s=0.2 --data.segment_s=1 --data.num_train=2 --data.num_normal=1
        --data.num_abnormal=1 --data.snr_db=[-5] --model.front_ends.dereverberation.taps=2""",
    "event_datar": f"""{_EVENTS} --model.network.dim=32 --model.network.group_dim=32
        --model.network.depths=[1,1,2,2] --model.network.input_size=[64,64]
        --model.frontend.num_mel_bins=64 --model.frontend.num_frames=64""",
    "event_ast": f"""{_EVENTS} --model.network.embed_dim=24 --model.network.depth=2 --model.network.num_heads=3
        --model.network.input_size=[64,64] --model.frontend.num_mel_bins=64 --model.frontend.num_frames=64""",
    "event_resnet": _EVENTS,
    "event_audio_slowfast": f"{_EVENTS} --model.network.input_size=[128,64]",
    "production_tagger": _CLIPS,
    "production_effect": f"{_PAIRS} --data.chunk=4096 --model.network.channels=8",
    "production_effect_signaltrain": f"{_PAIRS} --model.network.size=256",
    "production_denoiser": f"{_PAIRS} --data.eval_items=14 --model.network.hidden_dim=16",
    "production_denoiser_wavenet": f"""{_PAIRS} --data.eval_items=4 --data.window=1024
        --model.network.channels=4 --model.network.stacks=1 --model.network.layers=4
        --model.network.head_channels=[8,4]""",
    "production_align": f"{_PAIRS} --data.num_windows=8 --data.num_bars=2 --model.network.num_channels=8",
    "production_mapper": "",
    "production_wavegan": f"""{_CLIPS} --data.epoch_items=24 --model.network.dim=2
        --model.critic_steps=2 --trainer.check_val_every_n_epoch=1""",
}
_CORPORA = """
from datamodules.demo import asvspoof, events, machines, mapping, one_shots
asvspoof.make_demo(asvspoof.DEMO_ROOT)
events.write_vggsound(events.VGGSOUND_ROOT, num_train=4, num_test=2, seconds=0.8)
machines.make_demo(machines.DEMO_ROOT, seconds=1.0, num_train=4, num_test=2)
mapping.write_mapping(mapping.ROOT, num_test=20)
one_shots.write_one_shots(one_shots.ONE_SHOTS_ROOT, num_kits=4, num_hits=2)
"""
_EFFECT = """
    -m datamodules.effect_corpus compressor data/demo/compressor --num_train=3 --num_test=2 --seconds=1
"""


class Outcome(NamedTuple):
    """What a run left.

    Attributes:
        metrics: Rows of metrics.csv.
        scores: Content of each score file.
        states: Weights and states of optimizers.
        error: The last line of a run that failed.
    """

    metrics: Sequence[Mapping[str, str]] = ()
    scores: Mapping[str, bytes] = {}
    states: Mapping[str, Any] = {}
    error: str = ""


def main() -> None:
    """Compares the two checkouts that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="folder of the checkout that is right")
    parser.add_argument("after", type=Path, help="folder of the checkout to compare with it")
    parser.add_argument(
        "--only", nargs="+", choices=_SETTINGS, default=_SETTINGS, metavar="CONFIG", help="these alone"
    )
    arguments = parser.parse_args()
    checkouts = arguments.before.resolve(), arguments.after.resolve()
    for checkout in checkouts:
        if not (checkout / "lightning_modules" / "fit.py").is_file():
            parser.error(f"{checkout}: no checkout of this project")
    begin, all_equal = time.monotonic(), True
    with tempfile.TemporaryDirectory() as folder:
        homes = Path(folder, "before"), Path(folder, "after")
        write_corpora(checkouts[0], homes[0])
        shutil.copytree(homes[0], homes[1])
        for name in arguments.only:
            before, after = (train(*pair, name) for pair in zip(checkouts, homes, strict=True))
            found = list(differences(before, after))
            all_equal &= not found
            tensors = sum(isinstance(value, torch.Tensor) for _, value in leaves(before.states))
            verdict = f"{len(found)} DIFFERENCES: {'; '.join(found[:4])}" if found else "equal"
            print(f"{name}: {len(before.metrics)} rows of metrics, {tensors} tensors: {verdict}", flush=True)
    print(f"{'all equal' if all_equal else 'NOT EQUAL'}, {time.monotonic() - begin:.0f} s")
    raise SystemExit(not all_equal)


def write_corpora(checkout: Path, home: Path) -> None:
    """Writes corpora to where configurations look for them by default."""
    home.mkdir()
    for arguments in (["-c", _CORPORA], _EFFECT.split()):
        done = run(checkout, home, arguments)
        if done.returncode:
            raise SystemExit(f"{checkout}: wrote no demo corpora\n{done.stderr}")


def run(checkout: Path, home: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder with a checkout's code, without the real data and weights that the environment names."""
    kept = {key: value for key, value in os.environ.items() if not key.endswith(("_ROOT", "_WEIGHTS"))}
    environment = kept | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False
    )


def train(checkout: Path, home: Path, name: str) -> Outcome:
    """Trains and tests a configuration."""
    shutil.rmtree(home / "runs", ignore_errors=True)
    config = f"--config={checkout}/configs/{name}.yaml"
    settings = [*_COMMON.split(), *_SETTINGS[name].split()]
    done = run(checkout, home, ["-m", "lightning_modules.fit", config, *settings])
    if done.returncode:
        return Outcome(error=(done.stderr.strip().splitlines() or ["without a word"])[-1])
    folder = home / "runs/same/numbers"
    files = sorted(path for path in (folder / "scores").rglob("*") if path.is_file())
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True, map_location="cpu")
    outcome = Outcome(
        metrics=list(metrics(folder / "metrics.csv")),
        scores={str(path.relative_to(folder)): path.read_bytes() for path in files},
        states={key: checkpoint[key] for key in ("state_dict", "optimizer_states")},
    )
    return outcome if all(outcome[:3]) else Outcome(error="left no metrics, scores or weights")


def metrics(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a metrics.csv without what no seed decides."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {key: row[key] for key in row if not key.startswith(("throughput/", "system/"))}


def differences(before: Outcome, after: Outcome) -> Iterator[str]:
    """Names the places where two outcomes differ; a failure equals nothing."""
    errors = {"before": before.error, "after": after.error}
    if any(errors.values()):
        yield from (f"{name} failed: {error}" for name, error in errors.items() if error)
        return
    ours, theirs = (dict(leaves(outcome._asdict())) for outcome in (before, after))
    for place in [*ours, *(place for place in theirs if place not in ours)]:
        if place not in ours or place not in theirs:
            yield f"{place} only {'before' if place in ours else 'after'}"
        elif not equal(ours[place], theirs[place]):
            value = ours[place]
            yield f"{place} {value} != {theirs[place]}" if isinstance(value, str) else place


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """What nested collections hold, and where."""
    if not isinstance(value, Mapping | list | tuple):
        yield place, value
        return
    for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from leaves(part, f"{place}/{key}".removeprefix("/"))


def equal(before: Any, after: Any) -> bool:
    """Equal to the last bit, so that NaN equals NaN."""
    if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        same_kind = before.dtype == after.dtype and before.shape == after.shape
        return same_kind and before.numpy().tobytes() == after.numpy().tobytes()
    return repr(before) == repr(after)


if __name__ == "__main__":
    main()
