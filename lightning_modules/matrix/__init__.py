"""Tables of detectors by corpora, behind `evaluate` and `report`; without torch, whose import takes longer than all else."""
