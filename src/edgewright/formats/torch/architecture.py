"""The architecture of a module after width edits, so that its state dict loads into a fresh instance."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgewright.errors import ModelError, StoreError
from edgewright.formats.torch.attributes import sizes_of
from edgewright.formats.torch.layered import CLASSES, Layered, freed
from edgewright.formats.torch.surgery import named_tensors, put

_VERSION = 1
Architecture = Mapping[str, Any]


def architecture(module: nn.Module) -> dict[str, Any]:
    """The sizes of a module as plain data: of every parameter and buffer, and the attributes of torch's modules."""
    own = {kind.__name__ for kind in CLASSES.values()}
    freed_parts = {path: type(part).__name__ for path, part in module.named_modules() if type(part).__name__ in own}
    return {
        "schema_version": _VERSION,
        "shapes": {name: list(tensor.shape) for name, tensor in named_tensors(module).items()},
        "sizes": {path: found for path, part in module.named_modules() if (found := _plain(sizes_of(part)))},
        "classes": freed_parts,
        "starts_at_zero": [
            p for p, part in module.named_modules() if isinstance(part, Layered) and part.starts_at_zero
        ],
    }


def rebuild(module: nn.Module, found: Architecture) -> nn.Module:
    """A copy of a fresh module of the original class with this architecture; what it holds is of no account.

    Raises StoreError where the architecture is of a module that is built in another way.
    """
    if found.get("schema_version") != _VERSION:
        raise StoreError(f"an architecture of version {found.get('schema_version')}; this edgewright reads {_VERSION}")
    made = copy.deepcopy(module)
    tensors = named_tensors(made)
    if set(tensors) != set(found["shapes"]):
        odd = sorted(set(tensors) ^ set(found["shapes"]))[0]
        raise StoreError(f"{type(module).__name__}: the file is of a module that is built in another way: {odd!r}")
    done: dict[int, Any] = {}
    for name, tensor in tensors.items():
        shape = tuple(found["shapes"][name])
        if len(shape) != tensor.dim():
            raise StoreError(f"{type(module).__name__}: {name!r} has {tensor.dim()} axes and not {len(shape)}")
        if shape != tuple(tensor.shape):
            put(made, name, done.setdefault(id(tensor), _empty(tensor, shape)))
    parts = dict(made.named_modules())
    for path in found["classes"]:
        freed(parts[path])
    for path, sizes in found["sizes"].items():
        for name, value in sizes.items():
            setattr(parts[path], name, tuple(value) if isinstance(value, list) else value)
    for path in found["starts_at_zero"]:
        parts[path].starts_at_zero = True
    return made


def save(module: nn.Module, path: Path) -> None:
    """Write the architecture and the state dict of a module. Raises StoreError where the file can't be written."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save({"architecture": architecture(module), "state_dict": module.state_dict()}, scratch)
        scratch.replace(path)
    except (OSError, RuntimeError) as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def load(module: nn.Module, path: Path) -> nn.Module:
    """The module that `save` wrote, built from a fresh module of the original class, which stays as it is.

    Raises StoreError where the file can't be read, or is of a module that is built in another way.
    """
    try:
        stored = torch.load(path, weights_only=True, map_location="cpu")
        found, state = stored["architecture"], stored["state_dict"]
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except Exception as error:
        raise StoreError(f"{path}: not a module that edgewright saved") from error
    try:
        made = rebuild(module, found)
        made.load_state_dict(state)
    except (RuntimeError, ModelError, KeyError) as error:
        raise StoreError(f"{path}: {error}") from error
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    return made


def _plain(sizes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sizes.items()}


def _empty(tensor: Any, shape: tuple[int, ...]) -> Any:
    value = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    return nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value
