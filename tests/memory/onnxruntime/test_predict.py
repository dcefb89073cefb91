"""Peaks of small networks whose live sets are known."""

from dataclasses import replace

import pytest

from edgewright.graph.types import Graph, Op, Tensor, Window
from edgewright.memory.onnxruntime import predict_peak
from edgewright.memory.onnxruntime.arena import PAGE, Arena
from edgewright.memory.onnxruntime.frame import frame_bytes
from edgewright.memory.onnxruntime.planner import Event, events, is_of_loading
from edgewright.memory.onnxruntime.predict import executed
from edgewright.memory.onnxruntime.replay import mapped_peak

SIZE = 1 << 20
"""Bytes of one feature map of the networks here."""

SHAPE = (1, 16, 128, 128)


def network(*ops: Op, inputs: tuple[str, ...] = ("x",), outputs: tuple[str, ...] = ("y",)) -> Graph:
    names = {name for op in ops for name in (*op.inputs, *op.outputs)} | {*inputs, *outputs}
    weights = {"w": (16, 16, 3, 3), "thin": (16, 3, 3, 3)}
    tensors = {n: Tensor(n, weights.get(n, SHAPE), axes="NCHW", is_constant=n in weights) for n in names}
    return Graph(ops, tensors, inputs, outputs)


def op(kind: str, inputs: str, outputs: str, variant: str = "", **attributes: object) -> Op:
    return Op(outputs, kind, tuple(inputs.split()), tuple(outputs.split()), None, variant, attributes)


def conv(inputs: str, output: str) -> Op:
    window = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
    return Op(output, "conv", (*inputs.split(), "w"), (output,), window, "", {"groups": 1})


def held(graph: Graph, settings: str = "lean") -> float:
    """Feature maps at the peak, the input left out."""
    prediction = predict_peak(graph, settings, block=1)  # type: ignore[arg-type]
    return (prediction.activations_bytes + prediction.outputs_bytes) / SIZE


def test_a_chain_holds_two_maps() -> None:
    assert held(network(op("unary", "x", "a", "sin"), op("unary", "a", "b", "sin"), op("unary", "b", "y", "sin"))) == 2


def test_an_activation_works_in_place_but_never_on_the_input_of_the_network() -> None:
    assert held(network(op("unary", "x", "a", "relu"), op("unary", "a", "b", "relu"), op("pad", "b", "y"))) == 2
    assert held(network(op("unary", "x", "a", "relu"), op("transpose", "x a", "y"))) == 2


def test_an_activation_does_not_write_over_what_is_still_read() -> None:
    graph = network(op("pad", "x", "a"), op("unary", "a", "b", "relu"), op("binary", "a b", "y", "add"))
    assert held(graph) == 3


def test_a_reshape_is_a_view() -> None:
    graph = network(op("pad", "x", "a"), op("reshape", "a", "b"), op("reshape", "b", "c"), op("pad", "c", "y"))
    assert held(graph) == 2


def test_a_copy_is_removed() -> None:
    assert held(network(op("copy", "x", "a"), op("pad", "a", "b"), op("copy", "b", "y"))) == 1


def test_reuse_keeps_a_buffer_over_the_gap() -> None:
    """b dies early; d has its shape, takes its buffer over and keeps it alive while the wide tensors live."""
    ops = (
        op("pad", "x", "a"), op("pad", "a", "b"), op("pad", "b", "wide1"), op("pad", "wide1", "wide2"),
        op("pad", "wide2", "d"), op("pad", "d", "e"), op("pad", "e", "y"),
    )  # fmt: skip
    graph = network(*ops)
    tensors = dict(graph.tensors)
    for name in ("wide1", "wide2"):
        tensors[name] = replace(tensors[name], shape=(1, 16, 256, 256))
    graph = replace(graph, tensors=tensors)
    assert held(graph, "lean") == 8
    assert held(graph, "default") > 8


def test_default_settings_hold_a_run_and_a_pattern() -> None:
    """Two maps in two regions from the first run, and a buffer of two that fits in neither from the second."""
    graph = network(
        op("unary", "x", "a", "sin"), op("unary", "a", "b", "cos"), op("unary", "b", "c", "sin"), op("pad", "c", "y")
    )
    wide = {name: replace(tensor, shape=(1, 24, 128, 128)) for name, tensor in graph.tensors.items()}
    default, lean = (predict_peak(replace(graph, tensors=wide), one, block=1) for one in ("default", "lean"))  # type: ignore[arg-type]
    assert lean.peak_bytes - lean.inputs_bytes == pytest.approx(2 * 1.5 * SIZE, rel=0.1)
    assert default.peak_bytes - default.inputs_bytes == pytest.approx(4 * 1.5 * SIZE, rel=0.1)


