"""Training and scoring of a synthetic speech detector."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.metrics.functional import equal_error_rate
from lightning_modules.networks.output import Output
from lightning_modules.objectives import InterFrequency, InterInstance
from lightning_modules.optimization import EncoderRate
from lightning_modules.package.scorers import SpoofingScorer
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report
from lightning_modules.ssd.spoofing_report import spoofing_report


class SyntheticSpeechDetector(EvaluatedModule[ClipDataModule]):
    """Trains any network that returns `Output`, with or without the InF and InI objectives.

    The loss is eq. 6 of the InF + InI paper, of which every part is optional but the first::

        L = CE(x, y) + CE(x_masked, y) + λ1 L_InF + λ2 L_InI

    A clip's score is the bona fide logit: higher means more likely bona fide (class 1).

    Args:
        network: Maps waveforms, or the front end's features, to an `Output` with one or two logits.
        frontend: (batch, channel, time) -> features, on the training device; null feeds the waveform itself.
        objective: (logits of both classes (batch, 2), target (batch,)) -> loss; null is the cross entropy of eq. 6.
        inter_frequency: Band-pass masked copies and their consistency loss (section 3.1).
        inter_instance: Momentum encoder, memory bank and similarity loss (section 3.2).
        augment: Waveform augmentation of the training batches, e.g. ``RawBoost``.
        spec_augment: Feature augmentation of the training batches, e.g. ``SpecAugment``.
        class_weights: Cross-entropy weights of spoof and bona fide; null weighs both alike.
        weights: What the network begins with, see `EvaluatedModule`.
        compile_network: Run the network through torch.compile.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
        encoder_lr: How much more slowly a pretrained encoder learns, see `EvaluatedModule`.
    """

    training_only = ("inter_instance.", "inter_frequency.", "objective.")
    classes = ("spoof", "bonafide")

    def __init__(
        self,
        network: nn.Module,
        frontend: nn.Module | None = None,
        *,
        objective: nn.Module | None = None,
        inter_frequency: InterFrequency | None = None,
        inter_instance: InterInstance | None = None,
        augment: nn.Module | None = None,
        spec_augment: nn.Module | None = None,
        class_weights: list[float] | None = None,
        weights: str | Weights | None = None,
        compile_network: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        encoder_lr: EncoderRate | None = None,
    ) -> None:
        frontend = frontend if frontend is not None else nn.Identity()
        super().__init__(
            network,
            frontend,
            weights=weights,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            encoder_lr=encoder_lr,
        )
        if objective is not None and class_weights is not None:
            raise ValueError(
                "model.class_weights weigh the cross entropy, which model.objective replaces: drop one"
            )
        self.objective = objective
        self.inter_frequency = inter_frequency
        self.inter_instance = inter_instance
        self.augment = augment if augment is not None else nn.Identity()
        self.spec_augment = spec_augment if spec_augment is not None else nn.Identity()
        self.class_weights: Tensor | None
        self.register_buffer(
            "class_weights", torch.tensor(class_weights) if class_weights else None, persistent=False
        )
        if inter_instance is not None:
            inter_instance.bind(network)
        if compile_network:
            network.compile()

    @property
    def target_names(self) -> dict[str, Sequence[str]]:
        """Spoof is 0, bona fide 1."""
        return {"class": self.classes}

    def forward(self, waveform: Tensor) -> Output:
        """Maps (batch, channel, time) waveforms to embeddings and logits."""
        return self.network(self.frontend(waveform))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss of eq. 6; clean and masked copies pass the network as one batch."""
        waveform, target = self.augment(batch.waveform), batch.target
        if self.inter_frequency is not None:
            waveform = torch.cat([waveform, self.inter_frequency.mask(waveform)])
        features = self.frontend(waveform)
        output = self.network(self.spec_augment(features))

        num_clips = len(target)
        clean_logits, masked_logits = output.logits[:num_clips], output.logits[num_clips:]
        name = "cross_entropy" if self.objective is None else "classification"
        terms = {name: self._classification(clean_logits, target)}
        if self.inter_frequency is not None:
            terms[f"masked_{name}"] = self._classification(masked_logits, target)
            if self.inter_frequency.weight > 0:
                consistency = self.inter_frequency(clean_logits, masked_logits)
                terms["inter_frequency"] = self.inter_frequency.weight * consistency
        if self.inter_instance is not None:
            similarity = self.inter_instance(output.embedding[:num_clips], target)
            terms["inter_instance"] = self.inter_instance.weight * similarity
            self.inter_instance.enqueue(self.inter_instance.keys(features[:num_clips]), target)
        loss = torch.stack(list(terms.values())).sum()
        self._log_losses(loss, terms)
        return loss

    def _classification(self, logits: Tensor, target: Tensor) -> Tensor:
        # one logit z is the two-class problem with logits (0, z): its cross entropy is the BCE of eq. 5
        logits = two_class_logits(logits.to(torch.promote_types(logits.dtype, torch.float32)))
        if self.objective is not None:
            return self.objective(logits, target)
        weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        return F.cross_entropy(logits, target, weight=weights)

    def _log_losses(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        if len(terms) > 1:
            self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()}, batch_size=1)

    def after_optimizer_step(self) -> None:
        """Moves the momentum encoder towards the network (eq. 3)."""
        if self.inter_instance is not None:
            self.inter_instance.update(self.network)

    def scorer(self) -> SpoofingScorer:
        """Returns front end, network and scoring rule alone, for an inference package."""
        return SpoofingScorer(self.network, None if isinstance(self.frontend, nn.Identity) else self.frontend)

    def validation_metrics(self) -> dict[str, Tensor]:
        """The equal error rate, a fraction."""
        clips, scores = self.scored(self.data, "validation")
        is_bonafide = torch.tensor([clip.target == 1 for clip in clips])
        if is_bonafide.unique().numel() < 2:
            rank_zero_warn("val/eer is undefined: the validated clips are all of one class")
            return {"eer": torch.tensor(torch.nan)}
        return {"eer": equal_error_rate(scores.double(), is_bonafide)[0]}

    def report(self, datamodule: ClipDataModule, split: Split) -> Report:
        """Evaluates the scores that the last validation or test loop gathered, as the challenge does."""
        clips, scores = self.scored(datamodule, split)
        return spoofing_report(clips, scores.double(), asv_scores=datamodule.asv_scores(split))


def two_class_logits(logits: Tensor) -> Tensor:
    """Turns one column, the log odds of class 1, into two; two columns stay as they are.

    >>> two_class_logits(torch.tensor([[2.0]]))
    tensor([[0., 2.]])
    """
    return F.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits
