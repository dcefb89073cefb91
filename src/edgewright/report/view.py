"""The explanation of a network as data: where its time goes, how well that was predicted, what would be faster."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from edgewright.errors import EdgewrightError
from edgewright.graph.cost import layer_bytes, layer_cost
from edgewright.graph.types import LayerSpec
from edgewright.timing.columns import tabulate
from edgewright.timing.model import ExecutionTimeModel
from edgewright.timing.rules import rules_of
from edgewright.timing.staircase import Staircase, staircase, with_width

if TYPE_CHECKING:
    from edgewright.widths.gains import GroupGain

_WIDENED = ("conv", "depthwise_conv", "transposed_conv", "fully_connected", "gru", "lstm", "rnn")
_WORTH_TELLING = 0.005
"""A width is told where it saves this share of the network's time."""


@dataclass(frozen=True)
class Part:
    """A layer of a network as it runs: its name, the ops of the file that it stands for, and its measured seconds."""

    name: str
    ops: tuple[str, ...]
    layer: LayerSpec
    measured_s: float | None = None


@dataclass(frozen=True)
class Subject:
    """What is explained: a model file and where it runs; `measured_s` is end to end, None where it wasn't run."""

    model: str
    device: str
    parts: tuple[Part, ...]
    measured_s: float | None
    run_overhead_s: float = 0.0
    notes: tuple[str, ...] = ()
    groups: tuple["GroupGain", ...] = ()


@dataclass(frozen=True)
class Advice:
    """A nearby width at which a layer is faster: it would save `saves_s`, the leaves it rests on err by `error`."""

    axis: str
    width: int
    faster_width: int
    time_s: float
    faster_s: float
    saves_s: float
    error: float


@dataclass(frozen=True)
class LayerView:
    """One executed layer. `share` is of the whole network's time, as measured, else as predicted.

    `error` is that of the rule which predicted the time; None where nothing like the layer was ever measured.
    """

    name: str
    ops: tuple[str, ...]
    kind: str
    title: str
    shape: str
    macs: int
    moved_bytes: int
    predicted_s: float
    measured_s: float | None
    share: float
    error: float | None
    advice: Advice | None

    @property
    def time_s(self) -> float:
        return self.predicted_s if self.measured_s is None else self.measured_s


@dataclass(frozen=True)
class KindView:
    """All layers of one kind together."""

    kind: str
    layers: int
    macs: int
    predicted_s: float
    measured_s: float | None
    share: float


@dataclass(frozen=True)
class Explanation:
    """A network explained. `predicted_s` is the sum over its layers and what a run costs beside them.

    `miss_percent` is how far that is from `measured_s`, below zero where too little was predicted; `layer_miss_percent`
    the median over the layers, each weighted with its time. `groups` are the channel groups for which another width is
    faster, with what the whole network saves by it; where nothing was run there are none.
    """

    model: str
    device: str
    processor: str
    runtime: str
    runtime_version: str
    threads: int
    measured_s: float | None
    predicted_s: float
    miss_percent: float | None
    layer_miss_percent: float | None
    macs: int
    parameters: int
    layers: tuple[LayerView, ...]
    kinds: tuple[KindView, ...]
    notes: tuple[str, ...]
    stairs: Staircase | None
    rules: str | None = None
    groups: tuple["GroupGain", ...] = ()

    @property
    def layers_are_measured(self) -> bool:
        """Whether the runtime told how long each layer took, and not the whole network alone."""
        return any(layer.measured_s is not None for layer in self.layers)

    @property
    def advised(self) -> tuple[LayerView, ...]:
        """The layers for which a nearby width is faster, the most that can be saved first."""
        found = [layer for layer in self.layers if layer.advice is not None]
        return tuple(sorted(found, key=lambda layer: -layer.advice.saves_s if layer.advice else 0.0))


