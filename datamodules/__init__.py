"""What comes in: data sets on disk become batches of waveforms."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.asvspoof import ASVspoof
    from datamodules.audio_folder import AudioFolder
    from datamodules.base import ClipDataModule
    from datamodules.clips import Batch, Clip
    from datamodules.dcase import DCASE
    from datamodules.drum_hits import DrumHits
    from datamodules.effect_pairs import Capture, EffectPairs
    from datamodules.epic_kitchens import EPICKitchens
    from datamodules.kinetics_sounds import KineticsSounds
    from datamodules.mapping_examples import MappingExamples
    from datamodules.noisy_mixtures import NoisyMixtures
    from datamodules.noisy_pairs import NoisyPairs
    from datamodules.one_shots import OneShots
    from datamodules.simulated_room import SimulatedRoom
    from datamodules.spectrogram_folder import SpectrogramFolder
    from datamodules.vggsound import VGGSound

_HOMES = {
    "ASVspoof": "asvspoof",
    "AudioFolder": "audio_folder",
    "Batch": "clips",
    "Capture": "effect_pairs",
    "Clip": "clips",
    "ClipDataModule": "base",
    "DCASE": "dcase",
    "DrumHits": "drum_hits",
    "EffectPairs": "effect_pairs",
    "EPICKitchens": "epic_kitchens",
    "KineticsSounds": "kinetics_sounds",
    "MappingExamples": "mapping_examples",
    "NoisyMixtures": "noisy_mixtures",
    "NoisyPairs": "noisy_pairs",
    "OneShots": "one_shots",
    "SimulatedRoom": "simulated_room",
    "SpectrogramFolder": "spectrogram_folder",
    "VGGSound": "vggsound",
}
__all__ = [
    "DCASE",
    "ASVspoof",
    "AudioFolder",
    "Batch",
    "Capture",
    "Clip",
    "ClipDataModule",
    "DrumHits",
    "EPICKitchens",
    "EffectPairs",
    "KineticsSounds",
    "MappingExamples",
    "NoisyMixtures",
    "NoisyPairs",
    "OneShots",
    "SimulatedRoom",
    "SpectrogramFolder",
    "VGGSound",
]


def __getattr__(name: str) -> object:
    """Imports a class on first use: the loaders' worker processes need none of Lightning."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
