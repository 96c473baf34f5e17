"""Pure torch networks; none knows which loss or data set trains it."""

from lightning_modules.networks.aasist import AASIST
from lightning_modules.networks.ast import AST
from lightning_modules.networks.audio_slowfast import AudioSlowFast
from lightning_modules.networks.autoencoder import Autoencoder
from lightning_modules.networks.datar import DATAR
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.input_adaptor import InputAdaptor, NoiseAdaptor
from lightning_modules.networks.lcnn import LCNN
from lightning_modules.networks.lstm_denoiser import LSTMDenoiser
from lightning_modules.networks.maf import MAF
from lightning_modules.networks.mapping_models import NearestExamples, Perceptron
from lightning_modules.networks.output import Output
from lightning_modules.networks.panotti_cnn import PanottiCNN
from lightning_modules.networks.rfr_resnet import RFRResNet
from lightning_modules.networks.shift_predictor import ShiftPredictor
from lightning_modules.networks.signal_train import SignalTrain
from lightning_modules.networks.specgan import SpecGAN
from lightning_modules.networks.tcn import TCN
from lightning_modules.networks.vggsound_resnet import VGGSoundResNet
from lightning_modules.networks.wavegan import WaveGAN
from lightning_modules.networks.wavenet import WaveNet
from lightning_modules.networks.wavenet_denoiser import WaveNetDenoiser

__all__ = [
    "AASIST",
    "AST",
    "DATAR",
    "LCNN",
    "MAF",
    "TCN",
    "AudioSlowFast",
    "Autoencoder",
    "EncoderClassifier",
    "InputAdaptor",
    "LSTMDenoiser",
    "NearestExamples",
    "NoiseAdaptor",
    "Output",
    "PanottiCNN",
    "Perceptron",
    "RFRResNet",
    "ShiftPredictor",
    "SignalTrain",
    "SpecGAN",
    "VGGSoundResNet",
    "WaveGAN",
    "WaveNet",
    "WaveNetDenoiser",
]
