"""Writes a trained model as a folder that scores sound without the training code's data set, Lightning or W&B.

Examples:
    python -m lightning_modules.export --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt
    python -m lightning_modules.export --ckpt_path last.ckpt --into detector --torch_export --onnx
    python -m lightning_modules.export --ckpt_path last.ckpt --calibration calibration.json   # calibrate --json's
    python -m lightning_modules.export --ckpt_path last.ckpt --push owner/name   # new ones are private, for a start
    python -m lightning_modules.predict --package detector recordings/

The folder holds model.safetensors, package.json, README.md and config.yaml, and the graphs that were asked for, from
waveform to score. All are compared with the checkpoint; nothing is written where one differs by more than 1e-4 of the
range of its scores, or of 1 where that is less. Other arguments are settings of the run, as in predict.
"""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor

from datamodules.clips import Batch
from datamodules.config.arguments import CommandParser
from datamodules.files import new_folder, write_text_atomically
from datamodules.hearing import Listening
from lightning_modules.callbacks.fitted_state import origin_of, run_of, training_clips
from lightning_modules.commands.workflow import load_chosen_weights
from lightning_modules.config import cli
from lightning_modules.hub.sources import fetched
from lightning_modules.hub.upload import push
from lightning_modules.metrics.functional import Calibration
from lightning_modules.package.card import model_card
from lightning_modules.package.classes import describe
from lightning_modules.package.folder import Package, read_package, write_package
from lightning_modules.package.graphs import (
    NAMES,
    difference,
    example_clips,
    save_onnx,
    save_torch_export,
    trace,
)
from lightning_modules.package.scorers import Scorer, SpoofingScorer
from lightning_modules.run.fitted import Fitted, read_fitted, settings_of
from lightning_modules.run.results import made_by

_NUM_EXAMPLES = 6


def main() -> None:
    """Runs the command."""
    parser = _parser()
    arguments, settings = parser.parse_known_args()
    if arguments.ckpt_path:
        settings.append(f"--ckpt_path={arguments.ckpt_path}")
    platform = cli.build("export", __doc__ or "", settings, also_known=parser.known)
    ckpt_path = load_chosen_weights(platform, None)
    into = arguments.into or platform.run_folder.folder / "package"
    if into.exists():
        raise ValueError(f"{into}: exists: name another folder with --into, or delete it")
    scorer, name = platform.model.scorer(), type(platform.model).__name__
    if scorer is None:
        raise ValueError(f"{name} cannot be exported: it has no scorer(), a module from waveform to scores")
    if scorer.obstacle:
        raise ValueError(f"{name} cannot be exported: {scorer.obstacle}")
    calibration = _calibration(arguments.calibration, platform.model) if arguments.calibration else None
    wanted = {"torch_export": arguments.torch_export, "onnx": arguments.onnx}
    graphs = [name for name in NAMES if wanted[name]]
    about = export(
        platform,
        into,
        ckpt_path=ckpt_path,
        graphs=graphs,
        calibration=calibration,
        any_length=arguments.any_length,
        num_channels=arguments.channels,
    )
    for name, share in about["parity"].items():
        print(f"{name}: differs from the checkpoint by at most {share:.1e} of the range of its scores")
    print(f"{into}: written; python -m lightning_modules.predict --package {into} FILES")
    if arguments.push:
        print(f"{push(into, arguments.push)}: pushed; load_model({f'hf://{arguments.push}'!r}) takes it")


def export(
    platform: cli.Platform,
    into: Path,
    *,
    ckpt_path: str | Path | None,
    graphs: list[str],
    calibration: Calibration | None = None,
    any_length: bool = False,
    num_channels: int = 1,
) -> Mapping[str, Any]:
    """Writes the package of a built platform whose weights are loaded; returns its `about`.

    Args:
        platform: Model and data module.
        into: Folder to write, all or nothing.
        ckpt_path: Where the weights come from.
        graphs: Keys of `graphs.NAMES` to write.
        calibration: From its scores to log likelihood ratios.
        any_length: Let graphs take clips of any length, where the package scores clips of one.
        num_channels: Of the clips that are compared.

    Raises:
        ValueError: A form of the model cannot be written, or does not score as the checkpoint does.
    """
    model, data = platform.model.eval(), platform.datamodule
    scorer: Scorer = plain(model.scorer().eval())
    listening = Listening.of(data)
    any_length = any_length or listening.crop_s is None
    about = {
        "provenance": _provenance(platform, ckpt_path),
        "data": _data(platform),
        "parity": {},
        "graphs": f"from `waveform`, float32 (batch, {num_channels}, {'time' if any_length else 'samples of the crop'})"
        f" at {listening.sample_rate} Hz in [-1, 1], to `score`; what fills a shorter clip is heard as sound",
    }
    package = Package(
        scorer=scorer,
        listening=listening,
        thresholds=_fitted(platform, ckpt_path).thresholds,
        calibration=calibration,
        about=about,
    )
    spec = describe(scorer, platform.resolved()["model"]["init_args"])
    examples = _examples(scorer, listening, num_channels, any_length=any_length)
    expected = [_expected(model, waveform) for waveform in examples]
    with new_folder(into) as folder:
        write_package(folder, package, spec)
        packaged = read_package(folder).scorer
        forms = {"package": packaged}
        if graphs:
            program = trace(packaged, examples[0][:2], any_length=any_length)
            writers = {"torch_export": save_torch_export, "onnx": save_onnx}
            forms |= {name: writers[name](program, folder / NAMES[name]) for name in graphs}
        about["parity"] = {name: difference(form, examples, expected, name) for name, form in forms.items()}
        write_package(folder, package, spec)
        write_text_atomically(folder / "config.yaml", platform.dump())
        card = model_card(
            package,
            title=f"{platform.run_folder.experiment}/{platform.run_folder.id}",
            method=type(model),
            results=platform.run_folder.folder / "results.csv",
            files=sorted(path.name for path in folder.iterdir()),
        )
        write_text_atomically(folder / "README.md", card)
    return about


