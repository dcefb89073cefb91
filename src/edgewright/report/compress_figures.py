"""What a compression came to, as a view."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.graph.cost import layer_cost
from edgewright.graph.layers import layers_of
from edgewright.graph.types import Graph
from edgewright.report.compress_view import CompressView, CutView, RoundView
from edgewright.report.side_by_side import side_by_side

if TYPE_CHECKING:
    from edgewright.compression.aim import Aim
    from edgewright.compression.compress import Compressed
    from edgewright.compression.network import Network
    from edgewright.profiling.bench import BenchReport

FAR = 1e-3
"""A cut network's outputs that differ by more from the masked one's are told of."""
_NEAR = 0.05


@dataclass(frozen=True)
class Asked:
    """What was asked for: the task's name, the folder to write to, the device."""

    task: str
    out: str | None
    device: str
    aim: "Aim"
    seed: int


def compress_view(done: "Compressed", proof: "BenchReport | None", asked: Asked) -> CompressView:
    """The view of a compression; `proof` holds both ONNX files, the uncompressed one first, where they were run."""
    aim, before, after = asked.aim, done.before, done.network
    accuracy = done.best.accuracy if done.best.accuracy is not None else done.accuracy
    predicted_s = done.best.predicted_s if done.best.predicted_s is not None else done.predicted_before_s
    view = CompressView(
        asked.task, asked.out, asked.device, aim.method, aim.steer, aim.time, aim.is_absolute, done.accuracy, accuracy,
        (done.accuracy - accuracy) / done.point, _parameters(before.module), _parameters(after.module),
        _macs(before.reading.graph), _macs(after.reading.graph), done.peaks_bytes[0], done.peaks_bytes[1],
        done.predicted_before_s, predicted_s, done.is_stopped, _cuts(done), tuple(map(_round, done.rounds)),
        None if proof is None else side_by_side(proof), asked.seed,
    )  # fmt: skip
    return _with_notes(view, done)


def _with_notes(view: CompressView, done: "Compressed") -> CompressView:
    from dataclasses import replace

    notes = []
    target_s, proof = view.target_s, view.proof
    if proof is not None and target_s is not None and not view.is_stopped:
        off = proof.after_s / target_s - 1
        if abs(off) > _NEAR:
            side = "above" if off > 0 else "below"
            notes.append(f"the measured time is {100 * abs(off):.1f} % {side} the target: no widths came nearer")
    if proof is None:
        notes.append(f"{view.device} was learned from a table, so nothing was run: the target is met by prediction")
    if done.best.difference > FAR:
        notes.append(
            f"outputs right after the cut were {done.best.difference:.0e} off those of the masked network: something "
            "of it, a mean or a normalization over channels, depends on their number"
        )
    notes += [f"{name} keeps its width: {why}" for name, why in done.before.refused.items()]
    return replace(view, notes=tuple(notes))


def _parameters(module: Any) -> int:
    return sum(int(parameter.numel()) for parameter in module.parameters())


def _macs(graph: Graph) -> int:
    return sum(int(layer_cost(layer).macs) for _, layer in layers_of(graph))


def _round(one: Any) -> RoundView:
    return RoundView(
        one.target, one.predicted_s, one.measured_s, one.kept, one.bound, one.steps, one.accuracy
    )  # fmt: skip


def _cuts(done: "Compressed") -> tuple[CutView, ...]:
    """Each group whose channels changed, those first that save most alone."""
    network: Network = done.network
    found = []
    for group, left, saves in zip(network.first, network.channels, done.savings, strict=True):
        if left != tuple(range(group.width)):
            added = sum(channel < 0 for channel in left)
            removed = group.width - (len(left) - added)
            ops = _ops(done.before.reading.graph, {member.tensor for member in group.members})
            found.append(CutView(group.name, ops, group.width, len(left), removed, added, saves))
    return tuple(sorted(found, key=lambda cut: -cut.saves))


def _ops(graph: Graph, tensors: set[str]) -> tuple[str, ...]:
    """The ops whose weights hold channels of a group."""
    constants = {name for name in tensors if graph.tensors[name].is_constant}
    return tuple(op.name for op in graph.ops if constants & set(op.inputs))