def test_parts_add_up_to_the_peak() -> None:
    graph = network(conv("x", "a"), op("unary", "a", "b", "sin"), op("pad", "b", "y"))
    for settings in ("default", "lean", "arena"):
        found = predict_peak(graph, settings, block=1)  # type: ignore[arg-type]
        parts = found.activations_bytes + found.outputs_bytes + found.scratch_bytes
        assert found.peak_bytes == parts + found.inputs_bytes + found.overhead_bytes
        assert found.overhead_bytes >= 0
        assert found.inputs_bytes == SIZE
        assert found.weights_bytes == 16 * 16 * 9 * 4
        assert max(size for _, size in found.timeline_bytes) == parts + found.inputs_bytes
        assert dict(found.timeline_bytes)[found.peak_op] == parts + found.inputs_bytes
        assert bool(found.arena_bytes) == (settings == "arena")


def test_a_plain_convolution_has_a_working_buffer_for_each_thread() -> None:
    graph = network(conv("x", "y"))
    assert predict_peak(graph, "lean", block=1).scratch_bytes == 64 * 1024
    assert predict_peak(graph, "lean", block=1, threads=3).scratch_bytes == 3 * 64 * 1024


def test_convolutions_run_in_blocks_and_the_rest_around_them_does_not() -> None:
    ops = (conv("x", "a"), op("unary", "a", "b", "relu"), conv("b", "c"), op("concat", "c b", "y", axis=2))
    found = executed(network(*ops), 16).order()
    variants = [node.variant for node in found if node.kind == "reorder"]
    assert sorted(variants) == ["from_blocked", "from_blocked", "to_blocked"]
    assert [node.activation for node in found if node.kind == "conv"] == ["relu", ""]
    assert (found[0].variant, found[-1].kind) == ("to_blocked", "concat")


def test_channels_are_rounded_up_to_blocks() -> None:
    graph = network(conv("x", "a"), op("pad", "a", "y"))
    tensors = dict(graph.tensors)
    tensors["a"] = tensors["y"] = replace(tensors["a"], shape=(1, 20, 128, 128))
    found = executed(replace(graph, tensors=tensors), 16)
    assert found.shape("a:blocked") == (1, 32, 128, 128)
    assert found.shape("a") == (1, 20, 128, 128)


def test_a_residual_addition_is_folded_into_the_convolution() -> None:
    ops = (conv("x", "a"), conv("a", "b"), op("binary", "b a", "s", "add"), op("unary", "s", "y", "relu"))
    found = [node for node in executed(network(*ops), 16).order() if node.kind != "reorder"]
    assert [node.kind for node in found] == ["conv", "conv"]
    assert found[1].addend == found[0].outputs[0]
    assert found[1].activation == "relu"


def test_branches_run_one_after_the_other_from_the_last() -> None:
    ops = (
        op("pad", "x", "a1"), op("transpose", "x", "b1"), op("pad", "a1", "a2"), op("pad", "b1", "b2"),
        op("concat", "a2 b2", "y", axis=2),
    )  # fmt: skip
    order = [node.name for node in executed(network(*ops), 1).order()]
    assert order == ["b1", "b2", "a1", "a2", "y"]


def test_equal_ops_are_computed_once() -> None:
    ops = (op("unary", "x", "a", "sin"), op("unary", "x", "b", "sin"), op("binary", "a b", "y", "mul"))
    assert [node.kind for node in executed(network(*ops), 1).order()] == ["unary", "binary"]


def test_quantized_ops_take_the_place_of_the_float_ones_between_quantization() -> None:
    graph = network(
        op("quantize", "x", "q"), op("dequantize", "q", "d"), conv("d", "a"), op("unary", "a", "b", "relu"),
        op("quantize", "b", "r"), op("dequantize", "r", "y"),
    )  # fmt: skip
    tensors = {n: replace(t, dtype="uint8") if n in "qr" else t for n, t in graph.tensors.items()}
    found = executed(replace(graph, tensors=tensors), 16).order()
    assert [node.kind for node in found] == ["quantize", "transpose", "conv", "transpose", "dequantize"]


