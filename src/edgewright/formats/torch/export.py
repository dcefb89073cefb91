"""A module as torch.export sees it."""

import copy
import traceback
import warnings
from collections.abc import Container, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import fx, nn

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


def exported(module: nn.Module, example_inputs: Inputs, known: Container[str]) -> Any:
    """The module's program in ATen ops: those whose names are `known` left whole, others taken apart where they can be.

    An op that works in place makes a new value in it, as nothing else reads what it overwrites.

    Raises ModelError in one line that says where and why torch.export refuses the module.
    """
    args, kwargs = arguments(example_inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, args, kwargs, strict=False)
            calls = [node for node in program.graph.nodes if node.op == "call_function"]
            unknown = {node.target for node in calls if name_of(node) not in known and hasattr(node.target, "_schema")}
            table = _decompositions(unknown) if unknown else {}
            return program.run_decompositions(table) if table or not all(map(_is_pure, calls)) else program
    except Exception as error:
        raise ModelError(refusal(module, example_inputs, error)) from error


def name_of(node: fx.Node) -> str:
    """The name of an ATen op, without its overload and the mark of those that work in place."""
    name = str(getattr(node.target, "__name__", node.target)).partition(".")[0]
    return name.removesuffix("_")


def _decompositions(unknown: Container[Any]) -> dict[Any, Any]:
    return {op: rule for op, rule in torch.export.default_decompositions().items() if op in unknown}


def _is_pure(node: fx.Node) -> bool:
    """Whether a call may be taken for one that makes a new value: what it overwrites is read by nothing else."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return True
    target = node.args[0] if node.args else None
    written = [place for place, argument in enumerate(schema.arguments) if argument.is_write]
    if written != [0] or not isinstance(target, fx.Node) or target.op != "call_function":
        return False
    return len(target.users) == 1 and not _is_view(target)


def _is_view(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return True
    return any(part.alias_info is not None and not part.alias_info.is_write for part in schema.returns)


def run(module: nn.Module, example_inputs: Inputs) -> None:
    """Run a module in eval mode. Raises ModelError where it does not run on these inputs."""
    args, kwargs = arguments(example_inputs)
    try:
        with torch.no_grad():
            twin(module)(*args, **kwargs)
    except Exception as error:
        name = type(module).__name__
        raise ModelError(
            f"{name}: the module does not run on these inputs{place_of(error)}: {first_line(error)}"
        ) from error


def refusal(module: nn.Module, example_inputs: Inputs, error: Exception, by: str = "torch.export") -> str:
    """One line for a module that torch refuses: where, why, and what usually helps."""
    try:
        run(module, example_inputs)
    except ModelError as own:
        return str(own)
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return f"{type(module).__name__}: {by} refuses the module{place_of(error)}: {first_line(error)}: {_help(error)}"


_HELP: Mapping[str, str] = MappingProxyType(
    {
        "data-dependent": "what is done depends on a tensor's values: use torch.where, or decide outside of forward",
        "item()": "a number is taken out of a tensor: compute with the tensor, or take the number outside of forward",
        "PackedSequence": "give padded sequences as plain tensors",
        "pack_padded": "give padded sequences as plain tensors",
        "input type": "let forward take and give tensors, in tuples, lists and dicts alone",
    }
)


def _help(error: Exception) -> str:
    text = str(error)
    found = next((advice for mark, advice in _HELP.items() if mark.lower() in text.lower()), "")
    return found or "write the forward of this part in plain tensor operations, without libraries of other kinds"


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def place_of(error: Exception) -> str:
    """The last line of code outside of torch that ran, as ` at FILE, line N (CODE)`; empty where there is none."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    return f" at {frames[-1].filename}, line {frames[-1].lineno} ({frames[-1].line})" if frames else ""
