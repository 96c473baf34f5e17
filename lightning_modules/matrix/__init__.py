"""Tables of detectors by corpora, without torch, whose import takes longer than all else of a report."""
