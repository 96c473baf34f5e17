"""Public corpora of genuine and spoofed speech by name."""

from collections.abc import Mapping

from datamodules.ssd.corpora.corpus import Corpus
from datamodules.ssd.corpora.in_the_wild import IN_THE_WILD

CORPORA: Mapping[str, Corpus] = {corpus.name: corpus for corpus in (IN_THE_WILD,)}
