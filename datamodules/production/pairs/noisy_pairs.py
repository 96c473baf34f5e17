"""Recordings that exist clean and noisy, as VoiceBank-DEMAND has them."""

from pathlib import Path

from datamodules.clips import Clip
from datamodules.clips.search import clips_to_predict
from datamodules.production.pairs.clip_pairs import ClipPair, ClipPairDataModule
from datamodules.production.pairs.noisy_mixtures import share_of_files
from datamodules.production.pairs.pairs import PairSplit


class NoisyPairs(ClipPairDataModule):
    """Pairs of files of equal names, ``clean/NAME`` and ``noisy/NAME``; arguments as in `ClipPairDataModule`.

    The two folders lie in ``train``, ``validation`` and ``test`` of the root; where they lie in the root itself, its
    pairs are shared out 8 : 1 : 1.
    """

    def split(self, name: PairSplit) -> list[ClipPair]:
        """Rows of a split, one a clean file."""
        flat = (self.root / "clean").is_dir()
        folder = self.root if flat else self.root / name
        clean = share_of_files(folder / "clean", name) if flat else clips_to_predict([folder / "clean"])
        return [
            ClipPair(
                key=clip.key,
                input=Clip(clip.key, str(folder / "noisy" / Path(clip.path).relative_to(folder / "clean"))),
                target=clip,
            )
            for clip in clean
        ]
