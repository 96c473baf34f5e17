"""What a package knows of files: scores by the rule of the test, and of windows from beginning to end."""

from collections.abc import Iterator, Sequence

import torch

from datamodules.clips import Clip
from lightning_modules.package.engine_names import Engine
from lightning_modules.package.files import CLIPS_AT_ONCE, package_score
from lightning_modules.package.folder import Package
from lightning_modules.package.scoring import Scoring
from lightning_modules.package.tally import Result


@torch.inference_mode()
def predicted(
    package: Package,
    clips: Sequence[Clip],
    device: torch.device,
    *,
    keep_windows: bool = False,
    engine: Engine = "auto",
) -> Iterator[Result]:
    """Yields what is known of every file in order, as soon as it is; see `Tally`."""
    score = package_score(package, device, engine)
    scoring = Scoring(
        clips, package.listening, package.scorer, batch_size=CLIPS_AT_ONCE, keep_windows=keep_windows
    )
    for batch in scoring.batches:
        yield from scoring.take(batch, score(batch))
    yield from scoring.tally.results()
