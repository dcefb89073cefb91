"""A module as torch.export sees it."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from edgewright.errors import ModelError
from edgewright.formats.torch.layered import free_all

Inputs = Any
"""Example inputs of a module: a tensor, a tuple of positional arguments, or a mapping of keyword arguments."""


def arguments(example_inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call."""
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    if isinstance(example_inputs, tuple | list):
        return tuple(example_inputs), {}
    return (example_inputs,), {}


def twin(module: nn.Module) -> nn.Module:
    """A copy of a module in eval mode that shares parameters and buffers with it."""
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, shared).eval()


def freed_twin(module: nn.Module, stacks_states: bool) -> nn.Module:
    """A twin whose recurrent and attention modules are traced alike whatever their widths."""
    found = twin(module)
    free_all(found, stacks_states)
    return found


def exported(module: nn.Module, example_inputs: Inputs) -> Any:
    """The module's program in functional ATen ops, composite ones (convolutions, recurrent layers) left whole.

    Raises ModelError in one line that says where and why torch.export refuses it.
    """
    args, kwargs = arguments(example_inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, args, kwargs, strict=False)
            return program.run_decompositions({})
    except Exception as error:
        raise ModelError(refusal(module, error)) from error


def refusal(module: nn.Module, error: Exception) -> str:
    """One line for a module that torch.export refuses: where, why, and what usually helps."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = lines[0] if lines else type(error).__name__
    return f"{type(module).__name__}: torch.export refuses the module: {type(error).__name__}: {why}"
