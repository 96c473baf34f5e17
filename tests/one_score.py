"""Forty clips of mixed lengths, and what scores them: small models of all configurations that give clips scores."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.clips.table import ClipTable
from datamodules.hearing import Listening
from lightning_modules.commands.prediction import score_files
from lightning_modules.config import cli
from lightning_modules.package.classes import describe
from lightning_modules.package.folder import Package, read_package, write_package
from lightning_modules.package.predicted import predicted

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = sorted(
    path.stem
    for path in CONFIGS.glob("*.yaml")
    if path.stem.startswith(("ssd", "asd", "event", "production_tagger"))
)
NUM_CLIPS = 40
SEED = 0

_AASIST = ["--model.network.channels=[8,8,8,8,8,8]", "--data.eval_crop_s=0.8"]
_LCNN = ["--model.network.num_frames=101", "--data.eval_crop_s=0.8", "--data.batch_size=8"]
_ENCODER = [
    f"--config={CONFIGS}/overlays/ssd_small_encoder.yaml",
    "--data.root=${oc.env:ASVSPOOF2019_LA_ROOT}",
    "--data.eval_crop_s=0.8",
]
_WINDOWS = ["--model.network.channels=8", "--model.window=18", "--data.batch_size=4"]
_PATCH_ENCODER = [
    *("--model.network.encoder.depth=1", "--model.network.encoder.width=48"),
    *("--model.network.encoder.num_heads=4", "--model.network.back_end.dim=48", "--data.eval_crop_s=0.8"),
]
_SLOWFAST = ["--data.eval_crop_s=0.4", "--data.num_views=2"]
SMALL = {
    "ssd_aasist": _AASIST,
    "ssd_aasist_inf_ini": _AASIST,
    "ssd_lcnn": _LCNN,
    "ssd_lcnn_inf_ini": _LCNN,
    "ssd_lcnn_lstm_sum": ["--data.batch_size=8"],
    "ssd_wavlm_mhfa": _ENCODER,
    "ssd_xlsr_aasist": _ENCODER,
    "ssd_xlsr_aasist_inf_ini": _ENCODER,
    "ssd_xlsr_nes2net": _ENCODER,
    "ssd_xlsr_sls": [*_ENCODER, "--model.network.back_end.num_frames=39"],
    "asd_arcface": [*_WINDOWS, "--model.objective.embedding_dim=32"],
    "asd_autoencoder": ["--data.batch_size=4"],
    "asd_dcase2025": [
        *_WINDOWS,
        "--data.channel=near",
        "--model.objective.embedding_dim=32",
    ],  # corpus of 2026
    "asd_dcase2026": [*_WINDOWS, "--model.objective.embedding_dim=32"],
    "asd_frontend_ensemble": [
        *(
            "--data.num_microphones=2",
            "--data.reverberation_time_s=0.2",
            "--data.segment_s=1.0",
            "--data.batch_size=2",
        ),
        *("--data.num_train=2", "--data.num_normal=1", "--data.num_abnormal=1", "--data.snr_db=[-5]"),
        *("--model.front_ends.dereverberation.taps=2", "--model.front_ends.nmf.num_iterations=20"),
    ],
    "asd_maf": ["--model.network.hidden_dim=32", "--data.batch_size=8"],
    "asd_proxy_outlier": _WINDOWS,
    "event_ast": [
        *("--model.network.embed_dim=48", "--model.network.depth=1", "--model.network.num_heads=3"),
        *("--model.network.input_size=[128,80]", "--model.frontend.num_frames=80", "--data.eval_crop_s=0.8"),
    ],
    "event_datar": [
        *("--model.network.dim=32", "--model.network.group_dim=32", "--model.network.depths=[1,1,2,2]"),
        *("--model.network.input_size=[128,80]", "--model.frontend.num_frames=80", "--data.eval_crop_s=0.8"),
    ],
    "event_beats": _PATCH_ENCODER,
    "event_eat": [*_PATCH_ENCODER, "--model.frontend.num_frames=80"],
    "event_passt": _PATCH_ENCODER,
    "event_audio_slowfast": _SLOWFAST,
    "event_audio_slowfast_epic_kitchens": _SLOWFAST,
    "event_resnet": ["--data.eval_crop_s=0.8"],
    "production_tagger": ["--data.batch_size=4"],
}
"""What makes a configuration small; one that is not here is scored as it is."""
_LENGTHS = ("--data.", "--model.window", "--model.front_ends.dereverberation.taps")
FULL = {
    name: [each for each in settings if each.startswith(_LENGTHS) and "crop" not in each]
    for name, settings in SMALL.items()
}
FULL |= {  # whose width is full
    "ssd_wavlm_mhfa": ["--model.network.encoder.sizes.depth=2", "--model.network.back_end.num_layers=3"],
    "ssd_xlsr_aasist": ["--model.network.encoder.sizes.depth=2"],
    "ssd_xlsr_aasist_inf_ini": ["--model.network.encoder.sizes.depth=2"],
    "ssd_xlsr_nes2net": ["--model.network.encoder.sizes.depth=2"],
    "ssd_xlsr_sls": [
        *("--model.network.encoder.sizes.depth=2", "--model.network.back_end.num_layers=2"),
        *("--model.network.back_end.num_frames=39", "--data.eval_crop_s=0.8"),
    ],
}
"""What lets a configuration of full size take these clips."""


def build(name: str, folder: Path, *settings: str) -> cli.Platform:
    """A configuration with random weights, which knows its classes and has learnt what precedes training."""
    own = []
    if name == "asd_frontend_ensemble":
        own = [f"--data.root={folder / 'room'}", f"--data.machine_root={os.environ['DCASE2020_ROOT']}"]
    quiet = ["--tracking.wandb=disabled", "--data.num_workers=0", "--data.in_memory=false", *own]
    run = [f"--run.root={folder}", f"--run.id={name}"]
    platform = cli.build("fit", "", [f"--config={CONFIGS / name}.yaml", *quiet, *run, *settings])
    torch.manual_seed(SEED)
    for weight in platform.model.parameters():
        if not weight.any():  # a score of 0 for any input
            torch.nn.init.normal_(weight, std=0.1)
    trainer().fit(platform.model, platform.datamodule)
    platform.model.eval()
    return platform


def trainer(**settings: Any) -> Trainer:
    """A trainer that steps nothing and writes nothing."""
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    common: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "max_epochs": 0, "num_sanity_val_steps": 0}
    return Trainer(**dict.fromkeys(quiet, False), **common | settings, use_distributed_sampler=False)


def mixed_clips(data: ClipDataModule, folder: Path) -> list[Clip]:
    """Rows as of the data set's test, of sounds of 23 lengths from 0.55 s to 0.99 s."""
    folder.mkdir(exist_ok=True)
    data.setup("test")
    rows = data.rows["test"]
    mono = data.mono or rows[0].attributes.get("snr") is None
    clips = []
    for number in range(NUM_CLIPS):
        random = np.random.default_rng([SEED, number])
        seconds = 0.55 + 0.02 * (number * 7 % 23)
        time = np.arange(round(seconds * data.sample_rate)) / data.sample_rate
        tone = 0.2 * np.sin(2 * np.pi * (100 + 40 * number) * time) * np.hanning(len(time))
        noise = 0.05 * random.normal(size=(len(time), 1 if mono else 2))
        path = folder / f"{number}.wav"
        soundfile.write(path, tone[:, None] + noise, data.sample_rate)
        clips.append(
            replace(rows[number % len(rows)], key=str(number), path=str(path), start_s=0.0, stop_s=None)
        )
    return clips


