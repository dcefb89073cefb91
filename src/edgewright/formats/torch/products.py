"""Products of matrices, normalizations, embeddings and attention as ops."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgewright.formats.torch.calls import Call, Made
from edgewright.formats.torch.export import name_of
from edgewright.graph.types import Shape

_PLAIN: Mapping[str, Any] = MappingProxyType(
    {"transpose_a": False, "transpose_b": False, "alpha": 1.0, "beta": 1.0, "fused": ()}
)


def _product(call: Call, left: str, right: str, bias: str = "", **changes: Any) -> Made:
    kind = "fully_connected" if call.builder.tensors[right].is_constant else "matmul"
    return call.op(kind, [left, right, *([bias] if bias else [])], **{**_PLAIN, **changes})


def _linear(call: Call) -> Made:
    names = [call.name_of(call[name]) for name in ("input", "weight", "bias")]
    if len(call.shape("weight")) != 2:
        raise ValueError("a weight that is no matrix")
    return _product(call, *names, transpose_b=True)


def _addmm(call: Call) -> Made:
    names = [call.name_of(call[name]) for name in ("mat1", "mat2", "self")]
    return _product(call, *names, alpha=float(call["alpha"]), beta=float(call["beta"]))


def _matmul(call: Call) -> Made:
    left, right = (call.name_of(call[name]) for name in ("self", "mat2" if "mat2" in call.args else "other"))
    return _product(call, left, right)


def _batch_norm(call: Call) -> Made:
    names = [call.name_of(call.get(name)) for name in ("input", "weight", "bias", "running_mean", "running_var")]
    uses_batch = not names[3] or call.get("training") or call.get("use_input_stats")
    rank = len(call.shape("input"))
    if uses_batch:
        axes = (0, *range(2, rank))
        return call.op("normalization", names[:3], "batch_normalization", epsilon=float(call["eps"]), axes=axes)
    return call.op("normalization", names, "batch_normalization", epsilon=float(call["eps"]), axes=())


def _instance_norm(call: Call) -> Made:
    if not call["use_input_stats"]:
        return _batch_norm(call)
    names = [call.name_of(call[name]) for name in ("input", "weight", "bias")]
    axes = tuple(range(2, len(call.made)))
    return call.op("normalization", names, "instance_normalization", epsilon=float(call["eps"]), axes=axes)


def _group_norm(call: Call) -> Made:
    names = [call.name_of(call[name]) for name in ("input", "weight", "bias")]
    groups = int(call.get("num_groups") or call["group"])
    axes = tuple(range(1, len(call.made)))
    return call.op("normalization", names, "group_normalization", epsilon=float(call["eps"]), axes=axes, groups=groups)


def _layer_norm(call: Call) -> Made:
    rank = len(call.made)
    axes = tuple(range(rank - len(call["normalized_shape"]), rank))
    names = [call.name_of(call.get(name)) for name in ("input", "weight", "bias")]
    is_rms = "rms" in name_of(call.node)
    variant = "rms_normalization" if is_rms else "layer_normalization"
    epsilon = 1.1920929e-07 if call["eps"] is None else float(call["eps"])  # that of float32, as torch has it
    return call.op("normalization", names[: 2 if is_rms else 3], variant, epsilon=epsilon, axes=axes)


def _embedding(call: Call) -> Made:
    return call.op("gather", [call.name_of(call[name]) for name in ("weight", "indices")], "gather", axis=0)


def _softmax(call: Call) -> Made:
    variant = "log_softmax" if "log" in name_of(call.node) else "softmax"
    axes = (call.axis(int(call["dim"]), len(call.made)),)
    return call.op("softmax", [call.name_of(call["self"])], variant, axes=axes)


def _attention(call: Call) -> Made:
    """softmax(Q K' / sqrt(d) + mask) V (Vaswani et al. 2017, equation 1), op by op."""
    query, key, value = (call.name_of(call[name]) for name in ("query", "key", "value"))
    if call["is_causal"] or call.get("enable_gqa") or float(call["dropout_p"]) > 0:
        raise ValueError("attention with a mask of its own")
    shapes = [call.shape(name) for name in ("query", "key")]
    rank = len(shapes[0])
    perm = (*range(rank - 2), rank - 1, rank - 2)
    turned = tuple(shapes[1][axis] for axis in perm)
    scores: Shape = (*call.made[:-2], shapes[0][-2], shapes[1][-2])
    scale = call.builder.constant(f"{call.name}.number", (), call.dtype)
    scaled = call.op("binary", [query, scale], "mul", shape=shapes[0], part="scaled")
    keys = call.op("transpose", [key], shape=turned, part="keys", perm=perm)
    keys = call.op("binary", [keys, scale], "mul", shape=turned, part="scaled_keys")
    found = call.op("matmul", [scaled, keys], shape=scores, part="scores", **_PLAIN)
    if call["attn_mask"] is not None:
        found = call.op("binary", [found, call.name_of(call["attn_mask"])], "add", shape=scores, part="masked")
    weights = call.op("softmax", [found], "softmax", shape=scores, part="weights", axes=(rank - 1,))
    return call.op("matmul", [weights, value], **_PLAIN)


RULES: Mapping[str, Callable[[Call], Made]] = MappingProxyType(
    {
        "linear": _linear,
        "addmm": _addmm,
        **dict.fromkeys(("mm", "bmm", "matmul"), _matmul),
        **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
        "_native_batch_norm_legit": _batch_norm,
        "instance_norm": _instance_norm,
        **dict.fromkeys(("group_norm", "native_group_norm"), _group_norm),
        **dict.fromkeys(("layer_norm", "native_layer_norm", "rms_norm"), _layer_norm),
        "embedding": _embedding,
        **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), _softmax),
        "scaled_dot_product_attention": _attention,
    }
)  # fmt: skip
