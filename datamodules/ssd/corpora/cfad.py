"""CFAD: Mandarin speech and twelve systems, clean, coded and noisy (Ma et al., Speech Communication 2024).

Layout: ``{clean,codec,noisy}_version/{train,dev,test_seen,test_unseen}_x/{fake,real}_x/<system>/<file>``, x being
clean, codec or noise, by AntiDeepfake's ``protocols/CFAD.py``. All versions below the root are one corpus, with the
attribute ``condition``; a root that is ``clean_version`` itself, as the arenas test on, is that version alone, of which
there are 38,600 genuine and 77,200 spoofed files (21,000 and 42,000 of them in the two test parts). The numbers of the
other versions could not be verified. Part of the genuine speech was recorded for it. A genuine file of the test,
``BAC009S0764W0123.wav`` of AISHELL-1, is 97 minutes long, which the Speech Anti-Spoofing Arena leaves out.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, sounds

_VERSIONS = {"clean_version": "clean", "codec_version": "codec", "noisy_version": "noise"}
_PARTS: Mapping[Part | None, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("dev",),
    "test": ("test_seen", "test_unseen"),
}


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Sounds of each version that is there; a name such as ``SSB09660003_lpcnet_m4a.wav`` ends in its codec."""
    base = home(root, *_VERSIONS)
    there = [root.name] if root.name in _VERSIONS else [name for name in _VERSIONS if (base / name).is_dir()]
    for version in there:
        condition = _VERSIONS[version]
        for part in _PARTS[split]:
            for label in ("real", "fake"):
                folder = f"{version}/{part}_{condition}/{label}_{condition}"
                for sound in sounds(base, folder, "<system>/<file>"):
                    system, name = sound.parts
                    coded = name.rpartition(".")[0].rpartition("_")[2] if condition == "codec" else "-"
                    attributes = {"attack": system, "codec": coded, "language": "zh"}
                    attributes |= {"condition": condition, "subset": part}
                    yield Trial(sound.path, sound.key, sound.path, label, attributes)


def write_demo(root: Path, seed: int) -> None:
    """The clean version: two utterances of each class in each part, four in training."""
    files = {}
    for part, unseen in (("train", "gl"), ("dev", "gl"), ("test_seen", "gl"), ("test_unseen", "world")):
        top = f"clean_version/{part}_clean"
        for number in range(4 if part == "train" else 2):
            files[f"{top}/real_clean/aishell1/BAC009S0764W012{number}.wav"] = False
            files[f"{top}/fake_clean/{unseen}/SSB0780000{number}_{unseen}.wav"] = True
    write_sounds(root, files, seed)


CFAD = Corpus(
    name="cfad",
    title="CFAD",
    source="https://zenodo.org/records/8122764",
    licence="CC BY 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    speech_of=frozenset({"AISHELL-1", "AISHELL-3", "MAGICDATA", "THCHS-30"}),
    write_demo=write_demo,
)
