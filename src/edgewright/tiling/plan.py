"""Which ops are fused into groups, and how each group is cut into tiles: plain data."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgewright.errors import StoreError

SCHEMA_VERSION = 1
HALOS = ("recompute", "carry", "mixed")


@dataclass(frozen=True, slots=True)
class FusedGroup:
    """Ops that run tile by tile, in the order of the network.

    `grid` is the tiles along the first and along the second spatial axis. `halo` says what is done about the border
    that neighbouring tiles share: `recompute` computes it in both (MAFAT, arXiv 2107.06960), `carry` keeps the rows
    that the next strip needs, so that nothing is computed twice (data reuse as in DeepThings, Zhao et al., 2018), and
    `mixed` keeps those of narrow tensors and computes those of wide ones from them (`tiling.mixed`). Carrying goes in
    strips: its grid has one column.
    """

    op_names: tuple[str, ...]
    grid: tuple[int, int]
    halo: str = "recompute"


@dataclass(frozen=True)
class TilingPlan:
    """Fused groups and what is expected of them; ops in no group run as they are.

    PRelu ops that are `written_out` become convolutions and relus, in groups or not (`tiling.written_out`).

    `order` names all ops as they were ordered when the plan was made. `extra_macs` are multiply-accumulates that are
    computed more than once.
    """

    groups: tuple[FusedGroup, ...]
    order: tuple[str, ...] = ()
    peak_bytes: int = 0
    predicted_s: float = 0.0
    extra_macs: int = 0
    written_out: tuple[str, ...] = ()


def dump_plan(plan: TilingPlan) -> str:
    """The plan as one JSON document."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(plan)}, indent=1)


def load_plan(text: str, source: str = "plan") -> TilingPlan:
    """The inverse of `dump_plan`. Raises StoreError for what is no plan, or one of a newer version."""
    try:
        record: dict[str, Any] = json.loads(text)
        version = record.pop("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise StoreError(f"{source}: schema version {version}, this edgewright reads up to {SCHEMA_VERSION}")
        groups = tuple(_group(one, source) for one in record.pop("groups"))
        order = tuple(map(str, record.pop("order")))
        written_out = tuple(map(str, record.pop("written_out", ())))
        return TilingPlan(groups, order, **record, written_out=written_out)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{source}: not a tiling plan ({error})") from error


def _group(record: dict[str, Any], source: str) -> FusedGroup:
    rows, columns = map(int, record["grid"])
    if record["halo"] not in HALOS:
        raise StoreError(f"{source}: halo {record['halo']!r} is none of {', '.join(HALOS)}")
    return FusedGroup(tuple(map(str, record["op_names"])), (rows, columns), record["halo"])
