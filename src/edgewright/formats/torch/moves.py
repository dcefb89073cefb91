"""Ops that move items or look along axes: reshapes, joins, cuts, pads, transposes, reductions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgewright.formats.torch.calls import Call, Made
from edgewright.formats.torch.export import name_of
from edgewright.graph.types import Op


def _reshape(call: Call) -> Made:
    return call.op("reshape", [call.name_of(call["self"])])


def _cat(call: Call) -> Made:
    names = [call.name_of(part) for part in call["tensors"]]
    parts = [name for name in names if len(call.builder.tensors[name].shape) == len(call.made)]
    if len(parts) == 1:
        return call.op("copy", parts)
    return call.op("concat", parts, axis=call.axis(int(call["dim"]), len(call.made)))


def _stack(call: Call) -> Made:
    axis = call.axis(int(call["dim"]), len(call.made))
    shape = tuple(1 if place == axis else size for place, size in enumerate(call.made))
    parts = [
        call.op("reshape", [call.name_of(part)], shape=shape, part=f"part{place}")
        for place, part in enumerate(call["tensors"])
    ]
    return call.op("concat", parts, axis=axis)


def _split(call: Call) -> Made:
    given = call.tensor("self")
    axis = call.axis(int(call["dim"]), len(given.shape))
    made = call.outputs()
    sizes = tuple(call.builder.tensors[name].shape[axis] for name in made)
    call.add(Op(call.name, "split", (given.name,), made, attributes={"axis": axis, "sizes": sizes}))
    return made


def _unbind(call: Call) -> Made:
    """A split into parts of one item, each without the axis."""
    given = call.tensor("self")
    axis = call.axis(int(call["dim"]), len(given.shape))
    made = call.outputs()
    parts = tuple(call.builder.fresh(f"{name}.part") for name in made)
    shape = (*given.shape[:axis], 1, *given.shape[axis + 1 :])
    if len(made) < 2:
        call.add(Op(call.name, "reshape", (given.name,), made))
        return made
    split = call.builder.fresh(f"{call.name}.split")
    for part in parts:
        call.builder.tensors[part] = type(given)(part, shape, given.dtype)
    call.add(Op(split, "split", (given.name,), parts, attributes={"axis": axis, "sizes": (1,) * len(parts)}))
    for part, name in zip(parts, made, strict=True):
        call.add(Op(f"{part}.reshape", "reshape", (part,), (name,)))
    return made


def _slice(call: Call) -> Made:
    given = call.tensor("self")
    axis = call.axis(int(call["dim"]), len(given.shape))
    size = given.shape[axis]
    start, end, step = slice(call["start"], call["end"], int(call["step"])).indices(size)
    if (start, end, step) == (0, size, 1):
        return call.op("copy", [given.name])
    attributes: dict[str, Any] = {"axes": (axis,), "starts": (start,), "ends": (end,), "steps": (step,)}
    return call.op("slice", [given.name], **attributes)


def _select(call: Call) -> Made:
    """One position of an axis, which goes."""
    given = call.tensor("self")
    axis, size = call.axis(int(call["dim"]), len(given.shape)), given.shape[int(call["dim"])]
    call.axis(int(call["index"]), size)
    index = call.builder.constant(f"{call.name}.index", (), "int64")
    return call.op("gather", [given.name, index], "gather", axis=axis)


def _flip(call: Call) -> Made:
    given = call.tensor("self")
    axes = tuple(sorted(call.axis(int(axis), len(given.shape)) for axis in call["dims"]))
    starts = tuple(given.shape[axis] - 1 for axis in axes)
    attributes: dict[str, Any] = {"axes": axes, "starts": starts, "ends": (-1,) * len(axes), "steps": (-1,) * len(axes)}
    return call.op("slice", [given.name], **attributes)


def _pick(call: Call) -> Made:
    """Positions of one axis, by a tensor of indices."""
    given = call.tensor("self")
    if "indices" in call.args:
        places = [axis for axis, index in enumerate(call["indices"]) if index is not None]
        if len(places) != 1:
            raise ValueError("indices for several axes")
        axis, index = places[0], call.name_of(call["indices"][places[0]])
    else:
        axis, index = call.axis(int(call["dim"]), len(given.shape)), call.name_of(call["index"])
    if not call.builder.tensors[index].dtype.startswith("int"):
        raise ValueError("a mask")
    return call.op("gather", [given.name, index], "gather", axis=axis)


_PAD_MODES: Mapping[str, str] = MappingProxyType(
    {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
)


def _pad(call: Call) -> Made:
    name, given = name_of(call.node), call.tensor("self")
    pads, rank = list(call["pad"] if "pad" in call.args else call["padding"]), len(given.shape)
    modes = {"constant_pad": "constant", "reflection_pad": "reflect", "replication_pad": "edge"}
    variant = next((mode for key, mode in modes.items() if name.startswith(key)), "")
    variant = variant or _PAD_MODES[str(call.get("mode") or "constant")]
    pairs = [(0, 0)] * rank
    for place in range(len(pads) // 2):
        pairs[rank - 1 - place] = (int(pads[2 * place]), int(pads[2 * place + 1]))
    value = call.get("value")
    return call.op("pad", [given.name], variant, padding=tuple(pairs), value=0.0 if value is None else float(value))


def _transpose(call: Call) -> Made:
    given = call.tensor("self")
    rank = len(given.shape)
    perm = list(range(rank))
    if "dims" in call.args:
        perm = [call.axis(int(axis), rank) for axis in call["dims"]]
    else:
        first, second = (call.axis(int(call.get(name, place)), rank) for place, name in enumerate(("dim0", "dim1")))
        perm[first], perm[second] = perm[second], perm[first]
    return call.op("transpose", [given.name], perm=tuple(perm))


def _turn(call: Call) -> Made:
    """All axes, or the last two, the other way round."""
    given = call.tensor("self")
    rank = len(given.shape)
    perm = tuple(range(rank))[::-1] if rank < 3 else (*range(rank - 2), rank - 1, rank - 2)
    return call.op("transpose", [given.name], perm=perm)


def _expand(call: Call) -> Made:
    given = call.tensor("self")
    if given.shape == call.made:
        return call.op("copy", [given.name])
    return call.op("expand", [given.name], "expand")


def _repeat(call: Call) -> Made:
    given = call.tensor("self")
    name, missing = given.name, len(call.made) - len(given.shape)
    if missing:
        name = call.op("reshape", [name], shape=(1,) * missing + given.shape, part="ranked")
    return call.op("expand", [name], "tile")


_REDUCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "mean": "mean", "sum": "sum", "amax": "max", "amin": "min", "max": "max", "min": "min", "prod": "prod",
        "logsumexp": "log_sum_exp", "argmax": "arg_max", "argmin": "arg_min", "var": "var", "std": "std",
        "linalg_vector_norm": "l2", "norm": "l2",
    }
)  # fmt: skip


def _reduction(call: Call) -> Made:
    """Statistics over axes; the positions of an extreme must not be read."""
    variant = _REDUCTIONS[name_of(call.node)]
    given = call.tensor("self")
    rank, wanted = len(given.shape), call.get("dim")
    if variant == "l2" and float(call.get("ord", call.get("p", 2)) or 2) != 2:
        raise ValueError("another norm")
    axes: Any = (wanted,) if isinstance(wanted, int) else wanted
    axes = tuple(sorted(call.axis(int(axis), rank) for axis in axes)) if axes else tuple(range(rank))
    return call.op("reduction", [given.name], variant, axes=axes, keepdims=bool(call.get("keepdim", False)))


def _channel_shuffle(call: Call) -> Made:
    given, groups = call.tensor("input" if "input" in call.args else "self"), int(call["groups"])
    batch, channels, *space = given.shape
    apart = (batch, groups, channels // groups, *space)
    turned = (batch, channels // groups, groups, *space)
    perm = (0, 2, 1, *range(3, 3 + len(space)))
    first = call.op("reshape", [given.name], shape=apart, part="groups")
    second = call.op("transpose", [first], shape=turned, part="turned", perm=perm)
    return call.op("reshape", [second])


RULES: Mapping[str, Callable[[Call], Made]] = MappingProxyType(
    {
        **dict.fromkeys(("view", "reshape", "_unsafe_view", "view_as", "reshape_as"), _reshape),
        **dict.fromkeys(("flatten", "unflatten", "squeeze", "unsqueeze"), _reshape),
        "cat": _cat,
        "stack": _stack,
        **dict.fromkeys(("split", "unsafe_split", "split_with_sizes", "chunk", "tensor_split"), _split),
        "unbind": _unbind,
        "slice": _slice,
        "select": _select,
        "flip": _flip,
        **dict.fromkeys(("index", "index_select"), _pick),
        **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
        **dict.fromkeys((f"{kind}_pad{rank}d" for kind in ("reflection", "replication") for rank in (1, 2, 3)), _pad),
        **dict.fromkeys(("transpose", "permute", "swapaxes"), _transpose),
        **dict.fromkeys(("t", "numpy_T", "mT"), _turn),
        **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expand),
        "repeat": _repeat,
        **dict.fromkeys(_REDUCTIONS, _reduction),
        "channel_shuffle": _channel_shuffle,
    }
)
