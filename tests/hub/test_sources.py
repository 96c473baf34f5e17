"""Weights of the hub: fetched by the real client from a server of this machine."""

import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Hub

from lightning_modules.hub import sources
from lightning_modules.hub.sources import fetched, local
from lightning_modules.networks.weights import read_weights

REPOSITORY = Path(__file__).parents[2]


def head(hub: Hub, repository: str) -> str:
    return list(hub.commits[repository])[-1]


def test_a_repository_is_a_folder_and_a_branch_is_warned_of(hub):
    commit = head(hub, "owner/name")
    with pytest.warns(
        UserWarning, match=f"hf://owner/name: main is a branch or a tag, .* @{commit} names what"
    ):
        folder = local("hf://owner/name")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert fetched() == {"hf://owner/name": commit}


@pytest.mark.filterwarnings("error")
def test_a_commit_is_taken_as_it_was_and_then_from_the_cache_alone(hub, monkeypatch):
    before = head(hub, "owner/name")
    hub.commit("owner/name", {"model.safetensors": b"another"})
    source = f"hf://owner/name/model.safetensors@{before}"
    assert read_weights(source).keys() == {"weight", "bias"}
    assert fetched() == {source: before}
    monkeypatch.setattr(sources, "_FETCHED", {})  # as another process
    hub.requests.clear()
    assert read_weights(Path(source)).keys() == {"weight", "bias"}  # a Path has one slash
    assert local(f"hf://owner/older@{head(hub, 'owner/older')}").is_dir()
    assert not [each for each in hub.requests if "owner/name" in each]


@pytest.mark.filterwarnings("ignore:hf.//")
@pytest.mark.parametrize(
    "source",
    ["hf://owner/older", "hf://owner/older/pytorch_model.bin", "hf://owner/older/deep/weights.pt@main"],
)
def test_older_repositories_and_files_in_folders(hub, source, monkeypatch):
    assert read_weights(source).keys() == {"weight", "bias"}
    online = fetched()[source]
    monkeypatch.setattr(sources, "_FETCHED", {})  # as another process
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    assert read_weights(source).keys() == {"weight", "bias"}
    assert fetched()[source] == online == head(hub, "owner/older")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf://owner", "expected hf://owner/name, hf://owner/name/file, and perhaps @revision behind"),
        ("hf://owner/missing", "no such repository, or a private one: for that, log in with `hf auth login`"),
        ("hf://owner/name@v9", "owner/name has no commit, branch or tag 'v9'"),
        ("hf://owner/name/wrong.pt", r"has no wrong.pt: name one of its files, model.safetensors, other.bin"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(hub, source, expected):
    with pytest.raises(ValueError, match=expected) as error:
        local(source)
    assert str(error.value).startswith(f"{source}: ")
    assert "\n" not in str(error.value)


def test_without_a_network_the_way_out_is_told(hub, monkeypatch):
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ValueError, match=r"not in the cache, and the hub cannot be asked \(Offline.* `hf download"
    ):
        local("hf://owner/name")


def test_a_private_repository_opens_to_the_token_which_nothing_shows(
    hub, monkeypatch, caplog, capsys, recwarn
):
    hub.private.add("owner/name")
    with pytest.raises(ValueError, match="HF_TOKEN"):
        local("hf://owner/name")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with caplog.at_level("DEBUG"):
        local("hf://owner/name")
    assert hub.tokens == {"Bearer hf_secret"}
    seen = caplog.text + "".join(capsys.readouterr()) + "".join(str(each.message) for each in recwarn)
    assert "hf_secret" not in seen


def test_the_client_is_imported_only_for_the_hub():
    program = (
        "import sys; from lightning_modules.hub.sources import local; local('a/b');"
        "import lightning_modules.hub.upload; print('huggingface_hub' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
