"""Corpora's own lists have as many utterances as their modules say.

Needs files that are no part of this project: DECRO_REFERENCE, a clone of petrichorwq/DECRO-dataset.
"""

from published import reference

from datamodules.ssd.corpora import CORPORA


def test_lists_of_decro():
    decro, root = CORPORA["decro"], reference("DECRO_REFERENCE")
    found = {}
    for split in decro.splits:
        targets = [clip.target for clip in decro.clips(root, split)]
        found[split] = (targets.count(1), targets.count(0))
    assert found == decro.counts
