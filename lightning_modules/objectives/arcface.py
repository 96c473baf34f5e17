"""ArcFace: embeddings of a class gather around its centre, with an angular margin to all others."""

import math

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn


class ArcFace(nn.Module):
    """Additive angular margin loss on learnt class centres.

    Sources: Deng et al., "ArcFace: Additive angular margin loss for deep face recognition" (CVPR 2019, eq. 3),
    and, for several centres a class, Deng et al., "Sub-center ArcFace" (ECCV 2020, eq. 3). Where the margin would
    push an angle beyond π, the authors' code lowers the cosine linearly instead, and so does this.

    Args:
        num_classes: Classes, as machine ids.
        embedding_dim: Of the network.
        margin: m, radians added to the angle between an embedding and the centre of its class.
        scale: s, factor of all cosines before the softmax.
        sub_centers: K, centres of each class; the nearest counts.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        *,
        margin: float = 0.5,
        scale: float = 30.0,
        sub_centers: int = 1,
    ) -> None:
        super().__init__()
        if min(num_classes, embedding_dim, sub_centers) < 1:
            raise ValueError(
                f"num_classes={num_classes}, embedding_dim={embedding_dim}, sub_centers={sub_centers}: "
                "expected at least 1 of each"
            )
        if not 0 <= margin < math.pi / 2 or scale <= 0:
            raise ValueError(f"margin={margin}, scale={scale}: expected 0 <= margin < π/2 and scale > 0")
        self.num_classes = num_classes
        self.margin = margin
        self.scale = scale
        self.sub_centers = sub_centers
        self.centers = nn.Parameter(torch.empty(num_classes * sub_centers, embedding_dim))
        nn.init.xavier_uniform_(self.centers)

    def forward(self, embedding: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, averaged over the batch.

        Args:
            embedding: (batch, dim), of any length.
            target: int64 (batch,), class indices.

        Returns:
            Scalar of at least float32.

        Raises:
            ValueError: For a target that is no class; looked at only on the CPU, elsewhere the device's own check
                remains.
        """
        if target.device.type == "cpu" and len(wrong := target[(target < 0) | (target >= self.num_classes)]):
            raise ValueError(
                f"target {wrong[0]} is not in 0 to {self.num_classes - 1}: set num_classes to your data's"
            )
        cosine = self._cosine(embedding)
        of_target = cosine.gather(1, target[:, None])
        logits = cosine.scatter(1, target[:, None], self._with_margin(of_target))
        return F.cross_entropy(self.scale * logits, target)

    def logits(self, embedding: Tensor) -> Tensor:
        """Scaled cosines (batch, classes) without margin, of embeddings (batch, dim)."""
        return self.scale * self._cosine(embedding)

    def _cosine(self, embedding: Tensor) -> Tensor:
        """Cosines (batch, classes) to the nearest centre of each class, in at least float32."""
        dtype = torch.promote_types(embedding.dtype, torch.float32)
        with torch.autocast(embedding.device.type, enabled=False):
            cosine = F.linear(F.normalize(embedding.to(dtype)), F.normalize(self.centers.to(dtype)))
        return reduce(cosine, "b (c k) -> b c", "max", k=self.sub_centers)

    def _with_margin(self, cosine: Tensor) -> Tensor:
        """cos(θ + m) of cos θ."""
        # The derivative of the sine is infinite at a cosine of 1, where rounding may even exceed 1.
        sine = ((1 - cosine) * (1 + cosine)).clamp(min=torch.finfo(cosine.dtype).eps).sqrt()
        m = self.margin
        shifted = cosine * math.cos(m) - sine * math.sin(m)
        return torch.where(cosine > -math.cos(m), shifted, cosine - m * math.sin(m))
