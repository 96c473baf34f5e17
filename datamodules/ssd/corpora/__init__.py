"""Public corpora of genuine and spoofed speech by name."""

from collections.abc import Callable, Mapping

from datamodules.ssd.corpora.add_2023 import ADD_2023
from datamodules.ssd.corpora.anti_deepfake import anti_deepfake
from datamodules.ssd.corpora.arena import arena
from datamodules.ssd.corpora.asvspoof_editions import EDITIONS
from datamodules.ssd.corpora.cfad import CFAD
from datamodules.ssd.corpora.codecfake import CODECFAKE
from datamodules.ssd.corpora.codecfake_xie import CODECFAKE_XIE
from datamodules.ssd.corpora.corpus import Corpus
from datamodules.ssd.corpora.cvoicefake import CVOICEFAKE
from datamodules.ssd.corpora.decro import DECRO
from datamodules.ssd.corpora.dfadd import DFADD
from datamodules.ssd.corpora.diffssd import DIFFSSD
from datamodules.ssd.corpora.dsd import DSD
from datamodules.ssd.corpora.envsdd import ENVSDD
from datamodules.ssd.corpora.fake_or_real import FAKE_OR_REAL, FAKE_OR_REAL_ORIGINAL
from datamodules.ssd.corpora.habla import HABLA
from datamodules.ssd.corpora.in_the_wild import IN_THE_WILD
from datamodules.ssd.corpora.m_ailabs import M_AILABS
from datamodules.ssd.corpora.mlaad import MLAAD
from datamodules.ssd.corpora.spoofceleb import SPOOFCELEB
from datamodules.ssd.corpora.wavefake import WAVEFAKE

CORPORA: Mapping[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        *EDITIONS,
        ADD_2023,
        CFAD,
        CODECFAKE,
        CODECFAKE_XIE,
        CVOICEFAKE,
        DECRO,
        DFADD,
        DIFFSSD,
        DSD,
        ENVSDD,
        FAKE_OR_REAL,
        FAKE_OR_REAL_ORIGINAL,
        HABLA,
        IN_THE_WILD,
        M_AILABS,
        MLAAD,
        SPOOFCELEB,
        WAVEFAKE,
    )
}

LISTS: Mapping[str, Callable[[str, str | None], Corpus]] = {"arena": arena, "anti_deepfake": anti_deepfake}
"""Kind of a list that serves any corpus -> (name of the corpus, list in its folder) -> the corpus."""
