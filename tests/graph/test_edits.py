"""The edit script on a graph: what each edit makes, where it stands, and what is refused."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.errors import ModelError, UnsupportedModelError
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice, apply
from edgewright.graph.ordering import stable_order
from edgewright.graph.types import Graph, Op, Tensor, Window

WINDOW = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))


def network() -> Graph:
    """x -> conv -> relu -> pool -> out, and the relu is an output too."""
    ops = (
        Op("conv", "conv", ("x", "w"), ("a",), WINDOW, attributes={"groups": 1, "fused": ()}),
        Op("relu", "unary", ("a",), ("b",), variant="relu"),
        Op("pool", "max_pool", ("b",), ("out",), replace(WINDOW, stride=(2, 2)), attributes={"ceil_mode": False}),
    )
    tensors = {name: Tensor(name, (1, 4, 9, 8), axes="NCHW") for name in "xab"}
    tensors["w"] = Tensor("w", (4, 4, 3, 3), is_constant=True)
    tensors["out"] = Tensor("out", (1, 4, 5, 4), axes="NCHW")
    return Graph(ops, tensors, ("x",), ("out", "b"))


def two_strips() -> list[Edit]:
    return [
        RemoveOp("conv"),
        Slice("cut0", "x", "x0", (2,), (0,), (6,)),
        CloneOp("conv0", "conv", ("x0", "w"), ("a0",), ((1, 0), (1, 1))),
        Slice("cut1", "x", "x1", (2,), (4,), (9,)),
        CloneOp("conv1", "conv", ("x1", "w"), ("a1",), ((0, 1), (1, 1))),
        Concat("join", ("a0", "a1"), "a", 2),
    ]


def names(graph: Graph) -> list[str]:
    return [op.name for op in graph.ops]


def test_a_convolution_in_two_strips() -> None:
    graph = apply(network(), two_strips())
    assert names(graph) == ["cut0", "conv0", "cut1", "conv1", "join", "relu", "pool"]
    shapes = {name: graph.tensors[name].shape[2] for name in ("x0", "a0", "x1", "a1", "a")}
    assert shapes == {"x0": 6, "a0": 5, "x1": 5, "a1": 4, "a": 9}
    assert all(graph.tensors[name].axes == "NCHW" for name in shapes)
    clone = graph.ops[1]
    assert (clone.kind, clone.inputs, clone.attributes) == ("conv", ("x0", "w"), {"groups": 1, "fused": ()})
    assert clone.window == replace(WINDOW, padding=((1, 0), (1, 1)))
    assert graph.ops[0].attributes == {"axes": (2,), "starts": (0,), "ends": (6,), "steps": (1,)}
    assert (graph.inputs, graph.outputs) == (("x",), ("out", "b"))


def test_an_empty_script_changes_nothing() -> None:
    assert apply(network(), []) == network()


def test_inserted_ops_stand_where_the_last_op_was_removed() -> None:
    script = [RemoveOp("relu"), CloneOp("copy", "relu", ("a",), ("b",)), RemoveOp("pool"),
              CloneOp("half", "pool", ("b",), ("out",))]  # fmt: skip
    assert names(apply(network(), script)) == ["conv", "copy", "half"]


def test_without_a_removal_they_stand_as_early_as_they_can() -> None:
    script = [CloneOp("late", "relu", ("b",), ("c",)), CloneOp("early", "relu", ("x",), ("d",))]
    assert names(apply(network(), script)) == ["early", "conv", "relu", "late", "pool"]


def test_an_op_that_comes_too_early_is_moved_back_as_little_as_it_must() -> None:
    script = [RemoveOp("pool"), RemoveOp("conv"), CloneOp("half", "pool", ("b",), ("out",)),
              CloneOp("again", "conv", ("x", "w"), ("a",))]  # fmt: skip
    assert names(apply(network(), script)) == ["again", "relu", "half"]


def test_an_empty_slice_makes_an_empty_tensor() -> None:
    graph = apply(network(), [Slice("none", "x", "c", (2,), (4,), (4,)), Concat("join", ("c", "x"), "d", 2)])
    assert graph.tensors["c"].shape == (1, 4, 0, 8)
    assert graph.tensors["d"].shape == (1, 4, 9, 8)


def test_a_slice_that_waits_reads_starts_that_hang_on_the_tensor() -> None:
    script = two_strips()
    script[3] = Slice("cut1", "x", "x1", (2,), (4,), (9,), after="a0")
    graph = apply(network(), script)
    assert names(graph)[:7] == ["cut0", "conv0", "cut1.item", "cut1.zero", "cut1.starts", "cut1", "conv1"]
    cut = graph.ops[5]
    assert cut.inputs == ("x", "cut1.starts")
    assert graph.tensors["cut1.index"] == Tensor("cut1.index", (1, 1, 4), "int64", "", True)
    assert graph.tensors["cut1.item"] == Tensor("cut1.item", (1, 1))
    assert graph.tensors["cut1.zero"] == Tensor("cut1.zero", (1,), "int64")
    assert graph.tensors["cut1.starts"].shape == (1,)


def test_a_slice_of_a_constant_is_a_constant_and_no_op() -> None:
    script = [Slice("cut", "w", "half", (0,), (0,), (2,)), Slice("late", "w", "rest", (0,), (2,), (4,), after="a"),
              Concat("join", ("half", "rest"), "v", 0),
              RemoveOp("conv"), CloneOp("narrow", "conv", ("x", "v"), ("a",))]  # fmt: skip
    graph = apply(network(), script)
    assert names(graph) == ["narrow", "relu", "pool"]
    assert graph.tensors["v"] == Tensor("v", (4, 4, 3, 3), is_constant=True)
    assert set(graph.tensors) == {"x", "v", "a", "b", "out"}


def test_padding_by_an_op() -> None:
    padding = ((0, 0), (0, 0), (1, 2), (0, 3))
    graph = apply(network(), [Pad("pad", "b", "c", padding, -inf), CloneOp("again", "relu", ("c",), ("d",))])
    assert graph.tensors["d"].shape == (1, 4, 12, 11)
    assert next(op for op in graph.ops if op.name == "pad").attributes == {"padding": padding, "value": -inf}


def quantized() -> Graph:
    """x (float) -> quantize -> max pool -> slice -> dequantize."""
    ops = (
        Op("q", "quantize", ("x", "s"), ("a",), attributes={"operands": (0,), "output_scale": 0.5,
                                                            "output_zero_point": 7}),
        Op("pool", "max_pool", ("a",), ("b",), replace(WINDOW, stride=(2, 2)), attributes={"ceil_mode": False}),
    )  # fmt: skip
    tensors = {"x": Tensor("x", (1, 4, 9, 8)), "s": Tensor("s", (), is_constant=True)}
    tensors |= {"a": Tensor("a", (1, 4, 9, 8), "uint8"), "b": Tensor("b", (1, 4, 5, 4), "uint8")}
    return Graph(ops, tensors, ("x",), ("b",))


@pytest.mark.parametrize(("value", "stored"), [(0.0, 7), (1.0, 9), (-inf, 0), (1000.0, 255), (-1000.0, 0)])
def test_padding_of_a_quantized_tensor_is_by_its_zero_point(value: float, stored: int) -> None:
    padding = ((0, 0), (0, 0), (1, 1), (1, 1))
    for tensor in ("a", "b"):
        graph = apply(quantized(), [Pad("pad", tensor, "c", padding, value)])
        assert next(op for op in graph.ops if op.name == "pad").attributes["value"] == stored


def test_padding_needs_a_zero_point() -> None:
    graph = quantized()
    graph = replace(graph, ops=(replace(graph.ops[0], attributes={"operands": (0,)}), graph.ops[1]))
    with pytest.raises(UnsupportedModelError, match="zero point of tensor 'a'"):
        apply(graph, [Pad("pad", "a", "c", ((0, 0), (0, 0), (1, 1), (1, 1)))])


REFUSED: list[tuple[list[Edit], str]] = [
    ([RemoveOp("none")], "no op 'none'"),
    ([RemoveOp("conv"), RemoveOp("conv")], "removed twice"),
    ([RemoveOp("conv")], "'a' is read, and nothing makes it"),
    ([RemoveOp("pool")], "'out' is read, and nothing makes it"),
    ([Slice("s", "none", "c", (2,), (0,), (1,))], "no tensor 'none'"),
    ([Slice("s", "a", "c", (2,), (0,), (10,))], "cuts 0:10 on axis 2"),
    ([Slice("s", "a", "c", (2,), (3,), (2,))], "cuts 3:2"),
    ([Slice("s", "a", "c", (4,), (0,), (1,))], "axis 4"),
    ([Slice("s", "a", "b", (2,), (0,), (9,))], "'b' is made twice"),
    ([Slice("s", "a", "x", (2,), (0,), (9,))], "'x' is made twice"),
    ([Slice("s", "a", "w", (2,), (0,), (9,))], "'w' is made twice"),
    ([Slice("relu", "a", "c", (2,), (0,), (9,))], "two ops 'relu'"),
    ([Slice("s", "x", "c", (2,), (0,), (9,), after="w")], "'w', which is constant"),
    ([RemoveOp("relu"), Slice("s", "a", "b", (2,), (0,), (8,))], r"'b' changes from \(1, 4, 9, 8\)"),
    ([Concat("j", ("a", "out"), "c", 1)], "can't join"),
    ([Concat("j", ("a", "b"), "c", 4)], "can't join"),
    ([Pad("p", "a", "c", ((0, 0),))], "does not fit"),
    ([Pad("p", "a", "c", ((0, 0), (0, 0), (-1, 0), (0, 0)))], "does not fit"),
    ([CloneOp("c", "conv", ("x",), ("c",))], "other operands"),
    ([CloneOp("c", "conv", ("x", "w"), ("c",), ((1, 1),))], "padding of clone 'c'"),
    ([CloneOp("c", "conv", ("x", "w"), ("c",), ((-1, 1), (0, 0)))], "padding of clone 'c'"),
    ([CloneOp("c", "relu", ("a",), ("c",), ((1, 1), (0, 0)))], "padding of clone 'c'"),
    ([CloneOp("c", "conv", ("x", "w"), ("c",), None, (("groups", 2),))], "can't replace groups"),
    ([RemoveOp("conv"), CloneOp("c", "conv", ("b", "w"), ("a",))], "cycle"),
    ([Slice("s", "x", "c", (2,), (0,), (1,)), CloneOp("k", "conv", ("c", "w"), ("d",), ((0, 0), (0, 0)))],
     "make nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_script_that_does_not_fit_is_refused(script: list[Edit], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        apply(network(), script)


def _cloned(op: Op, inputs: list[tuple[int, ...]], made: tuple[int, ...], cut: tuple[int, ...], **clone: Any) -> Any:
    """The shape that a clone makes of another first input."""
    tensors = {f"x{i}": Tensor(f"x{i}", shape, axes="NCHW") for i, shape in enumerate(inputs)}
    op = replace(op, name="op", inputs=tuple(tensors), outputs=("y",))
    tensors |= {"y": Tensor("y", made, axes="NCHW"), "z": Tensor("z", cut, axes="NCHW")}
    graph = Graph((op,), tensors, (*op.inputs, "z"), ("y",))
    script = [CloneOp("clone", "op", ("z", *op.inputs[1:]), ("made",), **clone)]
    return apply(graph, script).tensors["made"].shape


def test_the_shape_of_a_clone_follows_from_its_inputs() -> None:
    full, part = (1, 4, 9, 8), (1, 4, 5, 8)
    strided = replace(WINDOW, stride=(2, 2))
    pool = Op("", "max_pool", (), (), strided, attributes={"ceil_mode": True})
    assert _cloned(pool, [full], (1, 4, 5, 5), part, padding=((0, 0), (1, 1))) == (1, 4, 2, 5)
    exact = (("ceil_mode", False),)
    assert _cloned(pool, [full], (1, 4, 5, 5), part, padding=((1, 0), (1, 1)), attributes=exact) == (1, 4, 2, 4)
    assert _cloned(pool, [full], (1, 4, 5, 5), (1, 4, 4, 8), padding=((1, 0), (1, 1))) == (1, 4, 2, 5)
    transposed = Op("", "transposed_conv", (), (), strided, attributes={"output_padding": (1, 0), "groups": 1})
    assert _cloned(transposed, [full], (1, 6, 18, 15), part) == (1, 6, 10, 15)
    resize = Op("", "resize", (), (), attributes={"scales": (1.0, 1.0, 2.0, 2.0)})
    assert _cloned(resize, [full], (1, 4, 18, 16), part) == (1, 4, 10, 16)
    deep = Op("", "reorder", (), (), variant="depth_to_space", attributes={"block_size": 2})
    assert _cloned(deep, [full], (1, 1, 18, 16), part) == (1, 1, 10, 16)
    flat = Op("", "reduction", (), (), attributes={"axes": (1,), "keepdims": True})
    assert _cloned(flat, [full], (1, 1, 9, 8), part) == (1, 1, 5, 8)
    order = Op("", "transpose", (), (), attributes={"perm": (0, 2, 3, 1)})
    assert _cloned(order, [full], (1, 9, 8, 4), part) == (1, 5, 8, 4)
    padded = Op("", "pad", (), (), attributes={"padding": ((0, 0), (0, 0), (1, 1), (2, 2)), "value": 0.0})
    assert _cloned(padded, [full], (1, 4, 11, 12), part, padding=((0, 0), (0, 0), (0, 1), (2, 2))) == (1, 4, 6, 12)
    channels = Op("", "slice", (), (), attributes={"axes": (1, 2), "starts": (1, 0), "ends": (3, 9), "steps": (1, 1)})
    assert _cloned(channels, [full], (1, 2, 9, 8), part) == (1, 2, 5, 8)
    total = Op("", "binary", (), (), variant="add")
    assert _cloned(total, [full, (4, 1, 1)], full, part) == part


def test_an_op_that_is_not_understood_is_cloned_with_its_own_shapes_only() -> None:
    op = Op("", "other", (), (), variant="mystery")
    assert _cloned(op, [(2, 3)], (5, 7), (2, 3)) == (5, 7)
    with pytest.raises(UnsupportedModelError, match="'op' \\(mystery\\)"):
        _cloned(op, [(2, 3)], (5, 7), (2, 2))


@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8))
def test_a_stable_order_is_an_order_and_keeps_one_that_is_possible(reads: list[list[int]]) -> None:
    needed = [{str(name) for name in names} for names in reads]
    makes = [[str(index)] for index in range(len(reads))]
    order = stable_order(needed, makes)
    place = {step: index for index, step in enumerate(order)}
    makers = range(len(reads))
    for step in order:
        assert all(place[maker] < place[step] for maker in makers if str(maker) in needed[step])
    if all(int(name) < step or int(name) >= len(reads) for step, names in enumerate(needed) for name in names):
        assert order == list(makers)
    stuck = set(makers) - set(order)
    assert all(any(str(maker) in needed[step] for maker in stuck) for step in stuck)
