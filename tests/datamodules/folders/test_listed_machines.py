"""Lists of machines: what is learnt from, what is tested, what stands in for anomalies in training."""

from typing import cast

import pytest
from clip_lists import keys, listed, sounds

from datamodules.folders.sound_files import Part


def test_machines_learn_from_normal_sounds_and_are_tested_on_the_rest(tmp_path):
    rows = [
        f"{machine}/{label}{number}.wav,{label},{machine}"
        for machine in ("pump", "saw")
        for label, count in (("worn", 2), ("ok", 8))
        for number in range(count)
    ]
    text = "path,state,machine\n" + "\n".join(rows)
    names = {"ok": "normal", "worn": "anomaly"}
    data = listed(tmp_path, text, columns={"label": "state"}, class_names=names, validation=0.25, test=0.25)
    found = {
        name: [(clip.attributes["instance"], clip.target) for clip in data.split(cast(Part, name))]
        for name in keys(data)
    }
    ok, worn = data.heads["class"].index("ok"), data.heads["class"].index("worn")
    for machine in ("pump", "saw"):
        assert [len([1 for each in found[name] if each == (machine, ok)]) for name in found] == [4, 2, 2]
        assert [found[name].count((machine, worn)) for name in found] == [0, 0, 2]
    assert data.year == 2020

    (tmp_path / "alone").mkdir()
    alone = listed(tmp_path / "alone", "path\na.wav\nb.wav\n", label="normal", validation=0, test=0)
    assert alone.heads == {"class": ["normal", "anomaly"]}
    assert {clip.attributes["instance"] for clip in alone.split("train")} == {"alone"}


def test_normal_sounds_of_training_come_first_and_are_the_reference(tmp_path):
    sounds(tmp_path, "a.wav", "b.wav", "c.wav")
    data = listed(
        tmp_path,
        "path,label,domain,split\nb.wav,anomaly,source,train\na.wav,normal,source,train\nc.wav,normal,target,train\n",
        sample_rate=8000,
        eval_crop_s=0.1,
        num_workers=0,
        validation=0,
        test=0,
    )
    assert keys(data)["train"] == ["a.wav", "c.wav", "b.wav"]
    assert sorted(key for batch in data.reference_dataloader() for key in batch.key) == ["a.wav", "c.wav"]
    assert data.year == 2025


MACHINES = "path,label,machine,section\n" + "".join(
    f"{machine}/{section}{n}.wav,normal,{machine},{section}\n"
    for machine in ("pump", "saw")
    for section in ("a", "b")
    for n in range(3)
)


def outliers(data):
    rows = data.split("train")
    normal = data.heads["class"].index("normal")
    return (
        {clip.attributes["instance"] for clip in rows if clip.target == normal},
        {clip.attributes["instance"] for clip in rows if clip.target != normal},
    )


@pytest.mark.parametrize(
    ("instance", "kind", "expected"),
    [
        ("pump", None, ({"pump/a", "pump/b"}, set())),
        ("pump", "all", ({"pump/a", "pump/b"}, {"saw/a", "saw/b"})),
        ("pump/a", "all", ({"pump/a"}, {"pump/b", "saw/a", "saw/b"})),
        ("pump/a", "same_type", ({"pump/a"}, {"pump/b"})),
        ("pump/a", "other_types", ({"pump/a"}, {"saw/a", "saw/b"})),
    ],
)
def test_normal_sounds_of_other_machines_are_proxy_outliers(tmp_path, instance, kind, expected):
    data = listed(tmp_path, MACHINES, instance=instance, proxy_outliers=kind, validation=0, test=0)
    assert outliers(data) == expected


def test_outliers_are_never_of_the_test(tmp_path):
    """Held out of all machines, and heard of the one alone."""
    data = listed(
        tmp_path,
        MACHINES,
        instance="pump",
        proxy_outliers="all",
        validation=0.3,
        test=0.3,
        near_duplicates=None,
    )
    found = keys(data)
    assert {name: len(some) for name, some in found.items()} == {"train": 4, "validation": 2, "test": 2}
    assert outliers(data) == ({"pump/a", "pump/b"}, {"saw/a", "saw/b"})
    assert {key.split("/")[0] for key in [*found["validation"], *found["test"]]} == {"pump"}


