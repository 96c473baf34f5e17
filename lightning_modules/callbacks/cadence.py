"""Which validations within training are shown."""

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

EVERY = 10  # validations


class Cadence:
    """Counts the validations within training: the first is shown, and every tenth from there."""

    def __init__(self) -> None:
        self._validations = 0

    def is_due(self, trainer: Trainer) -> bool:
        """Whether the validation that begins or ends now, asked once, is to be shown."""
        if trainer.state.fn != TrainerFn.FITTING:
            return False
        self._validations += 1
        return self._validations % EVERY == 1
