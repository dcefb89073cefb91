"""What a run takes of memory beside tensors: the runtime's own places and objects for them.

Found by tracing the allocations of runs, and by fitting what was left of measured peaks, of 3 to 2,200 nodes.
"""

from edgewright.memory.onnxruntime.kernels import view_of
from edgewright.memory.onnxruntime.network import Network
from edgewright.memory.onnxruntime.replay import MMAP_THRESHOLD_BYTES, mapped_bytes

_VALUE_BYTES, _FLAG_BYTES = 24, 3
"""A place for every value, weights among them, and what is noted of each."""
_PLACE_BYTES = 32
"""Both where they lie in the heap, whose pages they begin."""
_OBJECT_BYTES = 224
"""The object of a tensor. Views keep theirs until the end of the run."""
_PACKING_BYTES = 56 * 1024
"""What products touch of the stack to pack a matrix that was not known when the network was loaded."""
_PATTERN_NODE_BYTES = 128


def frame_bytes(network: Network, settings: str, live: int = 0) -> int:
    """Bytes that runs make resident beside tensors, `live` of which live at once at most, under these settings."""
    weights = {name for node in network.nodes.values() for name in node.op.inputs if name}
    values = len(network.nodes) + sum(network.tensors[name].is_constant for name in weights)
    more = _OBJECT_BYTES * sum(bool(view_of(node)) for node in network.nodes.values())
    if any(node.kind == "matmul" and not node.variant for node in network.nodes.values()):
        more += _PACKING_BYTES
    if settings == "lean":
        parts = (_VALUE_BYTES * values, _FLAG_BYTES * values)
        return 8 * 1024 + sum(mapped_bytes(size) for size in parts if size >= MMAP_THRESHOLD_BYTES) + more
    if settings == "arena":
        return max(10 * 1024 + _PLACE_BYTES * values + _OBJECT_BYTES * live, 14_848) + more
    return 16 * 1024 + _PATTERN_NODE_BYTES * len(network.nodes) + more
