"""What a score says beyond its rank: a log likelihood ratio, a decision."""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from lightning_modules.metrics.functional import Calibration

Reading = Callable[[Tensor], float]


def readings(
    thresholds: Mapping[str, float], *, calibration: Calibration | None = None, instance: str | None
) -> dict[str, Reading]:
    """Column -> reading of a score (), those that the model has been fitted for.

    ``llr`` is the natural log likelihood ratio of bona fide over spoofed speech, ``decision`` 1 for an anomaly, else 0.

    Args:
        thresholds: Machine instance -> score above which a clip counts as anomalous.
        calibration: From a score to a log likelihood ratio, where one was fitted.
        instance: Machine instance whose threshold decides; None decides where there is a single one.

    Raises:
        ValueError: There is no threshold of that instance.
    """
    found: dict[str, Reading] = {}
    if calibration is not None:
        found["llr"] = lambda score: float(calibration([score.item()])[0])
    if instance is not None and instance not in thresholds:
        known = f"those of {', '.join(thresholds)}" if thresholds else "none"
        raise ValueError(f"--instance {instance}: the model has no threshold of it, it has {known}")
    if instance is not None or len(thresholds) == 1:
        threshold = thresholds[instance] if instance is not None else next(iter(thresholds.values()))
        found["decision"] = lambda score: int(score > threshold)
    return found


def decisions(read: Mapping[str, Reading], scores: Iterable[Tensor]) -> list[int] | None:
    """The decision of every score; None where none is read."""
    return [int(read["decision"](score)) for score in scores] if "decision" in read else None


def undecided(thresholds: Mapping[str, float], instance: str | None) -> str:
    """Why there are no decisions though there are thresholds; empty where there are, or no thresholds either."""
    if instance is not None or len(thresholds) < 2:
        return ""
    return f"no decisions: there are thresholds of {', '.join(thresholds)}: name the machine with --instance"


def read_out(read: Mapping[str, Reading], score: Tensor) -> str:
    """Readings as they stand behind a score."""
    return "".join(f" {reading(score):.9g}" for reading in read.values())
