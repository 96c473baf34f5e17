"""One rule for the layers of a network as long as a run lives."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class ConvolutionRule(Callback):
    """Writes by which rule layers are trained on a CPU into every checkpoint, and goes on by that of a checkpoint.

    A run that goes on with another version or on another CPU so ends at the same bits. Checkpoints of versions before
    there were rules go on as PyTorch computes.
    """

    def __init__(self) -> None:
        self._rule: Any = None  # that of this CPU

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Sets the rule."""
        from lightning_modules.networks.cpu_rule import rule_of_this_cpu, use_rule  # and with it all networks

        self._rule = self._rule or rule_of_this_cpu()
        use_rule(pl_module, self._rule)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the rule."""
        checkpoint["convolution_rule"] = self._rule

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes it over.

        Raises:
            ValueError: A later version knows it, this one does not.
        """
        from lightning_modules.networks.cpu_rule import RULES, use_rule

        rule = checkpoint.get("convolution_rule", "torch")
        if rule not in RULES:
            raise ValueError(
                f"checkpoint: convolution_rule {rule!r} is of a later version (here: {', '.join(RULES)}); go on with"
                " that version"
            )
        self._rule = rule
        use_rule(pl_module, rule)