def test_an_empty_network_holds_its_input() -> None:
    graph = network(outputs=("x",))
    assert predict_peak(graph, "lean").peak_bytes >= SIZE
    assert predict_peak(graph, "lean").peak_op == ""


def test_a_region_of_just_the_size_needed_is_never_below_the_lifetimes() -> None:
    graph = network(conv("x", "a"), op("unary", "a", "b", "sin"), op("pad", "b", "y"))
    quick, best = (predict_peak(graph, "arena", block=1, arena_bytes=size) for size in (0, None))
    assert quick.overhead_bytes >= 0
    assert best.peak_bytes == pytest.approx(quick.peak_bytes, rel=0.1)


def cut(given: str, made: str, start: int, end: int, waits_for: str = "") -> Op:
    inputs = (given, waits_for) if waits_for else (given,)
    attributes = {"axes": (2,), "starts": (start,), "ends": (end,), "steps": (1,)}
    return Op(made, "slice", inputs, (made,), None, "", attributes)


def test_slices_that_are_all_of_a_tensor_become_one_split() -> None:
    first, last = op("pad", "x", "a"), op("concat", "d e", "y")
    middle = (op("unary", "b", "d", "sin"), op("unary", "c", "e", "cos"))
    whole = network(first, cut("a", "b", 0, 60), cut("a", "c", 60, 128), *middle, last)
    overlapping = network(first, cut("a", "b", 0, 70), cut("a", "c", 60, 128), *middle, last)
    assert "split" in [node.kind for node in executed(whole, 1).order()]
    assert "split" not in [node.kind for node in executed(overlapping, 1).order()]


def test_a_slice_with_computed_bounds_hides_its_shape_from_the_planner() -> None:
    """An activation behind it can't be planned in place."""
    plain = network(cut("x", "a", 0, 128), op("unary", "a", "b", "relu"), op("unary", "b", "y", "sin"))
    waiting = network(op("pad", "x", "w0"), cut("x", "a", 0, 128, waits_for="w0"), *plain.ops[1:])
    assert executed(waiting, 1).open_shapes == {"a", "b", "y"}
    assert executed(plain, 1).open_shapes == set()
    assert held(plain) == 2
    assert predict_peak(waiting, "default", block=1).timeline_bytes[-2][1] == 3 * SIZE
    assert predict_peak(plain, "default", block=1).timeline_bytes[-2][1] == 2 * SIZE


def test_a_shape_that_the_file_declares_is_not_hidden() -> None:
    """Nor what follows from it: an activation behind it works in place."""
    waiting = network(
        op("pad", "x", "w0"), cut("x", "a", 0, 128, waits_for="w0"), op("unary", "a", "b", "relu"),
        op("unary", "b", "y", "sin"),
    )  # fmt: skip
    told = replace(waiting, declared=frozenset({"a"}))
    assert executed(told, 1).open_shapes == set()
    assert executed(replace(waiting, declared=frozenset({"b"})), 1).open_shapes == {"a"}
    assert predict_peak(told, "default", block=1).timeline_bytes[-2][1] == 2 * SIZE


def test_a_reshape_behind_computed_bounds_tells_its_shape_and_one_behind_an_open_input_does_not() -> None:
    steered = network(op("pad", "x", "w0"), cut("x", "a", 0, 128, waits_for="w0"), op("reshape", "a", "y"))
    assert executed(steered, 1).open_shapes == {"a"}
    assert "y" not in executed(steered, 1).open_channels
    assert "y" in executed(steered, 1, ("x",)).open_shapes


def test_joined_channels_tell_their_sizes_where_one_operand_does() -> None:
    """The convolution behind them tells their number."""
    steered = (op("pad", "x", "w0"), cut("x", "a", 0, 128, waits_for="w0"))
    joined, summed = op("concat", "a w0", "b", axis=1), op("binary", "a w0", "b", "add")
    rows = op("concat", "a w0", "b", axis=2)
    assert executed(network(*steered, joined, conv("b", "y")), 1).open_shapes == {"a", "b"}
    assert executed(network(*steered, summed, conv("b", "y")), 1).open_shapes == {"a", "b", "y"}
    assert executed(network(*steered, rows, conv("b", "y")), 1).open_shapes == {"a", "b", "y"}


