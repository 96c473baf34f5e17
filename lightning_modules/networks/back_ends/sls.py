"""SLS: sensitive layer selection on the hidden states of all blocks.

Source: Zhang, Wen and Hu, "Audio deepfake detection with self-supervised XLS-R and SLS classifier" (ACM MM 2024).
Modules bear the published names. Shape letters: b clip, l layer, t time, d dimension.
"""

import torch
import torch.nn.functional as F
from torch import nn

from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.networks.output import Output


class SLS(BackEnd):
    """Sums blocks by gates, which hear the mean over time, and classifies the sum as an image of one size.

    What fills the batch is heard, padding too.

    Args:
        num_classes: Number of logits, which are log probabilities; of two, number 1 is bona fide's and the published
            score.
        dim: Width of a hidden state.
        num_layers: Number of hidden states of a time step, those of all blocks: ``layers: blocks`` of the encoder.
        num_frames: Time steps of a clip, of which no other number is taken; 201 are 64,600 samples.
        hidden_dim: Width of the embedding.
    """

    classifier = "fc3"

    def __init__(
        self,
        num_classes: int = 2,
        *,
        dim: int = 1024,
        num_layers: int = 24,
        num_frames: int = 201,
        hidden_dim: int = 1024,
    ) -> None:
        super().__init__(dim=dim, num_layers=num_layers)
        self.num_frames, self.embedding_dim = num_frames, hidden_dim
        self.first_bn = nn.BatchNorm2d(1)
        self.fc0 = nn.Linear(dim, 1)
        self.fc1 = nn.Linear((num_frames // 3) * (dim // 3), hidden_dim)
        self.fc3 = nn.Linear(hidden_dim, num_classes)

    def forward(self, hidden: Hidden) -> Output:
        """Classify clips.

        Raises:
            ValueError: Of another number of time steps.
        """
        if (steps := hidden.states.shape[2]) != self.num_frames:
            raise ValueError(
                f"{steps} time steps of the encoder: this SLS takes {self.num_frames} (201 are 64,600 samples): set"
                f" data.train_crop_s and data.eval_crop_s to as long clips, or back_end.init_args.num_frames={steps}"
            )
        gates = torch.sigmoid(self.fc0(hidden.states.mean(dim=2)))  # (b, l, 1)
        fused = torch.einsum("bltd,bl->btd", hidden.states, gates.squeeze(2).to(hidden.states.dtype))
        image = F.max_pool2d(F.selu(self.first_bn(fused.unsqueeze(1))), 3)
        embedding = F.selu(self.fc1(image.flatten(1)))
        return Output(embedding, F.selu(self.logits(embedding)).log_softmax(dim=1))
