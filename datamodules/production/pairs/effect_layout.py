"""Where pairs of an effect lie on disk: SignalTrain's folders, or the two files of a capture.

SignalTrain (github.com/drscotthawley/signaltrain): ``effect_info.ini``, and folders ``Train``, ``Val`` and perhaps
``Test`` of ``input_<n>_.wav`` and ``target_<n>_<Name>__<knob>__<knob>.wav``, settings in the knobs' own units.
A capture without knobs: ``input.wav`` and ``target.wav``, or folders ``input`` and ``target``, or ``dry`` and ``wet``,
of equal file names, of any format.
"""

import ast
import configparser
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from datamodules import audio
from datamodules.audio.search import is_audio, names_in
from datamodules.production.pairs.pairs import Pair

_INPUT = re.compile(r"input_(\d+)_?\.wav")
_TARGET = re.compile(r"target_(\d+)_(.*)\.wav")
_SIDES = ("input", "target"), ("dry", "wet")
_MANY = 10  # pairs, of which whole ones can be held out


class EffectInfo(NamedTuple):
    """What ``effect_info.ini`` says; `inverse` where the network undoes the effect."""

    name: str
    knob_names: tuple[str, ...] = ()
    knob_ranges: tuple[tuple[float, float], ...] = ()
    inverse: bool = False


@dataclass(frozen=True, kw_only=True)
class FilePair(Pair):
    """A pair of files, or samples `start` to `stop` of them."""

    input: str
    target: str
    start: int
    stop: int


def read_info(path: Path) -> EffectInfo:
    """Read ``effect_info.ini``; without the file the effect has no knobs.

    Raises:
        ValueError: If a value is missing or not a plain list; nothing in the file is ever executed.
    """
    if not path.exists():
        return EffectInfo("effect")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        section = parser["effect"]
        names = [str(name) for name in ast.literal_eval(section["knob_names"])]
        ranges = [(float(low), float(high)) for low, high in ast.literal_eval(section["knob_ranges"])]
        name, inverse = section["name"].strip("'\""), section.getboolean("inverse", fallback=False)
    except (configparser.Error, KeyError, ValueError, SyntaxError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: not of the form [effect], name = ..., knob_names = ['a'], knob_ranges = [[0, 1]]: {reason}"
        ) from None
    if len(names) != len(ranges) or len(set(names)) != len(names):
        raise ValueError(
            f"{path}: knob_names {names} and {len(ranges)} knob_ranges: give every knob a name of its own and one range"
        )
    for knob, (low, high) in zip(names, ranges, strict=True):
        if not -math.inf < low < high < math.inf:
            raise ValueError(
                f"{path}: knob {knob} ranges from {low} to {high}: give two numbers, the lesser first"
            )
    return EffectInfo(name, tuple(names), tuple(ranges), inverse)


def folder_pairs(folder: Path, info: EffectInfo, *, allow_truncated: bool = False) -> list[FilePair]:
    """Pairs of one of SignalTrain's folders, in the order of their numbers.

    Raises:
        ValueError: Naming the file that has no partner or a wrong number of knobs, or a setting out of range.
    """
    names = sorted(names_in(folder))
    inputs = {int(found[1]): folder / name for name in names if (found := _INPUT.fullmatch(name))}
    targets: dict[int, Path] = {}
    for name in names:
        if found := _TARGET.fullmatch(name):
            path = folder / name
            if int(found[1]) in targets:
                raise ValueError(f"{path}: {targets[int(found[1])].name} has the same number: remove one")
            targets[int(found[1])] = path
    if not inputs:
        raise ValueError(
            f"{folder}: holds no input_<n>_.wav: name the folder with effect_info.ini as data.root"
        )
    for number in sorted(inputs.keys() ^ targets.keys()):
        kind, lacks = ("target", "input") if number in targets else ("input", "target")
        path = targets.get(number) or inputs[number]
        raise ValueError(
            f"{path}: this {kind} has no {lacks}_{number}_*.wav beside it: add it or remove the file"
        )
    return [
        _pair(
            f"{folder.name}/{number}",
            inputs[number],
            targets[number],
            _settings(targets[number], info),
            allow_truncated=allow_truncated,
        )
        for number in sorted(inputs)
    ]


