"""What comes in: data sets on disk become batches of waveforms."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.asvspoof import ASVspoof
    from datamodules.audio_folder import AudioFolder
    from datamodules.base import ClipDataModule
    from datamodules.clips import Batch, Clip
    from datamodules.dcase import DCASE
    from datamodules.epic_kitchens import EPICKitchens
    from datamodules.kinetics_sounds import KineticsSounds
    from datamodules.noisy_mixtures import NoisyMixtures
    from datamodules.noisy_pairs import NoisyPairs
    from datamodules.simulated_room import SimulatedRoom
    from datamodules.vggsound import VGGSound

_HOMES = {
    "ASVspoof": "asvspoof",
    "AudioFolder": "audio_folder",
    "Batch": "clips",
    "Clip": "clips",
    "ClipDataModule": "base",
    "DCASE": "dcase",
    "EPICKitchens": "epic_kitchens",
    "KineticsSounds": "kinetics_sounds",
    "NoisyMixtures": "noisy_mixtures",
    "NoisyPairs": "noisy_pairs",
    "SimulatedRoom": "simulated_room",
    "VGGSound": "vggsound",
}
__all__ = [
    "DCASE",
    "ASVspoof",
    "AudioFolder",
    "Batch",
    "Clip",
    "ClipDataModule",
    "EPICKitchens",
    "KineticsSounds",
    "NoisyMixtures",
    "NoisyPairs",
    "SimulatedRoom",
    "VGGSound",
]


def __getattr__(name: str) -> object:
    """Imports a class on first use: the loaders' worker processes need none of Lightning."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
