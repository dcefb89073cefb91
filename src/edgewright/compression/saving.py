"""A compressed network in a file: which channels are left of the network that it was, and its weights."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgewright.compression.network import Network
from edgewright.errors import ModelError
from edgewright.files import write_atomically

SCHEMA_VERSION = 1


def save_network(network: Network, path: Path) -> None:
    """Writes the channels that are left and the state dict, whole or not at all. Raises StoreError."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "groups": [[group.name, group.width] for group in network.first],
        "channels": [list(left) for left in network.channels],
        "state_dict": {name: value.detach().cpu() for name, value in network.module.state_dict().items()},
    }
    written = io.BytesIO()
    torch.save(record, written)
    write_atomically(path, written.getvalue())


def load_network(module: nn.Module, example: Any, path: Path) -> nn.Module:
    """The compressed network of a file, from a module built as the uncompressed one was; that stays as it is.

    Raises ModelError where the file is none, or of another network.
    """
    try:
        record = torch.load(path, weights_only=True, map_location="cpu")
        version, groups, channels = record["schema_version"], record["groups"], record["channels"]
    except Exception as error:
        raise ModelError(f"{path}: it is no compressed network: {type(error).__name__}: {error}") from error
    if version != SCHEMA_VERSION:
        raise ModelError(f"{path}: it was written by another version of edgewright (schema {version})")
    network = Network.of(module, example if isinstance(example, tuple) else (example,))
    own = [[group.name, group.width] for group in network.groups]
    if own != groups:
        other = next((name for name, width in groups if [name, width] not in own), "its layers")
        raise ModelError(f"{path}: it was made of another network than this {type(module).__name__}: see {other!r}")
    cut = network.at(tuple(map(tuple, channels))).module
    try:
        cut.load_state_dict(record["state_dict"])
    except RuntimeError as error:
        raise ModelError(f"{path}: its weights do not fit {type(module).__name__}: {error}") from error
    return cut