def test_names_that_mean_the_same_are_one_class_of_machines(tmp_path):
    rows = "path,state,split\na.wav,ok,train\nb.wav,new,train\nc.wav,worn,train\nd.wav,broken,test\n"
    names = {"ok": "normal", "new": "normal", "worn": "anomaly", "broken": "anomaly"}
    data = listed(tmp_path, rows, columns={"label": "state"}, class_names=names, validation=0)
    assert keys(data) == {"train": ["a.wav", "b.wav", "c.wav"], "validation": [], "test": ["d.wav"]}
    alone = listed(
        tmp_path,
        rows.replace("ok", "worn").replace("new", "worn"),
        columns={"label": "state"},
        class_names=names,
    )
    assert alone.split("test")[0].key == "d.wav"


def test_outliers_of_a_list_of_its_own_and_of_a_folder(tmp_path):
    rows = "path,label,machine,split\np.wav,normal,pump,train\nx.wav,anomaly,pump,train\ns.wav,normal,saw,train\n"
    settings = {"instance": "pump", "validation": 0, "test": 0}
    data = listed(tmp_path, rows, proxy_outliers="all", **settings)
    assert keys(data)["train"] == ["p.wav", "x.wav"]
    sounds(tmp_path, "street/1.wav", "street/2.wav")
    data = listed(
        tmp_path,
        rows.replace("x.wav,anomaly,pump,train\n", ""),
        proxy_outliers="folder",
        proxy_root=str(tmp_path / "street"),
        **settings,
    )
    assert keys(data)["train"] == ["p.wav", "street/1.wav", "street/2.wav"]
    assert [data.classes[cast(int, clip.target)] for clip in data.split("train")] == [
        "normal",
        "anomaly",
        "anomaly",
    ]


def test_parts_of_files_stay_parts_where_they_are_outliers(tmp_path):
    rows = "path,label,machine,start,end\np.wav,normal,pump,0,1\ns.wav,normal,saw,2,3\n"
    data = listed(tmp_path, rows, instance="pump", proxy_outliers="all", validation=0, test=0)
    assert [(clip.start_s, clip.stop_s) for clip in data.split("train")] == [(0, 1), (2, 3)]


def test_halves_of_a_batch_are_outliers(tmp_path):
    names = [line.split(",")[0] for line in MACHINES.splitlines()[1:]]
    sounds(tmp_path, *names)
    data = listed(
        tmp_path,
        MACHINES,
        instance="pump/a",
        proxy_outliers="all",
        validation=0,
        test=0,
        sample_rate=8000,
        batch_size=2,
        num_workers=0,
    )
    targets = [batch.target.tolist() for batch in data.train_dataloader()]
    assert len(targets) == 3
    assert all(sorted(batch) == [0, 1] for batch in targets)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"instance": "fan"},
            "no machine 'fan': set data.instance to one of pump, pump/a, pump/b, saw, saw/a, saw/b",
        ),
        ({"proxy_outliers": "all"}, "proxy_outliers all: none for .* name the machine .* with data.instance"),
    ],
)
def test_machines_that_cannot_be_told_apart_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, MACHINES, validation=0, test=0, **settings).split("train")


def test_scores_are_official_where_names_allow(tmp_path):
    names = ["x/normal_id_00_00000000.wav", "x/anomaly_id_02_00000007.wav"]
    text = "path,label,machine,split\n" + "".join(
        f"{name},{name[2:].split('_')[0]},fan,test\n" for name in names
    )
    data = listed(tmp_path, text)
    folder = data.write_scores(tmp_path / "test.txt", names, [0.25, 1.5], [0, 1])
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "anomaly_score_fan_id_00.csv": "normal_id_00_00000000.wav,0.25\n",
        "anomaly_score_fan_id_02.csv": "anomaly_id_02_00000007.wav,1.5\n",
        "decision_result_fan_id_00.csv": "normal_id_00_00000000.wav,0\n",
        "decision_result_fan_id_02.csv": "anomaly_id_02_00000007.wav,1\n",
    }
    plain = listed(tmp_path, "path,label,split\na.wav,normal,test\n")
    path = plain.write_scores(tmp_path / "plain.txt", ["a.wav"], [0.5], [1])
    assert (path.name, path.read_text()) == ("plain.csv", "key,score,decision\na.wav,0.5,1\n")
