"""AASIST on the hidden states of a pretrained encoder.

Source: Tak et al., "Automatic speaker verification spoofing and deepfake detection using wav2vec 2.0 and data
augmentation" (Odyssey 2022). Modules bear the published names.
Shape letters: b clip, c channel, f frequency node, t time.
"""

import torch.nn.functional as F
from torch import nn

from lightning_modules.networks.aasist import residual_blocks
from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.back_ends.layer_sum import LayerSum
from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.networks.output import Output
from lightning_modules.networks.spectro_temporal_graphs import SpectroTemporalGraphs


class AASISTBackEnd(SpectroTemporalGraphs, BackEnd):
    """Takes projected hidden states as a spectrogram, whose time steps stay as many through the residual blocks.

    What fills the batch is heard, padding too.

    Args:
        num_classes: Number of logits; of two, logit 1 is bona fide, and a clip's published score.
        dim: Width of a hidden state.
        num_layers: Number of hidden states of a time step, which are summed by learnt weights.
        bands: Bands that a state is projected to, three for a spectral node.
        channels: Output channels of the six residual blocks.
        graph_dims: Features of a node in the two homogeneous graphs, and in the heterogeneous ones.
        pool_ratios: Share of nodes kept after the spectral, the temporal and the heterogeneous graphs.
        temperatures: Softmax temperatures of the spectral, temporal and heterogeneous attention.
    """

    classifier = "out_layer"

    def __init__(
        self,
        num_classes: int = 2,
        *,
        dim: int = 1024,
        num_layers: int = 1,
        bands: int = 128,
        channels: tuple[int, int, int, int, int, int] = (32, 32, 64, 64, 64, 64),
        graph_dims: tuple[int, int] = (64, 32),
        pool_ratios: tuple[float, float, float] = (0.5, 0.5, 0.5),
        temperatures: tuple[float, float, float] = (2.0, 2.0, 100.0),
    ) -> None:
        super().__init__(dim=dim, num_layers=num_layers)
        width = channels[-1]
        self.layer_sum = LayerSum(num_layers)
        self.LL = nn.Linear(dim, bands)
        self.first_bn = nn.BatchNorm2d(1)
        self.first_bn1 = nn.BatchNorm2d(width)
        self.encoder = residual_blocks(channels, pooling=1)
        self.attention = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1),
            nn.SELU(),
            nn.BatchNorm2d(2 * width),
            nn.Conv2d(2 * width, width, 1),
        )
        self.build_graphs(
            bands // 3, width, dims=graph_dims, pool_ratios=pool_ratios, temperatures=temperatures
        )
        self.out_layer = nn.Linear(self.embedding_dim, num_classes)

    def forward(self, hidden: Hidden) -> Output:
        """Classify clips.

        Returns:
            Embedding before dropout, and logits.

        Raises:
            ValueError: Of fewer than three time steps.
        """
        if (steps := hidden.states.shape[2]) < 3:
            raise ValueError(
                f"{steps} time steps of the encoder: AASISTBackEnd needs at least 3: set data.train_crop_s and"
                " data.eval_crop_s to more"
            )
        states = self.LL(self.layer_sum(hidden.states)).transpose(1, 2)
        maps = F.selu(self.first_bn(F.max_pool2d(states.unsqueeze(1), 3)))
        maps = F.selu(self.first_bn1(self.encoder(maps)))  # (b, c, f, t)
        scores = self.attention(maps)
        spectral = (maps * scores.softmax(dim=3)).sum(dim=3).transpose(1, 2)
        temporal = (maps * scores.softmax(dim=2)).sum(dim=2).transpose(1, 2)
        embedding = self.join(spectral, temporal)
        return Output(embedding, self.logits(self.drop(embedding)))
