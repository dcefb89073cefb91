"""Nodes of an exported program, and the Graph that is built from them."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from edgewright.formats.torch.storage import Piece, whole
from edgewright.graph.naming import fresh_name
from edgewright.graph.types import Op, Shape, Tensor, Window

Made = str | tuple[str, ...]
"""The name of the tensor that a call makes, or those of several."""


class Builder:
    """The Graph so far: ops, tensors, and where its constants are stored."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.tensors: dict[str, Tensor] = {}
        self.storage: dict[str, tuple[Piece, ...]] = {}
        self.modules: dict[str, str] = {}
        self.values: dict[fx.Node, Made] = {}
        self.shapes: dict[str, Shape] = {}
        self.zero_states: set[str] = set()
        self.computed: dict[str, float | None] = {}
        self._taken: set[str] = set()

    def fresh(self, base: str) -> str:
        """A name that nothing has yet."""
        return fresh_name(base, self._taken)

    def declare(self, tensor: Tensor) -> str:
        self.tensors[tensor.name] = tensor
        return tensor.name

    def parameter(self, name: str, node: fx.Node) -> None:
        """A parameter or buffer, as a constant of its name."""
        self._taken.add(name)
        value = node.meta["val"]
        shape = tuple(map(int, value.shape))
        self.values[node] = self.declare(Tensor(name, shape, dtype_of(value), is_constant=True))
        self.storage[name] = (whole(name, shape),)
        self.shapes[name] = shape

    def constant(self, base: str, shape: Shape, dtype: str, pieces: tuple[Piece, ...] = ()) -> str:
        """A constant that is no parameter by itself."""
        name = self.fresh(base)
        if pieces:
            self.storage[name] = pieces
        return self.declare(Tensor(name, shape, dtype, is_constant=True))


class Call:
    """A call of an ATen op: its arguments by the names of its schema, and what it makes."""

    def __init__(self, node: fx.Node, name: str, builder: Builder) -> None:
        self.node, self.name, self.builder = node, name, builder
        schema = node.target._schema.arguments
        self.args: dict[str, Any] = {
            argument.name: node.args[place]
            if place < len(node.args)
            else node.kwargs.get(argument.name, argument.default_value if argument.has_default_value() else None)
            for place, argument in enumerate(schema)
        }

    def __getitem__(self, name: str) -> Any:
        return self.args[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.args.get(name, default)

    @property
    def values(self) -> tuple[Any, ...]:
        """The values that are made, as torch sees them."""
        value = self.node.meta["val"]
        return tuple(value) if isinstance(value, tuple | list) else (value,)

    @property
    def made(self) -> Shape:
        return shape_of(self.values[0])

    def name_of(self, value: Any) -> str:
        """The name of an operand; a number becomes a constant, None an absent input."""
        if value is None:
            return ""
        if isinstance(value, fx.Node):
            found = self.builder.values[value]
            if isinstance(found, str):
                return found
            raise ValueError("several tensors where one is read")
        if isinstance(value, bool | int | float):
            return self.builder.constant(f"{self.name}.number", (), self.dtype)
        raise ValueError(f"{type(value).__name__} where a tensor is read")

    @property
    def dtype(self) -> str:
        return dtype_of(self.values[0])

    def shape(self, name: str) -> Shape:
        """The shape of an argument that is a tensor."""
        return self.tensor(name).shape

    def tensor(self, name: str) -> Tensor:
        return self.builder.tensors[self.name_of(self.args[name])]

    def axis(self, value: int, rank: int) -> int:
        if not -max(rank, 1) <= value < max(rank, 1):
            raise ValueError(f"axis {value} of {rank}")
        return value % max(rank, 1)

    def op(
        self,
        kind: str,
        inputs: Sequence[str],
        variant: str = "",
        window: Window | None = None,
        shape: Shape | None = None,
        part: str = "",
        **attributes: Any,
    ) -> str:
        """Add an op with one output: the call's own, or that of a `part` of it, of this shape."""
        shape = self.made if shape is None else shape
        name = self.builder.fresh(f"{self.name}.{part}") if part else self.name
        made = self.builder.declare(Tensor(name, shape, self.dtype))
        self.add(Op(name, kind, tuple(inputs), (made,), window, variant, attributes))
        return made

    def add(self, op: Op) -> None:
        self.builder.ops.append(op)
        self.builder.modules[op.name] = module_of(self.node)

    def outputs(self) -> tuple[str, ...]:
        """Declare a tensor for each value that the call makes."""
        return tuple(
            self.builder.declare(Tensor(f"{self.name}.{place}", shape_of(value), dtype_of(value)))
            for place, value in enumerate(self.values)
        )


def shape_of(value: Any) -> Shape:
    return tuple(int(size) for size in getattr(value, "shape", ()))


def dtype_of(value: Any) -> str:
    found = getattr(value, "dtype", None)
    return str(found).removeprefix("torch.") if found is not None else ""


def module_of(node: fx.Node) -> str:
    """The path of the innermost module that a node belongs to."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]).partition("@")[0] if stack else ""
