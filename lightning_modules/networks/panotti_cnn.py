"""PanottiCNN: the small convolutional network of Panotti, on decibel mel spectrograms.

Source: github.com/drscotthawley/panotti, ``panotti/models.py`` (Hawley, MIT); Hawley, "Trainable tools" (2018).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import convert_conv2d_weight_memory_format

from lightning_modules.networks.convolution import Convolution
from lightning_modules.networks.elu import ELU
from lightning_modules.networks.output import Output
from lightning_modules.networks.wavegan import initialise

_FILTERS = 32
_EMBEDDING = 128
_POOLED = 2**4  # four layers, each halving both axes


class PanottiCNN(nn.Module):
    """Four layers of 3 x 3 convolutions, each halving bands and frames, and two dense layers.

    The dense layers see every place of the map, so that the size of the spectrogram is fixed. 78,053 parameters for
    5 classes of 96 x 44, 422,117 for 96 x 259.

    Args:
        num_classes: Number of logits.
        num_mels: Bands of the spectrogram.
        num_frames: Its frames.
        channels: Spectrograms a clip, one for each channel of the audio.
        dropout: Of the maps of the second to fourth layer.
        embedding_dropout: Of the embedding.
    """

    def __init__(
        self,
        num_classes: int = 5,
        *,
        num_mels: int = 96,
        num_frames: int = 44,
        channels: int = 1,
        dropout: float = 0.5,
        embedding_dropout: float = 0.6,
    ) -> None:
        super().__init__()
        if min(num_mels, num_frames) < _POOLED:
            raise ValueError(
                f"a spectrogram of {num_mels} x {num_frames} (num_mels x num_frames) vanishes in four halvings: give"
                f" at least {_POOLED} of both, e.g. longer clips"
            )
        self.num_classes = num_classes
        self.embedding_dim = _EMBEDDING
        self.input_size = (channels, num_mels, num_frames)
        self.first = nn.Sequential(
            Convolution(channels, _FILTERS, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.BatchNorm2d(_FILTERS, eps=1e-3, momentum=0.01),  # as Keras has them
        )
        self.layers = nn.Sequential()
        for _ in range(3):
            convolution = Convolution(_FILTERS, _FILTERS, 3, padding=1)
            self.layers.append(
                nn.Sequential(convolution, nn.MaxPool2d(2), ELU(inplace=True), nn.Dropout(dropout))
            )
        self.dense = nn.Linear(_FILTERS * (num_mels // _POOLED) * (num_frames // _POOLED), _EMBEDDING)
        self.dropout = nn.Dropout(embedding_dropout)
        self.classifier = nn.Linear(_EMBEDDING, num_classes)
        self.apply(initialise)
        convert_conv2d_weight_memory_format(
            self, torch.channels_last
        )  # pooling then takes 1/5 of the time on a CPU

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by an untrained one of other classes."""
        self.num_classes = num_classes
        self.classifier = nn.Linear(_EMBEDDING, num_classes).to(self.classifier.weight)
        initialise(self.classifier)

    def forward(self, features: Tensor) -> Output:
        """Classify clips.

        Args:
            features: (batch, channel, mel, frame) in decibels.

        Returns:
            Embedding (batch, 128) and logits (batch, num_classes).

        Raises:
            ValueError: For spectrograms of another size than the network was made for.
        """
        if features.shape[1:] != self.input_size:
            raise ValueError(
                f"spectrograms of {tuple(features.shape[1:])} (channel, mel, frame) where the network was made for"
                f" {self.input_size}: set channels, num_mels and num_frames of network and frontend alike"
            )
        maps = self.layers(self.first(features))
        embedding = F.elu(self.dense(maps.flatten(1)))
        return Output(embedding, self.classifier(self.dropout(embedding)))
