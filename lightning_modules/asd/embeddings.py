"""Detection by embeddings: a network learns to tell machine instances apart, and distances are the scores."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.clips import Batch
from lightning_modules.asd.backends import Backend
from lightning_modules.asd.window_detector import WindowDetector
from lightning_modules.frontends import MelDecibel
from lightning_modules.frontends.windows import place_windows, random_windows, take_windows
from lightning_modules.metrics.row_table import RowTable
from lightning_modules.networks.output import Output
from lightning_modules.package.scorers import WindowScorer
from lightning_modules.package.scorers.scorer import at_least_float32
from lightning_modules.run.fitted import Fitted


class EmbeddingDetector(WindowDetector):
    """Trains a network to classify machine instances and scores by its embeddings.

    A clip's embedding is the mean over its windows; whether it is scaled to length 1 says the backend.

    Args:
        network: (window, band, frame) -> `Output`; its logits are not used, so let it have none.
        objective: (embedding (batch, dim), machine instance (batch,)) -> loss, e.g. ``ArcFace``, with the number of
            instances `num_classes` and, where there is no backend, ``logits(embedding)`` (batch, instance).
        backend: Distance to the embeddings of the instance's normal training clips; null scores by the negative
            logit of the clip's own class, which needs no training clips, of embeddings of length 1.
        window: Frames of the training crop and of the embedded windows.
        hop: Frames from window to window in scoring.
        windows_per_pass: Windows that are embedded at a time.
        **settings: Of `WindowDetector`.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: nn.Module,
        backend: Backend | None = None,
        *,
        window: int = 256,
        hop: int = 32,
        windows_per_pass: int = 64,
        **settings: Any,
    ) -> None:
        super().__init__(network, window=window, hop=hop, windows_per_pass=windows_per_pass, **settings)
        if backend is not None and backend.is_transductive:
            raise ValueError(
                f"model.backend: {type(backend).__name__} scores all clips of a test set together, and a detector clip"
                " by clip: take DomainNormalized, or python -m lightning_modules.probe --backends"
            )
        self.objective: Any = objective
        self.backend = backend
        self._backend_is_fitted = backend is None

    def setup(self, stage: str) -> None:
        """Makes sure that the objective has a class for every machine instance.

        Raises:
            ValueError: It has fewer.
        """
        super().setup(stage)
        if len(self.instances) > self.objective.num_classes:
            raise ValueError(
                f"the data holds {len(self.instances)} machine instances, the objective tells"
                f" {self.objective.num_classes} apart: set model.objective.num_classes={len(self.instances)}"
            )

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Refuses clips shorter than a window and of unknown machine instances."""
        self.check_instances(batch)
        return super().on_before_batch_transfer(batch, dataloader_idx)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the objective's loss of one random window a clip."""
        features, num_frames = self.features(batch)
        embedding = self.network(random_windows(features, num_frames, self.window)).embedding
        loss = self.objective(embedding, self.instance_index(batch))
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def scorer(self) -> "EmbeddingScorer":
        """Returns front end, network and the distance of embeddings from normal ones."""
        return EmbeddingScorer(
            self.network, self.frontend, objective=self.objective, backend=self.backend, **self.windows
        )

    def on_validation_start(self) -> None:
        """Fits the backend to the embeddings as they are now."""
        self._fit_backend()

    def on_predict_start(self) -> None:
        """Fits the backend, unless it was restored."""
        if not self._backend_is_fitted:
            self._fit_backend()

    @torch.no_grad()
    def reference_scores(self) -> tuple[Tensor, Tensor]:
        """Scores every half of the normal training clips by the other half, then fits the backend to both.

        Scored by itself a clip would be its own nearest neighbour.
        """
        normal = self._reference_embeddings()
        instance = normal[1]
        fold = torch.arange(len(instance), device=instance.device) % 2
        scores = torch.empty(len(instance), dtype=torch.float64, device=instance.device)
        for held_out in (0, 1):
            mine = fold == held_out
            self._fit(*(column[~mine] for column in normal))
            scores[mine] = self.scorer().distance(normal[0][mine], instance[mine])
        self._fit(*normal)
        return instance, scores

    @torch.no_grad()
    def _fit_backend(self) -> None:
        if self.backend is not None:
            self._fit(*self._reference_embeddings())

    def _fit(self, embeddings: Tensor, instance: Tensor, domain: Tensor) -> None:
        if self.backend is not None:
            self.backend.fit(embeddings, instance, domain)
            self._backend_is_fitted = True

    def _reference_embeddings(self) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, instance and domain (1 is target) of the normal training clips of all ranks."""
        table = RowTable().to(self.device)
        for batch in self.reference_batches():
            embedding = self.scorer().embed(batch.waveform, batch.length)
            instance = self.instance_index(batch)
            domain = torch.tensor(
                [name == "target" for name in batch.attributes["domain"]], device=self.device
            )
            table.update(torch.cat([embedding, instance[:, None], domain[:, None]], dim=1), batch.index)
        rows = table.gathered()[1]
        return rows[:, :-2], rows[:, -2].long(), rows[:, -1].long()

    @property
    def can_score(self) -> bool:
        """Whether the backend is fitted."""
        return self._backend_is_fitted

    def fitted(self) -> Fitted:
        """Thresholds, and what the backend knows of normal clips."""
        return replace(super().fitted(), tensors={} if self.backend is None else self.backend.state())

    def restore(self, fitted: Fitted) -> None:
        """Takes back what `fitted` gave."""
        super().restore(fitted)
        if self.backend is not None and fitted.tensors:
            self.backend.restore(fitted.tensors)
        self._backend_is_fitted = self.backend is None or bool(fitted.tensors)


class EmbeddingScorer(WindowScorer):
    """Distance of a clip's embedding, the mean over its windows, from normal ones.

    Args:
        network: (window, band, frame) -> `Output`.
        frontend: As in `WindowScorer`.
        objective: Whose negative logit of the clip's own instance is the distance, where there is no backend.
        backend: Distance to the embeddings of the instance's normal training clips.
        **settings: Of `WindowScorer`.
    """

    of_windows = "distance from normal embeddings"
    obstacle = "a score depends on a clip's machine instance"

    def __init__(
        self,
        network: nn.Module,
        frontend: MelDecibel,
        *,
        objective: nn.Module,
        backend: Backend | None,
        **settings: Any,
    ) -> None:
        super().__init__(network, frontend, **settings)
        self.backend = backend
        self.objective: Any = objective

    def forward(
        self, waveform: Tensor, length: Tensor | None = None, instance: Tensor | None = None
    ) -> Tensor:
        """Score clips of machine instances, as `WindowScorer` does; returns float64 (batch,)."""
        assert instance is not None
        return self.distance(self.embed(waveform, length), instance)

    def embed(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns (batch, dim) embeddings, of at least float32."""
        features = self.features(waveform, length)
        clip, first = place_windows(self.num_frames(features, length), self.window, self.hop)
        parts = zip(clip.split(self.windows_per_pass), first.split(self.windows_per_pass), strict=True)
        shared = self.shared(features, first)

        def output(clip: Tensor, first: Tensor) -> Output:
            if shared is not None:
                return shared.outputs(clip, first)
            return self.network(take_windows(features, clip, first, self.window))

        embeddings = torch.cat([at_least_float32(output(*part).embedding) for part in parts])
        sums = embeddings.new_zeros(len(features), embeddings.shape[1]).index_add_(0, clip, embeddings)
        return sums / clip.bincount(minlength=len(features))[:, None]

    def distance(self, embedding: Tensor, instance: Tensor) -> Tensor:
        """Scores embeddings (batch, dim) of machine instances (batch,); returns float64 (batch,)."""
        if self.backend is not None:
            return self.backend(embedding, instance).double()
        embedding = nn.functional.normalize(embedding, dim=1)
        return -self.objective.logits(embedding).gather(1, instance[:, None])[:, 0].double()
