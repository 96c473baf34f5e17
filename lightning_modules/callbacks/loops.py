"""What Lightning's loops know and do not tell callbacks."""

from collections.abc import Callable

from lightning.pytorch import Trainer


def followed_by(first: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
    """One call for two."""

    def both() -> None:
        first()
        then()

    return both


def epoch_ends(trainer: Trainer) -> bool:
    """Whether no batch of this epoch comes after this one, for it is the last or training is to stop."""
    return trainer.is_last_batch or (trainer.should_stop and trainer.fit_loop._can_stop_early)


def validation_follows(trainer: Trainer) -> bool:
    """Whether a validation or the end of the epoch comes after this training batch."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    return epoch_ends(trainer) or loop.epoch_loop._should_check_val_fx(loop._data_fetcher)
