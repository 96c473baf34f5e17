"""A folder as a repository of the hub."""

from pathlib import Path


def push(folder: Path, repository: str) -> str:
    """Uploads a folder as one commit and returns its address; a repository that is new is private.

    Args:
        folder: What to upload.
        repository: ``owner/name``.

    Raises:
        ValueError: The hub refuses it or cannot be reached; the folder stays.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Add a package")
    except Exception as error:  # of the network, and of the package that speaks to it in this version
        reason = " ".join(str(error).split())
        raise ValueError(
            f"--push {repository}: {type(error).__name__}: {reason}: {folder} is written, and `hf"
            f" upload {repository} {folder}` uploads it, logged in by `hf auth login` or HF_TOKEN as one who may"
        ) from None
    return str(commit.commit_url)
