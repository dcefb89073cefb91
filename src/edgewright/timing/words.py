"""Names of columns and variables in the field's words, where the name itself is none."""

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "macs": "operations",
    "input_items": "input items",
    "operand_items": "items of further inputs",
    "output_items": "output items",
    "parameter_items": "parameters",
    "unrolled_items": "unrolled input items",
    "in_channels": "input channels",
    "out_channels": "output channels",
    "in_features": "input features",
    "out_features": "output features",
    "in_height": "input height",
    "in_width": "input width",
    "out_height": "output height",
    "out_width": "output width",
    "out_area": "output pixels",
    "in_channels_per_group": "input channels in each group",
    "kernel_h": "kernel height",
    "kernel_w": "kernel width",
    "stride_h": "vertical stride",
    "stride_w": "horizontal stride",
}


def phrase(name: str) -> str:
    """A column or variable in words: `out_channels` is "output channels"."""
    return WORDS.get(name, name.replace("_", " "))
