"""What a score says beyond its rank: a log likelihood ratio, a decision."""

from collections.abc import Callable, Mapping

from torch import Tensor

from lightning_modules.package.folder import Package

Reading = Callable[[Tensor], float]


def readings(package: Package, instance: str | None) -> dict[str, Reading]:
    """Column -> reading of a score (), those that the package has been fitted for.

    ``llr`` is the natural log likelihood ratio of bona fide over spoofed speech, ``decision`` 1 for an anomaly, else 0.

    Args:
        package: The model.
        instance: Machine instance whose threshold decides; None decides where the package knows a single one.

    Raises:
        ValueError: The package has no threshold of that instance.
    """
    found: dict[str, Reading] = {}
    if (calibration := package.calibration) is not None:
        found["llr"] = lambda score: float(calibration([score.item()])[0])
    thresholds = package.thresholds
    if instance is not None and instance not in thresholds:
        known = f"those of {', '.join(thresholds)}" if thresholds else "none"
        raise ValueError(f"--instance {instance}: the package has no threshold of it, it has {known}")
    if instance is not None or len(thresholds) == 1:
        threshold = thresholds[instance] if instance is not None else next(iter(thresholds.values()))
        found["decision"] = lambda score: int(score > threshold)
    return found


def read_out(read: Mapping[str, Reading], score: Tensor) -> str:
    """Readings as they stand behind a score."""
    return "".join(f" {reading(score):.9g}" for reading in read.values())