def explanation(
    subject: Subject, model: ExecutionTimeModel, rules: bool = False, layer: str | None = None
) -> Explanation:
    """The explanation of a network by the execution-time model of its device.

    `rules` adds the trees that predict its layers. Its staircase is that of the named layer, else of the one where most
    can be saved, else of the slowest. Raises EdgewrightError for a layer that is not there.
    """
    layers = [part.layer for part in subject.parts]
    predicted = [float(seconds) for seconds in model.predict_network(layers)]
    errors = rule_errors(model, layers)
    predicted_s = sum(predicted) + subject.run_overhead_s
    whole_s = predicted_s if subject.measured_s is None else subject.measured_s
    views = tuple(
        _layer_view(part, seconds, whole_s, error, model)
        for part, seconds, error in zip(subject.parts, predicted, errors, strict=True)
    )
    return Explanation(
        subject.model, subject.device, model.device, model.runtime, model.runtime_version, model.threads,
        subject.measured_s, predicted_s,
        None if subject.measured_s is None else 100 * (predicted_s / subject.measured_s - 1),
        _layer_miss_percent(views), sum(view.macs for view in views),
        sum(int(layer_cost(layer).parameter_items) for layer in layers),
        views, _kinds(views), subject.notes + _unmeasured(model, layers, predicted),
        _stairs(views, subject, model, layer),
        _rules(model, layers) if rules else None, subject.groups,
    )  # fmt: skip


def shared_out(profiled_s: Sequence[float], whole_s: float) -> list[float]:
    """The time of a whole run shared out to its layers by what a profiler said of them.

    A profiler adds about the same to every layer, which weighs on small ones; so that much is taken off each first,
    though no more than nine tenths, and the rest is scaled.
    """
    if not profiled_s:
        return []
    added_s = max(sum(profiled_s) - whole_s, 0.0) / len(profiled_s)
    bare = [max(time_s - added_s, time_s / 10) for time_s in profiled_s]
    scale = whole_s / sum(bare) if sum(bare) else 0.0
    return [time_s * scale for time_s in bare]


def rule_errors(model: ExecutionTimeModel, layers: Sequence[LayerSpec]) -> list[float | None]:
    """The error of the rule that predicts each layer; None where only a fallback answers."""
    errors: list[float | None] = [None] * len(layers)
    families: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        families.setdefault(layer.family, []).append(index)
    for family, indices in families.items():
        if family in model.families:
            table = tabulate([layers[index] for index in indices])
            for leaf, rows in model.families[family].leaves(table):
                for row in rows:
                    errors[indices[row]] = leaf.error
    return errors


def shape_text(layer: LayerSpec) -> str:
    """A layer's shapes in short: `32x56x56 to 64x56x56, 3x3, stride 2`."""
    parts = [f"{_sides(layer.inputs[:1])} to {_sides(layer.outputs[:1])}"]
    if layer.window is not None:
        window = layer.window
        parts.append("x".join(map(str, window.kernel)))
        parts += [f"stride {window.stride[0]}"] if max(window.stride) > 1 else []
        parts += [f"dilation {window.dilation[0]}"] if max(window.dilation) > 1 else []
    if layer.groups > 1 and layer.kind != "depthwise_conv":
        parts.append(f"{layer.groups} groups")
    return ", ".join(parts)


def _stairs(
    views: Sequence[LayerView], subject: Subject, model: ExecutionTimeModel, name: str | None
) -> Staircase | None:
    if name is not None:
        layer = next((part.layer for part in subject.parts if name in (part.name, *part.ops)), None)
        if layer is None:
            raise EdgewrightError(f"{subject.model}: no layer or op {name!r}")
        return staircase(model, layer, _axis(layer))
    widened = [index for index, view in enumerate(views) if view.kind in _WIDENED]
    if not widened:
        return None
    advised = [index for index in widened if views[index].advice]
    worst = max(advised or widened, key=lambda index: _weight(views[index]))
    layer = subject.parts[worst].layer
    return staircase(model, layer, _axis(layer))


