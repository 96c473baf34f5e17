"""Checkpoints that are never torn, never executed and never of another model."""

import os
import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import nn

from datamodules.files import replacing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes into the target's folder, flushes to disk, then renames: the old file lives until the new is whole.

    Lightning's own writer stages through TMPDIR and copies over the old file when that is another file system.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Writes ``checkpoint`` to ``path``.

        Args:
            checkpoint: What to write.
            path: Replaced in one step.
            storage_options: ``{"previous": path}`` names where what was replaced lives on.

        Raises:
            OSError: The disk is full or the folder is not writable; the previous file is untouched.
        """
        target = Path(path)
        try:
            with replacing(target) as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
                if storage_options and target.is_file():  # not before the new one is on the disk
                    _keep(target, storage_options["previous"])
        except (RuntimeError, OSError) as error:  # torch.save reports a full disk as RuntimeError
            raise OSError(f"{target}: not saved ({error}); the checkpoint before it is untouched") from error
        _sync_folder(target.parent)

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a checkpoint without executing anything in it.

        Raises:
            ValueError: Missing, damaged, or not made of tensors and plain values alone.
        """
        return read_checkpoint(path, map_location)


def _keep(target: Path, previous: Path) -> None:
    """Lets ``target`` live on as ``previous``, at the cost of a link."""
    link = previous.with_name(f".{previous.name}.tmp")
    link.unlink(missing_ok=True)
    try:
        os.link(target, link)
    except OSError:  # a file system without hard links
        target.replace(previous)
    else:
        link.replace(previous)


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint of tensors and plain values; see `AtomicCheckpointIO.load_checkpoint`."""
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such checkpoint") from None
    except pickle.UnpicklingError as error:
        # the first line is torch's advice to load it all the same
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][:2][-1]
        raise ValueError(
            f"{path}: refused, it is damaged or holds code instead of plain tensors ({reason})"
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError, struct.error, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
        raise ValueError(f"{path}: damaged checkpoint ({reason}); use an earlier one") from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path}: holds {type(checkpoint).__name__}, no checkpoint")
    return checkpoint


def carried_config(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration that a checkpoint carries, None without one.

    Data of versions that had one resampler alone keep it.
    """
    if "config" not in checkpoint:
        return None
    config: dict[str, Any] = yaml.safe_load(checkpoint["config"])
    arguments = (config.get("data") or {}).get("init_args") or {}
    if _OF_ALL_DATA & arguments.keys():
        arguments.setdefault("resampler", "torchaudio")
    return config


# of data modules that take a resampler, the second of a mapping alone
_OF_ALL_DATA = {"seed", "class_outputs"}


def first_readable(paths: Sequence[Path]) -> tuple[Path, dict[str, Any]] | None:
    """Returns the first whole checkpoint of those that exist, None where none exists.

    Raises:
        ValueError: Some exist and all are damaged; names them.
    """
    damages = []
    for path in filter(Path.is_file, paths):
        try:
            checkpoint = read_checkpoint(path)
        except ValueError as error:
            damages.append(str(error))
        else:
            for damage in damages:
                rank_zero_warn(
                    f"{damage.removesuffix('; use an earlier one')}; continues from {path} instead"
                )
            return path, checkpoint
    if damages:
        raise ValueError(
            f"no checkpoint of this run can be read: {'; '.join(damages)}: move the run's folder away to start anew"
        )
    return None


def load_weights(
    module: nn.Module, path: str | Path, *, training_only: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Loads the weights of a Lightning checkpoint into ``module`` and returns the checkpoint.

    Args:
        module: The Lightning module that was trained, built from its config.
        path: A checkpoint written by ``fit``.
        training_only: Prefixes of entries that scoring does not need and that either side may lack.

    Raises:
        ValueError: The checkpoint is damaged or of another model; names the first keys that differ.
    """
    checkpoint = read_checkpoint(path)
    load_checkpoint(module, checkpoint, path, training_only=training_only)
    return checkpoint


def load_checkpoint(
    module: nn.Module, checkpoint: dict[str, Any], path: str | Path, *, training_only: tuple[str, ...] = ()
) -> None:
    """As `load_weights`, of a checkpoint that has been read from ``path``."""
    if "state_dict" not in checkpoint:
        raise ValueError(
            f"{path}: no checkpoint of this platform (no 'state_dict'); set model.weights for official weights"
        )
    from lightning_modules.networks.weights import completed, describe_difference  # and with it all networks

    foreign = None
    if isinstance(module, LightningModule):
        try:
            module.on_load_checkpoint(checkpoint)  # first: it may give the network another head
        except KeyError as error:
            foreign = f"no entry {error}"
    state = completed(module, checkpoint["state_dict"])
    theirs = {k: v for k, v in state.items() if not k.startswith(training_only or ("\0",))}
    ours = {k: v for k, v in module.state_dict().items() if not k.startswith(training_only or ("\0",))}
    difference = describe_difference(ours, theirs) or foreign
    if difference:
        raise ValueError(f"{path}: checkpoint of another model or configuration: {difference}")
    module.load_state_dict(theirs, strict=False)
