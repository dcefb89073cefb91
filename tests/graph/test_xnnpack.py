"""What XNNPACK runs as one operator."""

import pytest

from edgewright.graph.layers import layer_of
from edgewright.graph.types import Graph, Op, Tensor, Window
from edgewright.graph.xnnpack import Part, parts_of

PLAIN = Window((3, 3), (2, 2), (1, 1), ((0, 0), (0, 0)))
AROUND = ((0, 0), (1, 1), (1, 1), (0, 0))


def chain(*ops: Op, outputs: tuple[str, ...] = ("y",), side: int = 17) -> Graph:
    """A network of maps of four channels: `x` in, every tensor an NHWC map of that side, `w` the weights."""
    names = {"x", *outputs, *(name for op in ops for name in (*op.inputs, *op.outputs))} - {"w"}
    tensors = {name: Tensor(name, (1, side, side, 4), "float32", "NHWC") for name in sorted(names)}
    tensors["w"] = Tensor("w", (4, 3, 3, 4), is_constant=True)
    return Graph(ops, tensors, ("x",), outputs)


def conv(given: str, made: str, **attributes: object) -> Op:
    return Op(made, "conv", (given, "w"), (made,), PLAIN, attributes={"groups": 1, **attributes})


def pad(given: str, made: str, padding: object = AROUND, value: float = 0.0) -> Op:
    return Op(made, "pad", (given,), (made,), variant="constant", attributes={"padding": padding, "value": value})


def relu(given: str, made: str) -> Op:
    return Op(made, "unary", (given,), (made,), variant="relu")


def told(parts: tuple[Part, ...]) -> list[tuple[str, str, str]]:
    return [(part.op.kind, part.source, part.output) for part in parts]


def test_a_padding_and_an_activation_go_into_the_convolution_between_them() -> None:
    graph = chain(pad("x", "p"), conv("p", "c"), relu("c", "y"))
    (part,) = parts_of(graph)
    assert told((part,)) == [("conv", "x", "y")]
    layer = part.applied(layer_of(part.op, graph))
    assert layer.fused == ("relu",)
    assert layer.window is not None
    assert layer.window.padding == ((1, 1), (1, 1))


def test_nothing_is_fused_without_xnnpack() -> None:
    graph = chain(pad("x", "p"), conv("p", "c"), relu("c", "y"))
    assert [part.op.kind for part in parts_of(graph, xnnpack=False)] == ["pad", "conv", "unary"]


@pytest.mark.parametrize(
    "graph",
    [
        chain(conv("x", "c"), relu("c", "y"), outputs=("y", "c")),
        chain(conv("x", "c"), relu("c", "y"), relu("c", "z"), outputs=("y", "z")),
        chain(conv("x", "c", fused=("relu",)), relu("c", "y")),
        chain(conv("x", "c"), Op("y", "unary", ("c",), ("y",), variant="tanh")),
        chain(Op("c", "binary", ("x", "x"), ("c",), variant="add"), relu("c", "y")),
    ],
    ids=["an output", "read twice", "has one", "no clamp", "after a sum"],
)
def test_other_activations_stay_ops_of_their_own(graph: Graph) -> None:
    assert len(parts_of(graph)) == len(graph.ops)


@pytest.mark.parametrize(
    "graph",
    [
        chain(pad("x", "p", value=1.0), conv("p", "y")),
        chain(pad("x", "p", ((0, 0), (1, 1), (1, 1), (0, 1))), conv("p", "y")),
        chain(pad("x", "p"), conv("p", "y"), conv("p", "z"), outputs=("y", "z")),
        chain(pad("x", "p"), Op("y", "max_pool", ("p",), ("y",), PLAIN)),
    ],
    ids=["of ones", "of channels", "read twice", "before a pool"],
)
def test_other_paddings_stay_ops_of_their_own(graph: Graph) -> None:
    assert len(parts_of(graph)) == len(graph.ops)


def test_a_padding_of_the_zero_point_is_one_of_zeros() -> None:
    graph = chain(pad("x", "p", value=-7), conv("p", "y", input_zero_point=-7))
    assert told(parts_of(graph)) == [("conv", "x", "y")]
    assert len(parts_of(chain(pad("x", "p", value=0), conv("p", "y", input_zero_point=-7)))) == 2
