"""The arena of LiteRT and the workspace of XNNPACK, and the arena against the runtime's own."""

import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tflite_networks import networks

from edgewright.formats.tflite import read
from edgewright.graph.types import Graph, Op, Tensor
from edgewright.memory.litert import Delegate, predict_peak
from edgewright.memory.verify import violations

MAP = (1, 8, 8, 16)
BYTES = 8 * 8 * 16 * 4


def network(*ops: Op, outputs: tuple[str, ...] = ("y",)) -> Graph:
    names = ["x", *(name for op in ops for name in op.outputs)]
    return Graph(ops, {name: Tensor(name, MAP, "float32", "NHWC") for name in names}, ("x",), outputs)


def op(kind: str, inputs: str, made: str) -> Op:
    return Op(made, kind, tuple(inputs.split()), (made,), variant="add" if kind == "binary" else "abs")


CHAIN = network(op("transpose", "x", "a"), op("transpose", "a", "b"), op("transpose", "b", "y"))
WHOLE = Delegate(("x",), ("y",))


def test_what_xnnpack_keeps_inside_lies_in_its_workspace() -> None:
    peak = predict_peak(CHAIN, [WHOLE])
    assert peak.workspace.peak_bytes == 2 * BYTES
    assert peak.arena.peak_bytes == 2 * BYTES
    assert set(peak.arena.offsets_bytes) == {"x", "y"}


def test_without_xnnpack_everything_lies_in_the_arena() -> None:
    peak = predict_peak(CHAIN, [])
    assert peak.workspace_bytes == 0
    assert peak.arena.peak_bytes == 3 * BYTES  # the input is kept
    assert violations(CHAIN, peak.arena) == ()


def test_the_workspace_is_shared_by_all_delegates() -> None:
    graph = network(*(op("transpose", given, made) for given, made in ("xa", "ab", "bc", "cd", "de", "ey")))
    both = predict_peak(graph, [Delegate(("x",), ("b",)), Delegate(("c",), ("y",))])
    assert both.workspace.peak_bytes == max(
        predict_peak(graph, [one]).workspace.peak_bytes for one in (Delegate(("x",), ("b",)), Delegate(("c",), ("y",)))
    )


@pytest.mark.parametrize(
    ("ops", "maps"),
    [
        ((op("transpose", "x", "a"), op("unary", "a", "b"), op("transpose", "b", "y")), 1),
        ((op("transpose", "x", "a"), op("binary", "a x", "b"), op("transpose", "b", "y")), 1),
        ((op("transpose", "x", "a"), op("binary", "x a", "b"), op("transpose", "b", "y")), 1),
        ((op("transpose", "x", "a"), op("softmax", "a", "b"), op("transpose", "b", "y")), 1),
        ((op("transpose", "x", "a"), op("unary", "a", "b"), op("binary", "b a", "y")), 2),
        ((op("transpose", "x", "a"), op("unary", "a", "b"), op("binary", "b b", "y")), 2),
    ],
    ids=[
        "over its operand",
        "over the first operand",
        "over the second",
        "softmax over its operand",
        "not over what is read again",
        "not where the result is read twice",
    ],
)
def test_elementwise_operators_write_over_an_operand(ops: tuple[Op, ...], maps: int) -> None:
    assert predict_peak(network(*ops), [WHOLE]).workspace.peak_bytes == maps * BYTES


def delegates_of(interpreter: Interpreter) -> list[Delegate]:
    names = {details["index"]: details["name"] for details in interpreter.get_tensor_details()}
    return [
        Delegate(*(tuple(names[index] for index in taken[side] if index in names) for side in ("inputs", "outputs")))
        for taken in interpreter._get_ops_details()
        if taken["op_name"] == "DELEGATE"
    ]


def span_of(interpreter: Interpreter, names: set[str]) -> int:
    """Bytes from the first to the last of some tensors, where the runtime has put them."""
    places = []
    for details in interpreter.get_tensor_details():
        if details["name"] in names:
            view = interpreter.tensor(details["index"])()
            start = view.__array_interface__["data"][0]
            places.append((start, start + view.nbytes))
            del view
    return max(stop for _, stop in places) - min(start for start, _ in places)


@pytest.mark.parametrize("style", ["float", "int8"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_arena_is_as_large_as_the_runtimes(style: str, data: st.DataObject) -> None:
    model = data.draw(networks(style))
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    graph = read(model)
    peak = predict_peak(graph, delegates_of(interpreter))
    assert span_of(interpreter, set(peak.arena.offsets_bytes)) == peak.arena.peak_bytes


@pytest.mark.parametrize(
    ("first", "rows"), [("fully_connected", 2), ("transpose", 1)], ids=["an input is copied", "its own tensor is not"]
)
def test_a_fully_connected_operator_reads_rows(first: str, rows: int) -> None:
    shapes = {name: Tensor(name, (1, 32), "float32") for name in "xay"}
    weights = {name: Tensor(name, (32, 32), "float32", is_constant=True) for name in "vw"}
    ops = (Op("a", first, ("x", "v"), ("a",)), Op("y", "fully_connected", ("a", "w"), ("y",)))
    graph = Graph(ops, shapes | weights, ("x",), ("y",))
    assert predict_peak(graph, [WHOLE]).workspace.peak_bytes == rows * 128


def test_tensors_of_the_workspace_lie_at_multiples_of_64_bytes() -> None:
    shapes = {name: Tensor(name, (1, 17), "float32") for name in "xaby"}
    ops = tuple(op("transpose", given, made) for given, made in ("xa", "ab", "by"))
    assert predict_peak(Graph(ops, shapes, ("x",), ("y",)), [WHOLE]).workspace.peak_bytes == 2 * 128
