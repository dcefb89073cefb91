"""Which networks declare the shapes of what is cut late."""

from edgewright.graph.types import Graph


def declares_cuts(graph: Graph) -> bool:
    """Whether the shapes of slices that wait (`edits.Slice.after`) are declared in the file.

    Runtimes can't tell them beforehand, and then neither take a sum of two maps into the convolution before it nor
    compute in place. Where there are no such sums it is better left undeclared: the default settings of ONNX Runtime,
    which keep buffers for later tensors of the same known shape, hold less memory so.
    """
    return any(
        op.variant == "add"
        and len({name for name in op.inputs if name and not graph.tensors[name].is_constant}) == 2
        and all(graph.tensors[name].shape == graph.tensors[op.outputs[0]].shape for name in op.inputs)
        and len(graph.tensors[op.outputs[0]].shape) == 4
        for op in graph.ops
        if op.kind == "binary"
    )
