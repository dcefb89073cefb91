"""The peak of a network under each of ONNX Runtime's settings."""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random
from typing import Literal

from edgewright.graph.types import Graph, LayerSpec
from edgewright.memory.onnxruntime.blocked import reorders, to_blocks
from edgewright.memory.onnxruntime.frame import frame_bytes
from edgewright.memory.onnxruntime.fusions import (
    expand_functions,
    fold_activations,
    fold_constants,
    fold_plain_additions,
    join_transposes,
    merge_equal,
    merge_slices,
)
from edgewright.memory.onnxruntime.network import Network
from edgewright.memory.onnxruntime.planner import Event, events, is_of_loading
from edgewright.memory.onnxruntime.quantized import fold_quantization, to_channels_last
from edgewright.memory.onnxruntime.regions import Regions, best_region
from edgewright.memory.onnxruntime.replay import live_bytes, mapped_peak, pattern_peak

Settings = Literal["default", "lean", "arena"]
"""`default`: arena, memory reuse and memory pattern on. `lean`: all three off, and every tensor given back to the
system at once. `arena`: only the arena on, with a first region of a chosen size."""

_MOST_FITTED = 4
"""Orders that a first region is fitted to; the others only say how much it may become."""
_MOST_SIZES = 6
"""Sizes of a first region that are tried in all of these."""
_QUICK_ORDERS, _QUICK_SIZES = 3, 3


@dataclass(frozen=True)
class PeakPrediction:
    """The predicted peak: all that runs hold at once, the network's inputs included, its weights apart.

    `activations_bytes`, `outputs_bytes` and `scratch_bytes` live together while `peak_op` runs; `overhead_bytes` is
    what the allocator holds beyond them. `timeline_bytes` has what lives while each executed op runs, in order.
    `arena_bytes` is the first region that the settings `arena` need, else 0. `holders` are the tensors that live at the
    peak beside the inputs, the largest first: name, kind (tensor, output or scratch) and bytes. `reorders` are layers
    that the runtime adds where data enters and leaves its blocked layout, and `folded` ops that run within others.
    """

    settings: Settings
    peak_bytes: int
    peak_op: str
    activations_bytes: int
    outputs_bytes: int
    scratch_bytes: int
    inputs_bytes: int
    overhead_bytes: int
    weights_bytes: int
    timeline_bytes: tuple[tuple[str, int], ...]
    arena_bytes: int = 0
    holders: tuple[tuple[str, str, int], ...] = ()
    reorders: tuple[LayerSpec, ...] = ()
    folded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Trial:
    """One order that the runtime may take: names of its nodes, and what they allocate and release."""

    names: tuple[str, ...]
    events: tuple[Event, ...]
    regions: Regions


def predict_peak(
    graph: Graph,
    settings: Settings = "default",
    *,
    block: int = 16,
    threads: int = 1,
    orders: int = 12,
    arena_bytes: int | None = None,
    open_inputs: Collection[str] = (),
) -> PeakPrediction:
    """The peak of a graph as its file says it, in the steady state after a few runs.

    `block` is the channels of a block of the runtime's blocked layout on the device (16 with AVX-512, 8 with AVX2, 1
    where it has none). The runtime leaves the order of some branches to chance: the worst of so many `orders` counts.
    `arena_bytes` is the first region of the settings `arena`; None looks for the best one, and 0 is quick: it looks at
    fewer orders, in all settings, and at fewer regions. `open_inputs` are inputs whose file leaves other dimensions
    than the batch open: the runtime can't plan then for what follows from them.
    """
    networks = _versions(graph, block, open_inputs)
    network = networks[0]
    is_quick = arena_bytes == 0
    tried = min(orders, _QUICK_ORDERS) if is_quick else orders
    trials = [trial for one in networks for trial in _trials(one, settings, threads, tried)]
    region = arena_bytes or 0
    if settings == "arena" and not region:
        fitted, sizes = (trials, _QUICK_SIZES) if is_quick else (trials[:_MOST_FITTED], _MOST_SIZES)
        region = best_region([trial.regions for trial in fitted], sizes)
    taken, trial = max(((_resident(one, settings, region), one) for one in trials), key=lambda pair: pair[0])
    at_once = max((count for _, count in live_bytes(trial.events, lambda _: 1)), default=0)
    resident = taken + frame_bytes(network, settings, at_once)
    inputs = sum(graph.tensors[name].size_bytes for name in dict.fromkeys(graph.inputs))
    timeline = _timeline(trial)
    live = max(timeline, default=0)
    step = timeline.index(live) if timeline else 0
    holders = _held(trial, live)
    held = {
        kind: sum(one.size_bytes for one in holders if one.kind == kind) for kind in ("tensor", "output", "scratch")
    }
    return PeakPrediction(
        settings=settings,
        peak_bytes=resident + inputs,
        peak_op=trial.names[step] if trial.names else "",
        activations_bytes=held["tensor"],
        outputs_bytes=held["output"],
        scratch_bytes=held["scratch"],
        inputs_bytes=inputs,
        overhead_bytes=resident - live,
        weights_bytes=sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_constant),
        timeline_bytes=tuple(zip(trial.names, (size + inputs for size in timeline), strict=True)),
        arena_bytes=region,
        holders=tuple((one.name, one.kind, one.size_bytes) for one in holders),
        reorders=tuple(reorders(network)),
        folded=_folded(graph, network),
    )


