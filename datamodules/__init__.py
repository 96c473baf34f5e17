"""What comes in: data sets on disk become batches of waveforms."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

import datamodules.former_names

if TYPE_CHECKING:
    from datamodules.asd.dcase import DCASE
    from datamodules.asd.room.simulated_room import SimulatedRoom
    from datamodules.base import ClipDataModule
    from datamodules.clips import Batch, Clip
    from datamodules.event.epic_kitchens import EPICKitchens
    from datamodules.event.kinetics_sounds import KineticsSounds
    from datamodules.event.vggsound import VGGSound
    from datamodules.folders.audio_folder import AudioFolder
    from datamodules.folders.clip_list import ClipList
    from datamodules.folders.spectrogram_folder import SpectrogramFolder
    from datamodules.production.library.one_shots import OneShots
    from datamodules.production.mapping.mapping_examples import MappingExamples
    from datamodules.production.pairs.drum_hits import DrumHits
    from datamodules.production.pairs.effect_pairs import Capture, EffectPairs
    from datamodules.production.pairs.noisy_mixtures import NoisyMixtures
    from datamodules.production.pairs.noisy_pairs import NoisyPairs
    from datamodules.ssd.asvspoof import ASVspoof
    from datamodules.ssd.speech_corpora import SpeechCorpora

_HOMES = {
    "ASVspoof": "ssd.asvspoof",
    "AudioFolder": "folders.audio_folder",
    "Batch": "clips",
    "Capture": "production.pairs.effect_pairs",
    "Clip": "clips",
    "ClipDataModule": "base",
    "ClipList": "folders.clip_list",
    "DCASE": "asd.dcase",
    "DrumHits": "production.pairs.drum_hits",
    "EffectPairs": "production.pairs.effect_pairs",
    "EPICKitchens": "event.epic_kitchens",
    "KineticsSounds": "event.kinetics_sounds",
    "MappingExamples": "production.mapping.mapping_examples",
    "NoisyMixtures": "production.pairs.noisy_mixtures",
    "NoisyPairs": "production.pairs.noisy_pairs",
    "OneShots": "production.library.one_shots",
    "SimulatedRoom": "asd.room.simulated_room",
    "SpectrogramFolder": "folders.spectrogram_folder",
    "SpeechCorpora": "ssd.speech_corpora",
    "VGGSound": "event.vggsound",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Imports a class on first use: the loaders' worker processes need none of Lightning."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(f"{__name__}.{_HOMES[name]}:{name}")
