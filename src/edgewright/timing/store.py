"""The JSON document of an execution-time model: readable, versioned, and checked value by value on loading."""

import json
import math
from dataclasses import fields
from itertools import chain
from typing import Any

from edgewright.errors import StoreError
from edgewright.graph.cost import form_of, is_plain
from edgewright.graph.types import KINDS
from edgewright.timing.columns import DERIVED, NEEDS
from edgewright.timing.context import Context
from edgewright.timing.model import ExecutionTimeModel, Fallbacks, FamilyTree, HeldOut
from edgewright.timing.permutations import WALK
from edgewright.timing.splits import AtMost, Has, MultipleOf, Split
from edgewright.timing.tree import Branch, Leaf, Node
from edgewright.timing.variables import EARLIER_PLAIN, basis_of

SCHEMA_VERSION = 2
FORMAT = "edgewright execution-time model"


def dump_model(model: ExecutionTimeModel) -> str:
    """The document, indented for people; numbers survive the round trip exactly."""
    document = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "device": model.device,
        "runtime": model.runtime,
        "runtime_version": model.runtime_version,
        "threads": model.threads,
        "settings": model.settings,
        "families": {name: _family_to_dict(tree) for name, tree in model.families.items()},
        "context": vars(model.context),
        "fallbacks": {"plain": _node_to_dict(model.fallbacks.plain), "any": _node_to_dict(model.fallbacks.any)},
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def load_model(text: str, source: str) -> ExecutionTimeModel:
    """The model in a document. Raises StoreError for a newer version and for anything that makes no sense."""
    try:
        document = json.loads(text)
        version = document["schema_version"]
        if document.get("format") != FORMAT or not isinstance(version, int):
            raise ValueError("not an execution-time model")
        if version > SCHEMA_VERSION:
            raise StoreError(f"{source}: schema version {version}, this edgewright reads up to {SCHEMA_VERSION}")
        families = {name: _family_from_dict(record) for name, record in document["families"].items()}
        fallbacks = {name: _leaf_from_dict(document["fallbacks"][name], "fully_connected") for name in ("plain", "any")}
        texts = {name: _text(document[name]) for name in ("device", "runtime", "runtime_version", "settings")}
        threads = _whole(document["threads"])
        context = Context(**{field.name: _amount(document["context"][field.name]) for field in fields(Context)})
        return ExecutionTimeModel(
            **texts, threads=threads, families=families, fallbacks=Fallbacks(**fallbacks), context=context
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"{source}: {reason[:200]}") from error


def _family_to_dict(tree: FamilyTree) -> dict[str, Any]:
    errors = vars(tree.held_out) if tree.held_out is not None else None
    weights = [{"property": name, "is": value, "weight": weight} for (name, value), weight in tree.weights.items()]
    return {"kind": tree.kind, "held_out": errors, "weights": weights, "tree": _node_to_dict(tree.root)}


def _family_from_dict(record: dict[str, Any]) -> FamilyTree:
    kind = record["kind"]
    if kind not in KINDS:
        raise ValueError(f"no such kind of layer: {kind!r}")
    weights = {
        (_one_of(part["property"], ("variant", "fused")), _text(part["is"])): _amount(part["weight"])
        for part in record["weights"]
    }
    return FamilyTree(kind, _node_from_dict(record["tree"], kind), _errors_from_dict(record["held_out"]), weights)


def _errors_from_dict(record: dict[str, Any] | None) -> HeldOut | None:
    if record is None:
        return None
    shares = [_amount(record[name]) for name in ("mape_percent", "within_5_percent", "within_10_percent")]
    return HeldOut(shares[0], shares[1], shares[2], _whole(record["n"]), _whole(record["leaves"]))


def _node_to_dict(node: Node) -> dict[str, Any]:
    told = {"support": node.support, "error": node.error}
    if isinstance(node, Leaf):
        return {"seconds_per": dict(node.rates_s), "constant_s": node.constant_s, "blocks": dict(node.blocks), **told}
    split = {"if": _split_to_dict(node.split)}
    return {**split, **told, "then": _node_to_dict(node.yes), "else": _node_to_dict(node.no)}


def _node_from_dict(record: dict[str, Any], kind: str) -> Node:
    if "if" not in record:
        return _leaf_from_dict(record, kind)
    yes, no = (_node_from_dict(record[side], kind) for side in ("then", "else"))
    return Branch(_split_from_dict(record["if"], kind), yes, no, _whole(record["support"]), _amount(record["error"]))


def _leaf_from_dict(record: dict[str, Any], kind: str) -> Leaf:
    bases = (basis_of(kind), EARLIER_PLAIN) if is_plain(kind) else (basis_of(kind),)
    variables = (*chain.from_iterable(basis.variables for basis in bases), "moved_items", "work")
    dims = tuple(chain.from_iterable(basis.blocks for basis in bases))
    rates = {_one_of(name, variables): _amount(rate) for name, rate in record["seconds_per"].items()}
    blocks = {_one_of(name, dims): max(1, _whole(size)) for name, size in record["blocks"].items()}
    return Leaf(rates, _amount(record["constant_s"]), blocks, _whole(record["support"]), _amount(record["error"]))


def _split_to_dict(split: Split) -> dict[str, Any]:
    match split:
        case AtMost(column, threshold):
            return {"column": column, "at_most": threshold}
        case MultipleOf(column, modulus):
            return {"column": column, "multiple_of": modulus}
        case Has(column, value):
            return {"column": column, "is": value}


def _split_from_dict(record: dict[str, Any], kind: str) -> Split:
    column = record["column"]
    if "is" in record:
        return Has(_one_of(column, ("variant", "fused")), _text(record["is"]))
    dims = (*form_of(kind).names, *(WALK if kind == "transpose" else ()))
    derived = (name for name, how in DERIVED.items() if all(part in dims for part in how.parts))
    _one_of(column, (*dims, *NEEDS, *derived, "work"))
    if "at_most" in record:
        return AtMost(column, _number(record["at_most"]))
    return MultipleOf(column, max(1, _whole(record["multiple_of"])))


def _one_of(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise ValueError(f"no such column: {name!r}")
    return name


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"not a number: {value!r}")
    return float(value)


def _amount(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError(f"negative: {value!r}")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"not a count: {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not a text: {value!r}")
    return value
