"""An independent check of a cut network: read anew from the module, against the one before and the plan alone."""

from edgewright.compression.network import Network
from edgewright.widths.plan import WidthPlan
from edgewright.widths.verify import problems as problems_of_graphs


def problems(before: Network, plan: WidthPlan, cut: Network) -> list[str]:
    """What is wrong with a network after a plan; empty where all is as it must be.

    The ops are the same, each group has its new width at each of its places and no other axis changes
    (`widths.verify`); the parameters of the module are as large as its Graph says, and each group lists as many
    channels as it has, none of them twice.
    """
    found = problems_of_graphs(before.reading.graph, plan, cut.reading.graph, float("inf"))
    shapes = {name: tuple(value.shape) for name, value in cut.module.named_parameters(remove_duplicate=False)}
    for name, pieces in cut.reading.storage.items():
        found += [
            f"parameter {piece.parameter!r} is {shapes[piece.parameter]}, and not as large as {name!r}"
            for piece in pieces
            if piece.parameter in shapes and _items(shapes[piece.parameter]) != _items(piece.shape)
        ]
    for group, left in zip(cut.first, cut.channels, strict=True):
        known = [channel for channel in left if channel >= 0]
        if len(set(known)) < len(known) or any(channel >= group.width for channel in known):
            found.append(f"{group.name!r} keeps channels that it does not have")
    return found


def _items(shape: tuple[int, ...]) -> int:
    items = 1
    for size in shape:
        items *= size
    return items
