"""A grid file in the working folder, and what its finished runs leave."""

import csv
import math
from pathlib import Path

import yaml

from lightning_modules.grids.cells import expand
from lightning_modules.grids.grid_file import read_grid

OUTPUT = {"name": "fig", "kind": "bars", "title": "A figure", "values": ["auc", "pauc"], "per": "machine"}
OUTPUT |= {"over": ["section", "domain"], "origin": 0.5}
PLACES = [("fan", "id_00"), ("fan", "id_02"), ("pump", "id_00")]


def write(blocks, *outputs, **layout):
    content = {"experiment": "e", "blocks": blocks, "report": {"outputs": list(outputs)} | layout}
    Path("grid.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return "grid.yaml"


def block(name, axes=None, **settings):
    return {"name": name, "config": ["config.yaml"], "set": {"a.x": name} | settings, "axes": axes or {}}


def per_instance(name, seeds=(1, 2, 3), **axes):
    joint = {"data.machine,data.id": [list(place) for place in PLACES]}
    return block(name, {**axes, **joint, "seed_everything": list(seeds)})


def auc(machine, section, seed):
    """Any numbers that differ."""
    return 0.5 + 0.4 * math.sin(len(machine) + int(section[-1]) + seed * 0.1) ** 2


def finish(cell, places=None, clips=None, data_hash="", **config):
    """Leaves what a tested run leaves; an earlier test row of the same run must not count."""
    values = cell.values
    seed = values["seed_everything"]
    places = places or [(values["data.machine"], values["data.id"])]
    rows = [
        {"machine": m, "section": s, "domain": "", "auc": repr(auc(m, s, seed)), "pauc": "0.6"}
        for m, s in places
    ]
    folder = cell.run.folder
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    put(folder / "tables/test.csv", rows)
    row = {"split": "test", "seed": seed, "clips": clips or 10 * len(places), "eer": f"{seed / 100:.6f}"}
    more = {"data_hash": data_hash, "commit": "abc", "date": "2026-01-02T03:04:05+00:00"}
    old = {**row, "eer": "0.9"}
    put(folder / "results.csv", [old | more, row | more, row | more | {"split": "validation", "eer": "0.8"}])
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"data": {"init_args": {"seed": seed}}, "run": {"id": cell.run.id}} | config)
    )


def put(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def cells_of(path):
    return expand(read_grid(path))


def table(name):
    with Path(f"reports/grid/{name}.csv").open(newline="") as file:
        return {(row["block"], row["x"], row["column"]): row for row in csv.DictReader(file)}