def plain(scorer: Scorer) -> Scorer:
    """Returns a scorer whose adapted encoders are plain ones; itself where there are none."""
    from lightning_modules.networks.encoders.encoder import Encoder  # and with it all networks

    if not any(isinstance(module, Encoder) and module.lora for module in scorer.modules()):
        return scorer
    scorer = deepcopy(scorer)
    for module in list(scorer.modules()):
        if isinstance(module, Encoder) and module.lora:
            module.merge()
    return scorer


def _fitted(platform: cli.Platform, ckpt_path: str | Path | None) -> Fitted:
    """What a test with these weights fitted, or what an older checkpoint holds; empty where neither is there."""
    model, data, folder = platform.model, platform.datamodule, platform.run_folder.folder
    if not model.fits_on_training_clips:
        return Fitted()
    clips = training_clips(data)
    folders = [folder, *([run_of(ckpt_path)] if ckpt_path else [])]
    origin = origin_of(model, settings_of(platform.resolved()), clips)
    found = read_fitted(folders, origin, lambda: clips) or model.fitted()
    if not found:
        rank_zero_warn(f"{ckpt_path}: not tested yet on its data: the package has no thresholds")
    return found


def _calibration(path: str, model: Any) -> Calibration:
    """Reads the calibration of one system's scores of bona fide speech."""
    calibration = Calibration.read(path)
    if not isinstance(model.scorer(), SpoofingScorer):
        raise ValueError(
            f"--calibration {path}: of scores of bona fide speech; {type(model).__name__} has none"
        )
    if len(calibration.scale) != 1:
        raise ValueError(
            f"--calibration {path}: fuses {len(calibration.scale)} systems, and a package is one: calibrate its"
            " scores alone"
        )
    return calibration


def _examples(scorer: Scorer, listening: Listening, num_channels: int, *, any_length: bool) -> list[Tensor]:
    """Batches of the length that is scored, and of a greater one where any is."""
    rate = listening.sample_rate
    shortest = scorer.min_samples + rate if listening.crop_s is None else round(listening.crop_s * rate)
    lengths = [shortest, shortest + rate // 3] if any_length else [shortest]
    return [example_clips(_NUM_EXAMPLES, num_channels, length, sample_rate=rate) for length in lengths]


@torch.inference_mode()
def _expected(model: Any, waveform: Tensor) -> Tensor:
    """What the Lightning module itself gives."""
    num_clips, _, num_samples = waveform.shape
    rows = torch.arange(num_clips)
    keys = [str(row) for row in range(num_clips)]
    return model.score(Batch(waveform, torch.full((num_clips,), num_samples), rows, rows, keys, {}))


def _provenance(platform: cli.Platform, ckpt_path: str | Path | None) -> dict[str, str]:
    """Run, checkpoint, code and versions."""
    run, seed = platform.run_folder, platform.config.seed_everything
    known = {name: str(value) for name, value in made_by(run, ckpt_path, seed).items()}
    if ckpt_path is not None:
        known["checkpoint_sha256"] = hashlib.sha256(Path(ckpt_path).read_bytes()).hexdigest()
    known |= {source: f"commit {commit}" for source, commit in fetched().items()}
    return known | {"torch": torch.__version__}


def _data(platform: cli.Platform) -> dict[str, Any]:
    """Data set and what the configuration says of it."""
    data = platform.resolved()["data"]
    kept = ("edition", "year", "machine", "id", "train_crop_s")
    settings = {name: data["init_args"][name] for name in kept if data["init_args"].get(name) is not None}
    return {"data set": data["class_path"], **settings}


def _parser() -> CommandParser:
    parser = CommandParser("lightning_modules.export", description=__doc__)
    add = parser.add_argument
    add("--ckpt_path", help="checkpoint to export, or --config with official weights")
    add("--into", type=Path, help="folder to write (default: package in the run's folder)")
    graph = "write model.pt2, a torch.export program"
    add("--torch_export", "--torch-export", action="store_true", help=graph)
    add("--onnx", action="store_true", help="write model.onnx")
    add("--any_length", action="store_true", help="let graphs take any length, where the network does")
    add("--calibration", help="file of calibrate --json: predict then gives log likelihood ratios too")
    add(
        "--push", metavar="OWNER/NAME", help="upload the folder to this repository of Hugging Face's hub, too"
    )
    add("--channels", type=int, default=1, help="of the clips that are compared")
    return parser


if __name__ == "__main__":
    cli.one_line_errors(main)