def _settings(path: Path, info: EffectInfo) -> tuple[float, ...]:
    """Knob settings in a target's name; its folder may hold ``__`` too, and is not looked at."""
    texts = path.stem.split("__")[1:]
    if len(texts) != len(info.knob_names):
        raise ValueError(
            f"{path}: {len(texts)} settings in the name, but effect_info.ini has the knobs {list(info.knob_names)}:"
            " rename the file or correct effect_info.ini"
        )
    settings = []
    for text, name, (low, high) in zip(texts, info.knob_names, info.knob_ranges, strict=True):
        try:
            setting = float(text)
        except ValueError:
            raise ValueError(
                f"{path}: setting {text!r} of {name} in the name is not a number: rename the file"
            ) from None
        if not low - 1e-3 * (high - low) <= setting <= high + 1e-3 * (high - low):  # names are rounded
            raise ValueError(
                f"{path}: {name} = {setting:g} lies outside of {low:g} to {high:g}: correct the name or effect_info.ini"
            )
        settings.append(setting)
    return tuple(settings)


def capture_pairs(root: Path, *, allow_truncated: bool = False) -> list[FilePair]:
    """Pairs of a capture: ``input.wav`` and ``target.wav``, or all of two folders, see `_SIDES`."""
    if "input.wav" in names_in(root):
        files = root / "input.wav", root / "target.wav"
        return [_pair("capture", *files, allow_truncated=allow_truncated)]
    sides = next((sides for sides in _SIDES if names_in(root / sides[0])), _SIDES[0])
    names = [sorted(filter(is_audio, names_in(root / side))) for side in sides]
    if not names[0] or names[0] != names[1]:
        odd = sorted(set(names[0]) ^ set(names[1]))
        found = f"{odd[0]} has no partner" if odd else "nothing is there"
        raise ValueError(
            f"{root}: expected effect_info.ini with Train and Val, or input.wav and target.wav, or folders input and"
            f" target, or dry and wet, of equal file names: {found}"
        )
    source, target = (root / side for side in sides)
    return [
        _pair(Path(name).stem, source / name, target / name, allow_truncated=allow_truncated)
        for name in names[0]
    ]


def _pair(
    key: str, source: Path, target: Path, knobs: Sequence[float] = (), *, allow_truncated: bool
) -> FilePair:
    """A pair whose headers agree.

    Raises:
        ValueError: If rates or lengths differ or a file is not mono.
    """
    headers = [audio.info(path, allow_truncated=allow_truncated) for path in (source, target)]
    for path, header in zip((source, target), headers, strict=True):
        if header.num_channels != 1:
            raise ValueError(
                f"{path}: {header.num_channels} channels: an effect is learned from mono files, keep one"
            )
    if headers[0].sample_rate != headers[1].sample_rate:
        raise ValueError(
            f"{target}: {headers[1].sample_rate} Hz, but {source.name} has {headers[0].sample_rate} Hz: resample one"
        )
    if headers[0].num_frames != headers[1].num_frames:
        raise ValueError(
            f"{target}: {headers[1].num_frames} samples, but {source.name} has {headers[0].num_frames}: cut both to"
            " the part that they share, sample by sample"
        )
    return FilePair(
        key=key,
        knobs=tuple(knobs),
        input=str(source),
        target=str(target),
        start=0,
        stop=headers[0].num_frames,
    )


def held_out(pairs: Sequence[FilePair], name: str, share: float) -> list[FilePair]:
    """The pairs, or parts of them, for ``train``, ``validation`` or ``test``.

    Of ten and more pairs, whole ones are held out, evenly chosen; of fewer, the end of each. Validation and test get
    half of the share each.
    """
    if len(pairs) >= _MANY:
        order = [int(number * share) != int((number + 1) * share) for number in range(len(pairs))]
        chosen = [pair for pair, is_held_out in zip(pairs, order, strict=True) if is_held_out]
        kept = [pair for pair, is_held_out in zip(pairs, order, strict=True) if not is_held_out]
        return {"train": kept, "validation": chosen[::2], "test": chosen[1::2]}[name]
    parts = {"train": (0, 1 - share), "validation": (1 - share, 1 - share / 2), "test": (1 - share / 2, 1)}
    begin, end = parts[name]
    return [
        replace(pair, start=math.floor(begin * pair.stop), stop=math.floor(end * pair.stop)) for pair in pairs
    ]
