"""Which ops of a file an executed layer stands for."""

from edgewright.graph.types import Graph, LayerSpec, Op, Tensor
from edgewright.report.origins import origins


def network(*ops: tuple[str, str, list[str], str]) -> Graph:
    made = tuple(Op(name, kind, tuple(inputs), (output,)) for name, kind, inputs, output in ops)
    names = {name for op in made for name in (*op.inputs, *op.outputs)}
    return Graph(made, {name: Tensor(name, (1, 8)) for name in names}, ("x",), (made[-1].outputs[0],))


def layer(kind: str, *fused: str) -> LayerSpec:
    return LayerSpec(kind, ((1, 8),), ((1, 8),), fused=fused)


GRAPH = network(
    ("pad", "pad", ["x"], "p"),
    ("conv", "conv", ["p"], "c"),
    ("norm", "normalization", ["c"], "n"),
    ("sigmoid", "unary", ["n"], "s"),
    ("mul", "binary", ["n", "s"], "m"),
    ("pool", "max_pool", ["m"], "q"),
    ("flatten", "reshape", ["q"], "f"),
    ("dense", "fully_connected", ["f"], "y"),
)


def test_ops_folded_in_front_and_behind() -> None:
    made = [("c_nchwc", "reorder_1", layer("conv", "swish")), ("pool_k", "q", layer("max_pool")),
            ("dense_k", "y", layer("fully_connected"))]  # fmt: skip
    assert origins(GRAPH, made) == (("conv", "pad", "norm", "sigmoid", "mul"), ("pool",), ("dense", "flatten"))


def test_a_layer_named_after_its_last_tensor() -> None:
    made = [("k", "m", layer("conv", "swish")), ("reorder", "m_reordered", layer("reorder")),
            ("k2", "q", layer("max_pool")), ("k3", "y", layer("fully_connected"))]  # fmt: skip
    assert origins(GRAPH, made)[0] == ("conv", "pad", "norm", "sigmoid", "mul")
    assert origins(GRAPH, made)[1] == ()


def test_every_op_stands_once() -> None:
    made = [("k", "m", layer("conv")), ("k", "m", layer("conv")), ("k3", "y", layer("fully_connected"))]
    found = [name for ops in origins(GRAPH, made) for name in ops]
    assert sorted(found) == sorted(op.name for op in GRAPH.ops)
