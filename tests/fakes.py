"""A runtime and a harness that need no device: a layer takes the seconds that a formula says, always the same."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.formats.onnx import read
from edgewright.graph.cost import layer_cost
from edgewright.graph.layers import layers_of
from edgewright.graph.types import LayerSpec, Shape
from edgewright.profile import layer_from_dict, layer_to_dict
from edgewright.runtimes.base import ExecutedLayer


def fake_seconds(layer: LayerSpec) -> float:
    """Ten microseconds and two nanoseconds a multiply-accumulate, with channels in blocks of eight."""
    blocks = -(-layer.output[1] // 8) * 8 / layer.output[1] if len(layer.output) > 1 else 1.0
    return 1e-5 + 2e-9 * float(layer_cost(layer).macs) * blocks


class FakeRuntime:
    """Models are JSON lists of layers; every layer is executed as it is."""

    name = "fake"
    harness = Path("fake_harness.py")
    optimizes = True
    tells_layers = True

    def build(self, layers: Sequence[LayerSpec]) -> bytes:
        return json.dumps([layer_to_dict(layer) for layer in layers]).encode()

    def executed(
        self, model: Path, optimized: Path, nodes: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]
    ) -> tuple[ExecutedLayer, ...]:
        layers = [layer_from_dict(record) for record in json.loads(optimized.read_bytes())]
        return tuple(
            ExecutedLayer(node["name"], node["name"], layer, tuple(node["samples_s"]))
            for node, layer in zip(nodes, layers, strict=True)
        )


def layers_in(model: Path) -> list[tuple[str, LayerSpec]]:
    """The layers of a fake model, or of an ONNX file by the tensors that they make."""
    content = model.read_bytes()
    if content.startswith(b"["):
        return [(f"layer_{index}", layer_from_dict(record)) for index, record in enumerate(json.loads(content))]
    graph = read(model)
    made = {op.name: op.outputs[0] for op in graph.ops}
    return [(made[name], layer) for name, layer in layers_of(graph)]


class FakeClient:
    """Answers the jobs of a harness; `refuses` and `crashes` say which layers it does not run, and how."""

    def __init__(
        self,
        seconds: Callable[[LayerSpec], float] = fake_seconds,
        refuses: Callable[[LayerSpec], bool] = lambda _: False,
        crashes: Callable[[LayerSpec], bool] = lambda _: False,
        outputs: Callable[[Path], NDArray[np.float32]] = lambda _: np.arange(6, dtype=np.float32),
    ) -> None:
        self.seconds, self.refuses, self.crashes, self.outputs = seconds, refuses, crashes, outputs
        self.kept_s: dict[str, float] = {}
        self.probe_s = 3e-5
        self.batches: list[list[LayerSpec]] = []

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: Any) -> dict[str, Any]:
        if job == "about":
            return {"processor": "fake", "cores": 1, "runtime_version": "0"}
        if job == "layout":
            return {"block_channels": 16}
        if job == "round":
            return {"samples_s": [self.kept_s[arguments.get("slot", "")] * (1 + step / 1000) for step in range(5)]}
        named = layers_in(Path(arguments["model"]))
        layers = [layer for _, layer in named]
        if any(map(self.crashes, layers)):
            raise DeviceError("the runtime crashed")
        if any(map(self.refuses, layers)):
            raise RuntimeRefusedError("no such op")
        if job == "load":
            kept_s = sum(map(self.seconds, layers))
            self.kept_s = {**self.kept_s, arguments.get("slot", ""): kept_s}
            return {"load_s": 0.01, "warmup_runs": 2, "run_s": kept_s}
        if job == "memory":
            return {"peak_bytes": 1000 * len(layers)}
        if job == "outputs":
            np.savez(arguments["to"], self.outputs(Path(arguments["model"])))
            return {"outputs": ["out"], "finite": bool(np.isfinite(self.outputs(Path(arguments["model"]))).all())}
        self.batches.append(layers)
        if arguments.get("optimized"):
            Path(arguments["optimized"]).write_text(json.dumps([layer_to_dict(layer) for layer in layers]))
        nodes = [{"name": name, "samples_s": self._samples(layer)} for name, layer in named]
        total = sum(node["samples_s"][0] for node in nodes)
        return {"samples_s": [total] * 3, "warmup_runs": 2, "nodes": nodes, "probe_s": self.probe_s}

    def put(self, path: Path) -> str:
        return str(path)

    def get(self, remote: str) -> Path:
        return Path(remote)

    def close(self) -> None:
        pass

    def __enter__(self) -> "FakeClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _samples(self, layer: LayerSpec) -> list[float]:
        """Five samples with a spread of one per cent that follows from the layer."""
        seed = zlib.crc32(json.dumps(layer_to_dict(layer), sort_keys=True).encode())
        return [self.seconds(layer) * (1 + ((seed >> shift) % 21 - 10) / 1000) for shift in (0, 3, 6, 9, 12)]