@pytest.mark.parametrize(("start", "ops"), [(0, 3), (64, 4)])
def test_a_slice_that_begins_at_zero_needs_no_sum(start: int, ops: int) -> None:
    waits = (op("pad", "x", "w0"), op("reduction", "w0", "zero", "arg_max"), op("binary", "zero w", "starts", "add"))
    graph = network(*waits, cut("x", "y", start, 128, waits_for="starts"))
    assert len(executed(graph, 1).nodes) == ops


def test_views_keep_their_objects_until_a_run_ends() -> None:
    plain = network(op("pad", "x", "a"), op("unary", "a", "y", "sin"))
    viewed = network(op("pad", "x", "a"), op("reshape", "a", "b"), op("unary", "b", "y", "sin"))
    for settings in ("lean", "arena", "default"):
        without, with_view = (frame_bytes(executed(one, 1), settings) for one in (plain, viewed))
        assert 224 <= with_view - without <= 224 + 128


def pool(given: str, made: str) -> Op:
    window = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
    return Op(made, "max_pool", (given,), (made,), window)


def test_a_pool_behind_a_slice_with_computed_bounds_stays_out_of_the_blocked_layout() -> None:
    """The runtime does not know its channels; behind a convolution, whose weights tell them, it does."""
    head = (op("pad", "x", "w0"), cut("x", "a", 0, 128, waits_for="w0"))
    hidden = executed(network(*head, pool("a", "b"), conv("b", "y")), 16)
    told = executed(network(*head, conv("a", "b"), pool("b", "y")), 16)
    assert {node.blocked for node in hidden.nodes.values() if node.kind == "max_pool"} == {False}
    assert {node.blocked for node in told.nodes.values() if node.kind == "max_pool"} == {True}


def test_a_sum_tells_channels_that_one_of_its_operands_has() -> None:
    head = (op("pad", "x", "w0"), cut("x", "a", 0, 128, waits_for="w0"))
    told = executed(network(*head, op("binary", "a x", "b", "add"), pool("b", "y")), 16)
    hidden = executed(network(*head, op("binary", "a a", "b", "add"), pool("b", "y")), 16)
    assert "y" not in told.open_channels
    assert "y" in hidden.open_channels


def turned(given: str, made: str, perm: tuple[int, ...]) -> Op:
    return op("transpose", given, made, perm=perm)


def test_transposes_before_a_concat_become_one_behind_it() -> None:
    last = (0, 2, 3, 1)
    parts = (op("pad", "x", "a"), op("binary", "x z", "b", "sub"))
    ops = (turned("a", "c", last), turned("b", "d", last), op("concat", "c d", "y", axis=1))
    found = executed(network(*parts, *ops, inputs=("x", "z")), 1).order()
    assert [node.kind for node in found] == ["binary", "pad", "concat", "transpose"]
    assert [node.op.attributes["axis"] for node in found if node.kind == "concat"] == [2]


def test_a_transpose_that_another_op_needs_stays_beside_the_one_behind_the_concat() -> None:
    """The runtime counts it as one that may go where its other reader takes transposes; a convolution does not."""
    last = (0, 2, 3, 1)
    head = (op("pad", "x", "a"), op("binary", "x z", "b", "sub"), turned("a", "c", last), turned("b", "d", last))
    join, end = op("concat", "c d", "e", axis=1), op("concat", "e f", "y", axis=1)
    moved = executed(network(*head, join, op("unary", "c", "f", "sin"), end, inputs=("x", "z")), 1)
    stays = executed(network(*head, join, conv("c", "f"), end, inputs=("x", "z")), 1)
    assert {n.inputs[0] for n in moved.nodes.values() if n.kind == "transpose"} == {"a", "e:joined"}
    assert {n.inputs[0] for n in stays.nodes.values() if n.kind == "transpose"} == {"a", "b"}


