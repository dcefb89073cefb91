"""Which grids the search tries."""

from dataclasses import dataclass

from edgewright.tiling.estimate import Grids
from edgewright.tiling.outline import Feature


@dataclass(frozen=True, slots=True)
class Space:
    """The search space: counts of strips, sides of square grids, halo policies, and ops of a group at most.

    A feature map is also cut into strips of one to `thinnest` rows, where that makes no more than `most_strips`.
    `upright` strips are tried only where they share less than the others: on wide maps, and between tall windows.
    """

    strips: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48)
    squares: tuple[int, ...] = (2, 3, 4, 5, 6)
    upright: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 10)
    halos: tuple[str, ...] = ("recompute", "carry", "mixed")
    thinnest: int = 4
    most_strips: int = 80
    longest: int = 64

    def grids(self, feature: Feature, halo: str, is_tall: bool = False) -> Grids:
        """Grids for a group whose last output is this feature map; `is_tall` where windows are taller than wide."""
        counts = {feature.rows // thickness for thickness in range(1, self.thinnest + 1)}
        counts = {count for count in (*counts, *self.strips) if 2 <= count <= min(feature.rows, self.most_strips)}
        grids = [(count, 1) for count in sorted(counts)]
        if halo == "recompute" and feature.columns > 1:
            grids += [(side, side) for side in self.squares if side <= min(feature.rows, feature.columns)]
            if is_tall or feature.columns > feature.rows:
                grids += [(1, count) for count in self.upright if count <= feature.columns]
        return tuple(grids)
