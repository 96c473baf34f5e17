"""Weights that are named as ``hf://owner/name[/file][@revision]``: fetched once, and the commit that they are of."""

import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_only

_SOURCE = re.compile(
    r"hf:/{1,2}"  # a Path of it has one slash
    r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>.+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # of a whole repository, the first that is there
_BESIDE = ["*.json", "*.yaml"]  # what says how they are used
_MOST_NAMES = 8  # in a line


class Source(NamedTuple):
    """What is named.

    Attributes:
        name: As it was written.
        repository: ``owner/name``.
        file: One of its files; None is the repository as a folder.
        revision: A commit, branch or tag; None is the main branch.
    """

    name: str
    repository: str
    file: str | None
    revision: str | None


class Fetched(NamedTuple):
    """What it is here.

    Attributes:
        path: A file, or a folder, in the cache of huggingface_hub.
        commit: That it is of.
    """

    path: Path
    commit: str


_FETCHED: dict[Source, Fetched] = {}


def local(source: str | Path) -> Path:
    """Fetches a source of the hub and returns its file or folder; any other path is itself.

    Cache, token and address are those of huggingface_hub. A branch or tag is warned of, for it may change.

    Raises:
        ValueError: There is no such repository, revision or file, or it is not here and the hub cannot be reached.
    """
    text = str(source)
    if not text.startswith("hf:/"):
        return Path(source)
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text}: expected hf://owner/name, hf://owner/name/file, and perhaps @revision behind"
        )
    wanted = Source(re.sub("^hf:/+", "hf://", text), match["repository"], match["file"], match["revision"])
    if wanted not in _FETCHED:
        _FETCHED[wanted] = found = _fetch(wanted)
        if not vars(rank_zero_only).get("rank", 0):  # which Lightning sets; packages do without it
            _tell(wanted, found)
    return _FETCHED[wanted].path


def fetched() -> Mapping[str, str]:
    """Sources that this process has fetched -> their commits."""
    return MappingProxyType({source.name: found.commit for source, found in _FETCHED.items()})


def _tell(source: Source, found: Fetched) -> None:
    print(f"{source.name}: commit {found.commit}", file=sys.stderr)
    if found.commit != source.revision:
        warnings.warn(
            f"{source.name}: {source.revision or 'main'} is a branch or a tag, which may change: @{found.commit} names"
            " what is taken now",
            stacklevel=3,
        )


def _fetch(source: Source) -> Fetched:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download  # which few runs need
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    name, repository, file, revision = source
    if _COMMIT.fullmatch(revision or "") and (found := _cached(source)):
        return found
    try:
        about = HfApi().model_info(repository, revision=revision)
    except GatedRepoError:
        raise ValueError(
            f"{name}: accept the terms on the page of {repository}, and log in with `hf auth login` or HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"{name}: no such repository, or a private one: for that, log in with `hf auth login` or HF_TOKEN"
        ) from None
    except RevisionNotFoundError:
        raise ValueError(f"{name}: {repository} has no commit, branch or tag {revision!r}") from None
    except Exception as error:  # of the network, and of the package that speaks to it in this version
        if found := _cached(source):
            return found
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name}: not in the cache, and the hub cannot be asked ({type(error).__name__}: {reason}): fetch it where"
            f" there is a network, `hf download {repository}`, or name a file"
        ) from None
    there = [each.rfilename for each in about.siblings or []]
    wanted = [file] if file else [each for each in _WEIGHTS if each in there][:1]
    if not wanted or not set(wanted) <= set(there):
        missing = file or " or ".join(_WEIGHTS)
        raise ValueError(f"{name}: {repository} has no {missing}: name one of its files, {_listed(there)}")
    try:  # by the name of a branch, which the cache then knows without the hub
        if file:
            path = hf_hub_download(repository, file, revision=revision)
        else:
            path = snapshot_download(repository, revision=revision, allow_patterns=[*_BESIDE, *wanted])
    except Exception as error:  # likewise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name}: not fetched ({type(error).__name__}: {reason}): try again, which goes on"
        ) from None
    return _of_cache(Path(path), file)


def _cached(source: Source) -> Fetched | None:
    """What the cache holds, without asking the hub."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    _, repository, file, revision = source
    try:
        if file:
            path = Path(hf_hub_download(repository, file, revision=revision, local_files_only=True))
            return _of_cache(path, file)
        path = Path(
            snapshot_download(repository, revision=revision, local_files_only=True, allow_patterns=_BESIDE)
        )
    except LocalEntryNotFoundError:
        return None
    return _of_cache(path, None) if any((path / each).is_file() for each in _WEIGHTS) else None


def _of_cache(path: Path, file: str | None) -> Fetched:
    """Of ``snapshots/<commit>``, or a file in it."""
    folder = path.parents[len(Path(file).parts) - 1] if file else path
    return Fetched(path, folder.name)


def _listed(names: Iterable[str]) -> str:
    weights = [
        name for name in names if name.endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".tar"))
    ]
    more = f" and {len(weights) - _MOST_NAMES} more" if len(weights) > _MOST_NAMES else ""
    return f"{', '.join(weights[:_MOST_NAMES])}{more}" if weights else "which holds no weights"
