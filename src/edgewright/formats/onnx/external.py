"""Weight data that an ONNX file keeps in other files of its folder."""

from pathlib import Path

from onnx import ModelProto, TensorProto

from edgewright.errors import ModelError
from edgewright.formats.onnx.dtypes import bits_of
from edgewright.formats.onnx.reading import tensors_of


def check_external(tensor: TensorProto, folder: Path, source: str) -> None:
    """Raise ModelError where the data of a tensor is missing, too short, or lies outside the model's folder."""
    path, offset, length = _place(tensor, folder, source)
    try:
        available = path.stat().st_size - offset
    except OSError as error:
        raise ModelError(f"{source}: weight data file {path.name} is missing") from error
    items = 1
    for dim in tensor.dims:
        items *= dim
    declared = (items * bits_of(tensor.data_type, source) + 7) // 8
    if min(available, length if length is not None else available) < declared:
        raise ModelError(f"{source}: weight data file {path.name} is too short for tensor {tensor.name!r}")


def read_external(tensor: TensorProto, folder: Path, source: str) -> TensorProto:
    """The tensor with its data inside; meant for small ones. Raises ModelError."""
    path, offset, length = _place(tensor, folder, source)
    inside = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            inside.raw_data = file.read(-1 if length is None else length)
    except OSError as error:
        raise ModelError(f"{source}: weight data file {path.name}: {error.strerror or error}") from error
    return inside


def external_files(model: ModelProto) -> list[str]:
    """Names of the files beside the model that have weight data of it."""
    external = (t for t in tensors_of(model.graph) if t.data_location == TensorProto.EXTERNAL)
    locations = (entry.value for tensor in external for entry in tensor.external_data if entry.key == "location")
    return list(dict.fromkeys(locations))


def _place(tensor: TensorProto, folder: Path, source: str) -> tuple[Path, int, int | None]:
    fields = {entry.key: entry.value for entry in tensor.external_data}
    path = folder / fields.get("location", "")
    if not path.resolve().is_relative_to(folder.resolve()) or path.resolve() == folder.resolve():
        raise ModelError(f"{source}: tensor {tensor.name!r} points outside the folder of the model")
    try:
        offset, length = int(fields.get("offset", 0)), fields.get("length")
        size = None if length is None else int(length)
    except ValueError as error:
        raise ModelError(f"{source}: tensor {tensor.name!r} has a broken place of its data") from error
    if offset < 0 or (size is not None and size < 0):
        raise ModelError(f"{source}: tensor {tensor.name!r} has a broken place of its data")
    return path, offset, size
