"""Public corpora of genuine and spoofed speech by name."""

from collections.abc import Callable, Mapping

from datamodules.ssd.corpora.anti_deepfake import anti_deepfake
from datamodules.ssd.corpora.arena import arena
from datamodules.ssd.corpora.asvspoof_editions import EDITIONS
from datamodules.ssd.corpora.corpus import Corpus
from datamodules.ssd.corpora.in_the_wild import IN_THE_WILD

CORPORA: Mapping[str, Corpus] = {corpus.name: corpus for corpus in (*EDITIONS, IN_THE_WILD)}

LISTS: Mapping[str, Callable[[str, str | None], Corpus]] = {"arena": arena, "anti_deepfake": anti_deepfake}
"""Kind of a list that serves any corpus -> (name of the corpus, list in its folder) -> the corpus."""
