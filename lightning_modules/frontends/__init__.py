"""From waveforms to features or waveforms, batched, on the training device."""

from lightning_modules.frontends.ast_fbank import ASTFbank
from lightning_modules.frontends.band_pass_mask import BandPassMask
from lightning_modules.frontends.beats_fbank import BEATsFbank
from lightning_modules.frontends.dasheng_mel import DashengMel
from lightning_modules.frontends.dereverberation import BlindDereverberation
from lightning_modules.frontends.descriptors import Descriptors
from lightning_modules.frontends.fbank import Fbank
from lightning_modules.frontends.lfcc import LFCC
from lightning_modules.frontends.log_mel import LogMel
from lightning_modules.frontends.mel_decibel import MelDecibel
from lightning_modules.frontends.nmf import NMF, NMU, NNE
from lightning_modules.frontends.panotti_melgram import PanottiMelgram
from lightning_modules.frontends.passt_mel import PaSSTMel
from lightning_modules.frontends.precomputed import Precomputed
from lightning_modules.frontends.rawboost import RawBoost
from lightning_modules.frontends.room_dereverberation import RoomDereverberation
from lightning_modules.frontends.slowfast_log_mel import SlowFastLogMel
from lightning_modules.frontends.spec_augment import SpecAugment
from lightning_modules.frontends.spectral_subtraction import SpectralSubtraction
from lightning_modules.frontends.standardize import Standardize
from lightning_modules.frontends.vggsound_spectrogram import VGGSoundSpectrogram
from lightning_modules.frontends.wpe import WPE

__all__ = [
    "LFCC",
    "NMF",
    "NMU",
    "NNE",
    "WPE",
    "ASTFbank",
    "BEATsFbank",
    "BandPassMask",
    "BlindDereverberation",
    "DashengMel",
    "Descriptors",
    "Fbank",
    "LogMel",
    "MelDecibel",
    "PaSSTMel",
    "PanottiMelgram",
    "Precomputed",
    "RawBoost",
    "RoomDereverberation",
    "SlowFastLogMel",
    "SpecAugment",
    "SpectralSubtraction",
    "Standardize",
    "VGGSoundSpectrogram",
]

Packed = Precomputed  # what older configurations call it
