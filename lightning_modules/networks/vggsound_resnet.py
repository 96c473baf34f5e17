"""VGGSoundResNet: the published baseline of VGGSound, a residual network on spectrograms.

Source: Chen, Xie, Vedaldi and Zisserman, "VGGSound: A large-scale audio-visual dataset" (ICASSP 2020); the networks
with average pooling, not those with NetVLAD.
"""

import logging
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import keep_own_head, load_strictly, read_weights

logger = logging.getLogger(__name__)

_BLOCKS = {18: (BasicBlock, [2, 2, 2, 2]), 34: (BasicBlock, [3, 4, 6, 3]), 50: (Bottleneck, [3, 4, 6, 3])}


class VGGSoundResNet(ResNet):
    """torchvision's ResNet with a first convolution of one channel.

    Args:
        num_classes: Number of logits.
        depth: Number of layers with weights.
    """

    def __init__(self, num_classes: int = 309, *, depth: Literal[18, 34, 50] = 18) -> None:
        if depth not in _BLOCKS:
            raise ValueError(f"depth={depth} must be one of {', '.join(map(str, _BLOCKS))}")
        block, layers = _BLOCKS[depth]
        super().__init__(block, layers, num_classes)
        self.num_classes = num_classes
        self.embedding_dim = self.fc.in_features
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, mean=1, std=0.02)
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by an untrained one of other classes."""
        self.num_classes = num_classes
        self.fc = nn.Linear(self.embedding_dim, num_classes).to(self.fc.weight)

    def load_official(self, path: str | Path) -> Self:
        """Load a checkpoint of the published code, or of torchvision and timm for images.

        A head for other classes is left out, and so is one for images, whose kernels of three colours are added up.

        Raises:
            ValueError: When the file holds another model, as those with NetVLAD.
        """
        state = {key.removeprefix("audnet."): value for key, value in read_weights(path).items()}
        if (kernel := state.get("conv1.weight")) is not None and kernel.shape[1] == 3:
            state = self._of_images(state, path)
        load_strictly(self, keep_own_head(self, state, "fc.", path), path)
        return self

    def _of_images(self, state: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
        """A network for images as one for spectrograms, with the own head."""
        heads = sorted(key for key in state if key.startswith("fc."))
        logger.info(
            "VGGSoundResNet: conv1.weight is the sum of its three colours, and the head stays as initialized; left in"
            " %s, that for images: %s",
            path,
            ", ".join(heads) or "none there",
        )
        # Counts of batches are missing in older files, and a fixed momentum does not read them.
        own = {key: value for key, value in self.state_dict().items() if key.endswith(".num_batches_tracked")}
        head = {f"fc.{key}": value for key, value in self.fc.state_dict().items()}
        theirs = {key: value for key, value in state.items() if key not in heads}
        return own | theirs | head | {"conv1.weight": state["conv1.weight"].sum(dim=1, keepdim=True)}

    def forward(self, features: Tensor) -> Output:
        """Classify clips.

        Args:
            features: (batch, frequency, frame), of any size.

        Returns:
            Embedding (batch, 512), of depth 50 (batch, 2048), and logits (batch, num_classes), both of the
            type of the weights.
        """
        maps = self.maxpool(self.relu(self.bn1(self.conv1(features.unsqueeze(1)))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        with torch.autocast(features.device.type, enabled=False):  # half precision would tie scores
            embedding = maps.to(self.fc.weight.dtype).mean(dim=(2, 3))
            return Output(embedding, self.fc(embedding))