def _rules(model: ExecutionTimeModel, layers: Sequence[LayerSpec]) -> str:
    """The trees that predict the layers of this network, as rules in words; those of most layers first."""
    families = Counter(layer.family for layer in layers if layer.family in model.families)
    return "\n\n".join(rules_of(name, model.families[name]) for name, _ in families.most_common())


def _weight(view: LayerView) -> float:
    return view.advice.saves_s if view.advice else view.time_s


def _layer_view(
    part: Part, predicted_s: float, whole_s: float, error: float | None, model: ExecutionTimeModel
) -> LayerView:
    layer = part.layer
    time_s = predicted_s if part.measured_s is None else part.measured_s
    advice = None if error is None else _advice(layer, error, model)
    if advice is not None and advice.saves_s < _WORTH_TELLING * whole_s:
        advice = None
    kind = " + ".join((layer.variant if layer.kind in ("unary", "binary") else layer.kind, *layer.fused))
    return LayerView(
        part.name, part.ops, layer.kind, f"{kind} {layer.dtype}" if layer.dtype != "float32" else kind,
        shape_text(layer), int(layer_cost(layer).macs), layer_bytes(layer), predicted_s, part.measured_s,
        time_s / whole_s if whole_s else 0.0, error, advice,
    )  # fmt: skip


def _advice(layer: LayerSpec, error: float, model: ExecutionTimeModel) -> Advice | None:
    """The fastest nearby width, where the gain is more than the rules err by."""
    if layer.kind not in _WIDENED:
        return None
    axis = _axis(layer)
    own = layer.output[1] if "channels" in axis else layer.output[-1]
    found = staircase(model, layer, axis, range(own, own * 3 // 2 + 1))
    if found.faster is None or found.faster_s is None:
        return None
    faster_error = rule_errors(model, [with_width(layer, axis, found.faster)])[0]
    worst = max(error, faster_error or 0.0)
    if 1 - found.faster_s / found.time_s <= worst:
        return None
    return Advice(axis, own, found.faster, found.time_s, found.faster_s, found.time_s - found.faster_s, worst)


def _axis(layer: LayerSpec) -> str:
    if layer.kind == "fully_connected":
        return "out_features"
    return "hidden" if layer.kind in ("gru", "lstm", "rnn") else "out_channels"


def _layer_miss_percent(views: Sequence[LayerView]) -> float | None:
    """The weighted median of the layers' misses."""
    misses = sorted((abs(v.predicted_s / v.measured_s - 1), v.measured_s) for v in views if v.measured_s)
    half, below = sum(weight for _, weight in misses) / 2, 0.0
    for miss, weight in misses:
        below += weight
        if below >= half:
            return 100 * miss
    return None


def _kinds(views: Sequence[LayerView]) -> tuple[KindView, ...]:
    found: dict[str, list[LayerView]] = {}
    for view in views:
        found.setdefault(view.kind, []).append(view)
    kinds = [
        KindView(
            kind, len(same), sum(v.macs for v in same), sum(v.predicted_s for v in same),
            sum(v.measured_s or 0.0 for v in same) if same[0].measured_s is not None else None,
            sum(v.share for v in same),
        )
        for kind, same in found.items()
    ]  # fmt: skip
    return tuple(sorted(kinds, key=lambda kind: -kind.share))


def _unmeasured(model: ExecutionTimeModel, layers: Sequence[LayerSpec], predicted: Sequence[float]) -> tuple[str, ...]:
    families = model.unmeasured([layer for layer in layers if layer.kind != "reshape"])
    if not families:
        return ()
    guessed = [time_s for layer, time_s in zip(layers, predicted, strict=True) if layer.family in families]
    share = f"{100 * sum(guessed) / max(sum(predicted), 1e-12):.1f} %"
    return (
        f"{share} of the predicted time is a rough guess: {len(guessed)} layers are of kinds never measured on this "
        f"device, {', '.join(families)}",
    )


def _sides(shapes: Sequence[tuple[int, ...]]) -> str:
    """The first shape, without a batch of one."""
    shape = shapes[0] if shapes else ()
    shown = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    return "x".join(map(str, shown)) or str(prod(shape))
