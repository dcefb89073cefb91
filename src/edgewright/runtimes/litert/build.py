"""Builds the TFLite model that measures layers: one alone, or some one after the other, as in a network."""

from collections.abc import Sequence

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec
from edgewright.runtimes.litert.operators import WRITERS, refused
from edgewright.runtimes.litert.subgraph import Model

_DTYPES = frozenset({"float32", "int8"})


def build(layers: Sequence[LayerSpec]) -> bytes:
    """The flatbuffer of the layers; each reads what the one before makes, where that fits, else data of its own.

    Raises RuntimeRefusedError for a layer that can't be built.
    """
    model = Model()
    subgraph = model.subgraph()
    for layer in layers:
        if layer.kind not in WRITERS or layer.dtype not in _DTYPES:
            raise refused(layer)
        try:
            subgraph.finish_layer(WRITERS[layer.kind](subgraph, layer))
        except (IndexError, ValueError, TypeError) as error:
            raise RuntimeRefusedError(f"{refused(layer)}: its shapes do not fit") from error
    subgraph.finish_layer(())
    return model.pack()