def test_slices_of_a_whole_tensor_count_as_a_split_and_as_slices() -> None:
    """Which of them the runtime takes depends on the opset; the larger peak counts."""
    parts = (cut("a", "b", 0, 64), cut("a", "c", 64, 128))
    ops = (op("pad", "x", "a"), *parts, op("unary", "b", "d", "sin"), op("unary", "c", "e", "cos"))
    graph = network(*ops, op("concat", "d e", "y", axis=2))
    kinds = [[node.kind for node in executed(graph, 1, merges=merges).order()] for merges in (True, False)]
    assert ["split" in found for found in kinds] == [True, False]
    assert ["slice" in found for found in kinds] == [False, True]


def test_transposes_of_different_orders_stay_before_a_concat() -> None:
    parts = (op("pad", "x", "a"), op("binary", "x z", "b", "sub"))
    ops = (turned("a", "c", (0, 2, 3, 1)), turned("b", "d", (0, 3, 2, 1)), op("concat", "c d", "y", axis=1))
    found = executed(network(*parts, *ops, inputs=("x", "z")), 1).order()
    assert [node.kind for node in found][-1] == "concat"


def test_a_convolution_of_few_channels_tells_no_size_behind_an_open_input() -> None:
    """It reads what is in no blocks, and the runtime follows sizes only through blocks: the sum is not folded then."""
    ops = (conv("x", "a"), conv("a", "b"), op("binary", "b a", "y", "add"))
    graph = network(*ops)
    thin = replace(
        graph,
        tensors={
            name: tensor if tensor.is_constant else replace(tensor, shape=(1, 12, 128, 128))
            for name, tensor in graph.tensors.items()
        },
    )
    assert {node.addend for node in executed(graph, 16, ("x",)).nodes.values()} == {"", "a:blocked"}
    assert {node.addend for node in executed(thin, 16, ("x",)).nodes.values()} == {""}


def test_where_keeps_either_side_as_large_as_it_and_the_condition_are_together() -> None:
    graph = network(Op("y", "binary", ("c", "one", "x"), ("y",), None, "where"), inputs=("c", "x"))
    tensors = {**graph.tensors, "c": Tensor("c", (128,), "bool"), "one": Tensor("one", (), is_constant=True)}
    found = predict_peak(replace(graph, tensors=tensors), "lean", block=1)
    assert found.scratch_bytes == 128 * 4 + SIZE


def test_reorders_and_folded_sums_are_told() -> None:
    """What the runtime adds to the file's ops, and what it takes into others, costs time and none."""
    graph = network(conv("x", "a"), conv("a", "b"), op("binary", "a b", "y", "add"))
    found = predict_peak(graph, block=16)
    assert [(layer.kind, layer.variant, layer.output) for layer in found.reorders] == [
        ("reorder", "to_blocked", SHAPE),
        ("reorder", "from_blocked", SHAPE),
    ]
    assert found.folded == {"y"}
    plain = predict_peak(graph, block=1)
    assert plain.reorders == ()


def test_small_blocks_share_a_heap_that_keeps_what_it_had() -> None:
    """In the lean settings large blocks are given back at once; small ones leave their pages behind."""
    blocks = [Event(0, "a", 8192, "tensor"), Event(0, "b", 1 << 20, "tensor"), Event(1, "b", 0, "tensor")]
    large = mapped_peak(blocks[1:])
    assert large == (1 << 20) + PAGE
    after = [Event(1, "a", 0, "tensor"), Event(2, "b", 1 << 20, "tensor"), Event(2, "b", 0, "tensor")]
    assert mapped_peak([*blocks, *after]) == mapped_peak(blocks) > large + 8192


def test_weights_that_two_kernels_reorder_are_kept_once() -> None:
    """ONNX Runtime sees that the second copy is like the first, and gives it back."""
    graph = network(conv("x", "a"), conv("a", "b"), conv("b", "y"))
    ups = tuple(replace(one, kind="transposed_conv") for one in graph.ops)
    other = replace(ups[2], inputs=("b", "v"))
    tensors = graph.tensors | {"v": replace(graph.tensors["w"], name="v")}
    made = executed(replace(graph, ops=(*ups[:2], other), tensors=tensors), 1)
    assert [one.kind for one in events(made, made.order(), False) if is_of_loading(one)] == ["kept", "shared", "kept"]


def test_what_is_given_back_while_loading_is_free_for_the_runs() -> None:
    arena = Arena(1 << 20)
    arena.load([(65536, True), (65536, False)])
    start = arena.allocate("x", 65536)
    assert (arena.written_bytes, start) == (0, arena.used["kept 0"][0] + 65536)
