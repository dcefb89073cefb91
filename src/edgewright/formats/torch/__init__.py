"""PyTorch modules: read through torch.export into a Graph, width edits applied to the live module."""

from edgewright.formats.torch.apply import apply_widths
from edgewright.formats.torch.architecture import architecture, load, rebuild, save
from edgewright.formats.torch.onnx_file import export_onnx
from edgewright.formats.torch.read import Reading, read_module, understand
from edgewright.formats.torch.storage import Location, locations
from edgewright.formats.torch.usable import changeable_groups

__all__ = [
    "Location",
    "Reading",
    "apply_widths",
    "architecture",
    "changeable_groups",
    "export_onnx",
    "load",
    "locations",
    "read_module",
    "rebuild",
    "save",
    "understand",
]
