"""Reads back what the real W&B client wrote offline."""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32768


def records(path: Path) -> Iterator[Any]:
    """Records of a .wandb file: LevelDB's log format behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportAttributeAccessIssue]

    content, place, parts = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while place + 7 <= len(content):
        if _BLOCK - place % _BLOCK < 7:  # the rest of a block that holds no header
            place += _BLOCK - place % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def records_of_run(folder: Path) -> list[Any]:
    """What the W&B file of a run that was started once holds at its end."""
    import wandb

    wandb.finish()
    wandb.teardown()  # waits for the process that writes
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    return list(records(path))


def history(found: Iterable[Any]) -> dict[str, list[Any]]:
    """Key -> values in the order of logging; of a picture or table the keys of its parts."""
    values: dict[str, list[Any]] = {}
    for record in found:
        for item in record.history.item:
            values.setdefault("/".join(item.nested_key), []).append(json.loads(item.value_json))
    return values


def artifacts(found: Iterable[Any]) -> list[Any]:
    """The artifacts in the order of logging."""
    return [
        record.request.log_artifact.artifact if record.request.HasField("log_artifact") else record.artifact
        for record in found
        if record.HasField("artifact") or record.request.HasField("log_artifact")
    ]
