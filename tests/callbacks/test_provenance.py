"""Lists of clips are told apart by one word."""

from dataclasses import replace

from datamodules.clips import Clip
from lightning_modules.run.provenance import data_hash

CLIPS = [Clip(f"c{row}", f"{row}.wav", row % 2) for row in range(4)]


def test_hash_is_of_keys_and_targets_alone():
    hashed = data_hash(CLIPS)
    assert len(hashed) == 16
    assert data_hash(CLIPS[::-1]) == hashed, "the order is no part of a list"
    assert data_hash([replace(clip, path="elsewhere") for clip in CLIPS]) == hashed
    assert data_hash(CLIPS[1:]) != hashed
    assert data_hash([replace(CLIPS[0], target=1), *CLIPS[1:]]) != hashed
    assert data_hash([replace(CLIPS[0], key="other"), *CLIPS[1:]]) != hashed