def scores_of_test(
    platform: cli.Platform, clips: Sequence[Clip], order: Sequence[int], *, batch_size: int, **settings: Any
) -> Tensor:
    """Scores of the clips by the loop of a test, float64 (clip, ...), whose list has them in another order."""
    platform.datamodule.rows["test"] = ClipTable([clips[row] for row in order])
    platform.datamodule.eval_batch_size = batch_size
    trainer(**settings).test(platform.model, platform.datamodule, verbose=False)
    return gathered(platform, order)


def scores_of_prediction(
    platform: cli.Platform, clips: Sequence[Clip], order: Sequence[int], *, batch_size: int, **settings: Any
) -> Tensor:
    """As `scores_of_test`, by the loop of a prediction."""
    platform.datamodule.predict = ["the rows"]
    platform.datamodule.rows["predict"] = ClipTable([clips[row] for row in order])
    platform.datamodule.eval_batch_size = batch_size
    results = score_files(platform.model, platform.datamodule, trainer(**settings))
    assert [result.key for result in results] == [clips[row].key for row in order]
    found = torch.stack([result.score for result in results if result.score is not None])
    return found[torch.tensor(order).argsort()]


def gathered(platform: cli.Platform, order: Sequence[int]) -> Tensor:
    """Scores of the last loop in the order of the clips, of which it had another."""
    index, scores = platform.model.gathered
    assert index.tolist() == list(range(len(order)))
    return scores[torch.tensor(order).argsort()]


def packaged(platform: cli.Platform, clips: Sequence[Clip], folder: Path) -> Tensor:
    """Scores of the clips by a package of the model."""
    scorer = platform.model.scorer().eval()
    package = Package(scorer=scorer, listening=Listening.of(platform.datamodule))
    folder.mkdir()
    write_package(folder, package, describe(scorer, platform.resolved()["model"]["init_args"]))
    results = predicted(read_package(folder), clips, torch.device("cpu"))
    return torch.stack([result.score for result in results if result.score is not None])


def orders() -> Iterator[tuple[int, list[int]]]:
    """Batch sizes, and orders of the clips."""
    shuffled = np.random.default_rng(SEED).permutation(NUM_CLIPS).tolist()
    yield 1, list(range(NUM_CLIPS))
    yield 7, shuffled
    yield NUM_CLIPS, shuffled[::-1]


def main(given: Mapping[str, Any]) -> None:
    """Scores by several ranks; the first writes the scores."""
    folder = Path(given["folder"])
    platform = build(given["name"], folder, *given["settings"])
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    clips = mixed_clips(platform.datamodule, folder / f"clips{rank}")
    ranks = {"devices": given["ranks"], "strategy": "ddp"}
    scores = scores_of_test(
        platform, clips, range(NUM_CLIPS), batch_size=7, precision=given["precision"], **ranks
    )
    if rank == 0:
        torch.save(scores, folder / "scores.pt")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
