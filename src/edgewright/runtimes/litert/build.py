"""Builds the TFLite model that measures layers: each is a subgraph of its own, which the runtime runs by itself."""

from collections.abc import Sequence

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec
from edgewright.runtimes.litert.operators import WRITERS, refused
from edgewright.runtimes.litert.subgraph import Model

_DTYPES = frozenset({"float32", "int8"})


def build(layers: Sequence[LayerSpec]) -> bytes:
    """The flatbuffer of all layers. Raises RuntimeRefusedError for a layer that can't be built."""
    model = Model()
    for layer in layers:
        if layer.kind not in WRITERS or layer.dtype not in _DTYPES:
            raise refused(layer)
        subgraph = model.subgraph()
        try:
            subgraph.graph.outputs = WRITERS[layer.kind](subgraph, layer)
        except (IndexError, ValueError, TypeError) as error:
            raise RuntimeRefusedError(f"{refused(layer)}: its shapes do not fit") from error
    return model.pack()
