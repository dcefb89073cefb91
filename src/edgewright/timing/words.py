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
    "out_channels_in_last_block": "output channels in the last block of 32",
    "out_features_in_last_block": "output features in the last block of 32",
    "out_height": "output height",
    "out_width": "output width",
    "out_area": "output pixels",
    "in_channels_per_group": "input channels in each group",
    "kernel_h": "kernel height",
    "kernel_w": "kernel width",
    "stride_h": "vertical stride",
    "stride_w": "horizontal stride",
    "copies": "pieces copied",
    "copied_items": "items of a piece copied",
    "copied_by_16": "items copied in blocks of 16",
    "copied_by_64": "items copied in blocks of 64",
    "run_items": "items that stay side by side",
    "read_row": "items side by side before",
    "written_row": "items side by side after",
    "read_step": "items between those read one after the other",
    "write_step": "items between those written one after the other",
    "runs": "pieces moved",
    "runs_by_16": "items moved in blocks of 16",
    "rows_read": "rows read",
    "rows_written": "rows written",
    "tiled_items": "items in tiles",
    "input_rows": "input rows",
    "edge_products": "products at the edges",
    "group_calls": "calls of a group",
    "inside_macs": "operations inside the map",
    "input_passes": "input items, each time they are passed over",
    "kernel_rows": "rows of kernels",
    "pixel_block_macs": "operations in blocks of 16 pixels",
    "ragged_items": "output items of maps that are no whole blocks of 16 pixels",
    "row_macs": "operations on a row of the kernel",
    "single_macs": "operations outside of blocks",
    "work": "items weighed by what is computed",
}


def phrase(name: str) -> str:
    """A column or variable in words: `out_channels` is "output channels"."""
    return WORDS.get(name, name.replace("_", " "))
