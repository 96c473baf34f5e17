import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datamodules import cache


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


def test_an_entry_follows_content_and_settings_not_names(tmp_path):
    first, second, other = (tmp_path / name for name in ("a", "b", "c"))
    for path, content in ((first, b"one"), (second, b"one"), (other, b"two")):
        path.write_bytes(content)
    entries = [
        cache.cache_entry("lengths", cache.content_hash(path), {"rate": rate})
        for path in (first, second, other)
        for rate in (16000, 8000)
    ]
    assert entries[:2] == entries[2:4]
    assert len(set(entries)) == 4
    assert cache.cache_entry("features", cache.content_hash(first), {"rate": 16000}) not in entries
    assert all(entry.is_relative_to(tmp_path / "cache" / "lengths") for entry in entries)


def test_the_folder_is_told_once(capsys):
    for name in ("a", "b"):
        cache.cache_entry("lengths", name)
    (line,) = capsys.readouterr().err.splitlines()
    assert str(cache.cache_folder()) in line


def test_threads_tell_the_folder_once(capsys, monkeypatch):
    monkeypatch.setattr(cache, "parent_process", lambda: time.sleep(0.05))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: cache.cache_entry("lengths", name), "abcd"))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_folder_is_the_users_own_where_none_is_named(monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.cache_folder() == Path("/somewhere/audio-research-platform")


def test_a_large_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "film"
    read = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *each: read.append(1) or digest(*each))

    def found(content: bytes, *, age_s: float) -> str:
        path.write_bytes(content)
        written = time.time() - age_s
        os.utime(path, (written, written))
        return cache.content_hash(path)

    for content, age_s in ((b"a" * 300_000, 100), (b"b" * 300_000, 50)):
        assert found(content, age_s=age_s) == hashlib.sha256(content).hexdigest() == cache.content_hash(path)
    assert len(read) == 2
    # one that was written this moment may be written again at the same time
    assert found(b"c" * 300_000, age_s=0) == cache.content_hash(path)
    assert len(read) == 4
    monkeypatch.setenv(cache.VARIABLE, str(path))  # where nothing can be kept, it is hashed all the same
    assert cache.content_hash(path) == hashlib.sha256(b"c" * 300_000).hexdigest()
