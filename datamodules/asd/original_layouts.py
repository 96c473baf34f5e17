"""Folders of the corpora that DCASE Task 2 was made of, in their authors' own layouts, and how they are read.

MIMII DUE and MIMII DG have the layouts and names of DCASE 2021 and 2022, as which they are read.
"""

from pathlib import Path

_MIMII = "[machine,section,label]", "{abnormal: anomaly}"
_TOYADMOS = "[machine,section,label]", "{NormalSound_IND: normal, AnomalousSound_IND: anomaly}"
_KNOWN = {  # glob below the root -> corpus, and what the folders from there on say
    "id_[0-9][0-9]/normal": ("MIMII", 1, *_MIMII),
    "*/id_[0-9][0-9]/normal": ("MIMII", 0, *_MIMII),
    "*/*/id_[0-9][0-9]/normal": ("MIMII", -1, *_MIMII),
    "case[0-9]/NormalSound_IND": ("ToyADMOS", 1, *_TOYADMOS),
    "*/case[0-9]/NormalSound_IND": ("ToyADMOS", 0, *_TOYADMOS),
}


def way_out_of(root: Path) -> str:
    """What `root` is, and how it is read; empty where it is none of the known corpora.

    Depths of MIMII: ``-6_dB_fan/fan/id_00/normal``, from any folder of it on.
    """
    for pattern, (corpus, above, levels, names) in _KNOWN.items():
        if found := next(root.glob(pattern), None):
            if above > 0:
                levels = levels.replace("machine,", "")
            elif above < 0:
                levels = levels.replace("[", "[-,")
            without = "; leave folders *_CNT out" if corpus == "ToyADMOS" else ""
            return (
                f"{found} is of {corpus} as its authors lay it out: --data=ClipList --data.root={root}"
                f" --data.folders={levels} --data.class_names='{names}'{without}"
            )
    if folders := sorted(path.name for path in root.glob("toyad2_*") if path.is_dir()):
        names = ", ".join(f"{name}: {'anomaly' if 'anomaly' in name else 'normal'}" for name in folders)
        return (
            f"{root / folders[0]} is of ToyADMOS 2 as its authors lay it out: --data=ClipList --data.root={root}"
            f" --data.class_names='{{{names}}}'"
        )
    return ""
