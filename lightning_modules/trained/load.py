"""The door: one function for a checkpoint, a package or published weights."""

from collections.abc import Sequence
from pathlib import Path

import torch

from lightning_modules.hub.sources import local
from lightning_modules.networks.weights import PACKAGED, read_file
from lightning_modules.package.files import package_score
from lightning_modules.package.folder import JSON, read_package
from lightning_modules.trained.model import TrainedModel
from lightning_modules.trained.recognition import ACCEPTED


def load_model(
    source: str | Path,
    *,
    config: str | Path | Sequence[str | Path] = (),
    device: str | torch.device | None = None,
    allow_truncated: bool = False,
) -> TrainedModel:
    """Loads a trained model, which scores sounds as ``python -m lightning_modules.test`` does.

    Args:
        source: A checkpoint of ``fit``, a folder that ``export`` wrote, or published weights, a file or a folder of
            Hugging Face, which are known by the names of their tensors and scored as the shipped configuration of their
            network does. Packages and published weights may be on the hub: ``hf://owner/name[/file][@revision]``.
        config: One YAML file or several, later ones on top, in place of the configuration that the checkpoint carries
            or that is shipped for the published network.
        device: Where to score; None is a GPU where there is one.
        allow_truncated: Score what there is of files that were cut off, instead of refusing them.

    Raises:
        ValueError: The source is none of these or damaged, gives clips no scores, or does not fit the configuration.

    Examples:
        >>> load_model("AASIST.pth").score("call.wav")  # doctest: +SKIP
        3.1870250701904297
    """
    path, place = local(source).expanduser(), _device(device)
    configs = [config] if isinstance(config, str | Path) else list(config)
    if path.is_dir() and ((path / JSON).is_file() or not (path / "config.json").is_file()):
        return _of_package(path, configs, place).hearing(allow_truncated=allow_truncated)
    try:
        content = read_file(path)
    except FileNotFoundError:
        file = f"a folder without {PACKAGED}" if path.is_dir() else "no such file"
        raise ValueError(f"{path}: {file}: {ACCEPTED}") from None
    except ValueError as error:
        raise ValueError(f"{error}: {ACCEPTED}") from None
    from lightning_modules.trained.method import model_of_file  # and Lightning, which packages do without

    return model_of_file(path, content, configs, place).hearing(allow_truncated=allow_truncated)


def _of_package(path: Path, configs: Sequence[str | Path], device: torch.device) -> TrainedModel:
    if not (path / JSON).is_file():
        raise ValueError(f"{path}: a folder without {JSON}: {ACCEPTED}")
    if configs:
        raise ValueError(f"{path}: a package is scored as it says itself: leave config out")
    package = read_package(path)
    return TrainedModel(
        package.scorer,
        package.listening,
        package_score(package, device),
        device=device,
        thresholds=package.thresholds,
    )


def _device(device: str | torch.device | None) -> torch.device:
    try:
        return torch.empty(0, device=device or ("cuda" if torch.cuda.is_available() else "cpu")).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device}: {str(error).splitlines()[0]}") from None