def _versions(graph: Graph, block: int, open_inputs: Collection[str]) -> list[Network]:
    """What the runtime may execute: slices become a Split from opset 13 on, and a graph does not tell its opset."""
    network = executed(graph, block, open_inputs)
    if any(node.kind == "split" and node.op.kind == "slice" for node in network.nodes.values()):
        return [network, executed(graph, block, open_inputs, merges=False)]
    return [network]


def _folded(graph: Graph, network: Network) -> frozenset[str]:
    """Sums and the like that convolutions have taken in."""
    executed_names = {node.name for node in network.nodes.values()}
    return frozenset(op.name for op in graph.ops if op.kind == "binary") - executed_names


def executed(graph: Graph, block: int, open_inputs: Collection[str] = (), merges: bool = True) -> Network:
    """The network that the runtime executes in the place of that of the file; `merges` as in `folded`."""
    network = folded(graph, open_inputs, merges)
    if block > 1:
        to_blocks(network, block)
    expand_functions(network)
    fold_plain_additions(network)
    return network


def folded(graph: Graph, open_inputs: Collection[str] = (), merges: bool = True) -> Network:
    """The network after all that the runtime does to it whatever the widths, before it gives blocks to channels.

    `merges` says whether slices that are all of a tensor become one Split, as they do from opset 13 on.
    """
    network = Network.of(graph, open_inputs)
    fold_quantization(network)
    fold_constants(network)
    merge_equal(network)
    if merges:
        merge_slices(network)
    join_transposes(network)
    fold_activations(network)
    to_channels_last(network)
    return network


def _trials(network: Network, settings: Settings, threads: int, orders: int) -> list[_Trial]:
    found: dict[tuple[str, ...], _Trial] = {}
    for seed in range(max(orders, 1)):
        if seed:
            network.shuffle(Random(seed))
        order = network.order()
        names = tuple(node.name for node in order)
        if names not in found:
            made = tuple(events(network, order, settings == "default", threads))
            found[names] = _Trial(names, made, Regions(made))
    return list(found.values())


def _resident(trial: _Trial, settings: Settings, region: int) -> int:
    if settings == "lean":
        return mapped_peak(trial.events)
    if settings == "arena":
        return trial.regions.peak(region)
    return pattern_peak(trial.events).resident_bytes


def _timeline(trial: _Trial) -> list[int]:
    """The most bytes that live while each op runs."""
    most = [0] * len(trial.names)
    total = 0
    step = 0
    for event, after in live_bytes(trial.events):
        while step < event.step:
            step += 1
            most[step] = total
        total = after
        most[step] = max(most[step], total)
    for later in range(step + 1, len(most)):
        most[later] = total
    return most


def _held(trial: _Trial, peak: int) -> list[Event]:
    """What is held at the first moment of the peak, the largest first."""
    held: dict[str, Event] = {}
    for event, total in live_bytes(trial.events):
        held.pop(event.name, None)
        if event.size_bytes and not is_of_loading(event):
            held[event.name] = event
        if total == peak:
            break
    return sorted(held.values(), key=lambda event: -event.size_bytes)
