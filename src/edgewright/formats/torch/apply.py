"""Width edits applied to a live module."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from edgewright.errors import ModelError
from edgewright.formats.torch.attributes import follow
from edgewright.formats.torch.export import Inputs, arguments, first_line, place_of
from edgewright.formats.torch.layered import Layered, restored
from edgewright.formats.torch.read import Reading, understand
from edgewright.formats.torch.surgery import carry_over, named_tensors, resize, resizes
from edgewright.graph.types import Graph
from edgewright.graph.width_edits import SetWidth
from edgewright.graph.width_effects import with_widths


def apply_widths(
    module: nn.Module,
    edits: Sequence[SetWidth],
    example_inputs: Inputs,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    reading: Reading | None = None,
) -> nn.Module:
    """A copy of the module whose layers really are smaller or larger; the module itself stays as it was.

    `edits` speak of the channel groups of `read_module(module, example_inputs)`; `reading` may hand over what
    `understand` found for them. New channels hold the members' fills. Parameters, buffers and the attributes of torch's
    modules (`in_channels`, `num_features`, `hidden_size`, ...) follow. With `optimizer`, an optimizer of the module,
    this goes on with the copy: its state is cut and grown alike.

    Raises ModelError, with the optimizer unchanged, where the script does not fit the module, and where the copy does
    not run, as the module's code holds a number of channels: the line that does is named.
    """
    reading = reading or understand(module, example_inputs)
    _check_computed(module, edits, reading)
    after = with_widths(reading.graph, edits)
    changes = resizes(edits, reading.storage, {name: tuple(t.shape) for name, t in named_tensors(module).items()})
    cut = copy.deepcopy(module)
    for parameter in cut.parameters():
        parameter.grad = None
    resize(cut, changes)
    _follow(cut, reading, after)
    _check(cut, example_inputs, after)
    if optimizer is not None:
        carry_over(optimizer, module, cut, changes)
    return cut


def _check_computed(module: nn.Module, edits: Sequence[SetWidth], reading: Reading) -> None:
    """Raises ModelError where a width changes of a constant that the module's code makes, and its items are not alike.

    One of alike items is made in the right size by code that computes the size; it is not zero for new channels, where
    those are to be zero, if it is not zero anywhere.
    """
    for edit in edits:
        if edit.kept == tuple(range(edit.group.width)) and not edit.added:
            continue
        for member in edit.group.members:
            value = reading.computed.get(member.tensor, 0.0)
            if value is None or (edit.added and value):
                raise ModelError(
                    f"{type(module).__name__}: the width of {edit.group.name!r} is also that of {member.tensor!r}, "
                    "which the module's code makes: make it a buffer or a parameter"
                )


def _follow(cut: nn.Module, reading: Reading, after: Graph) -> None:
    """Keep the attributes of the modules true whose ops touch another width."""
    changed = {name for name, tensor in after.tensors.items() if tensor != reading.graph.tensors[name]}
    for op in after.ops:
        if changed & {*op.inputs, *op.outputs}:
            part = cut.get_submodule(reading.modules[op.name])
            follow(part, op, after)
            if op.name in reading.zero_states and isinstance(part, Layered):
                part.starts_at_zero = True
    for part in cut.modules():
        restored(part)


def _check(cut: nn.Module, example_inputs: Inputs, after: Graph) -> None:
    """Run the copy once. Raises ModelError where it does not run, or gives outputs of another shape."""
    args, kwargs = arguments(example_inputs)
    was_training = {module: module.training for module in cut.modules()}
    try:
        cut.eval()
        with torch.no_grad():
            found = cut(*args, **kwargs)
    except Exception as error:
        raise ModelError(
            f"{type(cut).__name__}: with other widths the module does not run{place_of(error)}: {first_line(error)}; "
            "a number of channels is written there: compute it from the input (x.flatten(1), x.view(x.size(0), -1))"
        ) from error
    finally:
        for module, training in was_training.items():
            module.training = training
    shapes = [tuple(tensor.shape) for tensor in torch.utils._pytree.tree_leaves(found) if hasattr(tensor, "shape")]
    wanted = [after.tensors[name].shape for name in after.outputs]
    if not set(wanted) <= set(shapes):
        raise ModelError(f"{type(cut).__name__}: with other widths the outputs are {shapes} and not {wanted}")
