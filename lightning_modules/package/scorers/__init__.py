"""From waveforms to scores: what is left of a Lightning module when training is over."""

from lightning_modules.package.scorers.classes import ClassScorer
from lightning_modules.package.scorers.scorer import Scorer
from lightning_modules.package.scorers.spoofing import SpoofingScorer
from lightning_modules.package.scorers.windows import ReconstructionScorer, WindowScorer

__all__ = ["ClassScorer", "ReconstructionScorer", "Scorer", "SpoofingScorer", "WindowScorer"]
