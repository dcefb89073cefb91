"""Measurements made elsewhere, as CSV: a row a layer, columns in the field's words.

    kind,in_channels,out_channels,kernel_h,stride_h,in_height,in_width,time_ms
    conv,32,64,3,1,56,56,0.69
    depthwise_conv,64,,3,2,56,56,0.12
    fully_connected,1280,1000,,,,,0.31

A column `energy_j` (or `energy_mj`, `energy_uj`) may tell the joules of one run beside.

What is not given follows from what is: see `layer_rows`. Layers that are no such row (slices, 3-D windows) are
given by their shapes, `inputs` and `outputs` as `1x8x56x56;1x8x56x56`, with `kernel`, `stride`, `dilation`,
`pad_before` and `pad_after` as `3x3x3` where they have a window.
"""

import csv
import difflib
import io
import math
from collections.abc import Iterable, Iterator, Mapping

from edgewright.errors import DataError
from edgewright.profile import Measurement, Profile
from edgewright.timing.layer_rows import COLUMNS, BadCellError, layer_to_row, row_to_layer

TIMES: Mapping[str, float] = {"time_s": 1.0, "time_ms": 1e-3, "time_us": 1e-6}
ENERGIES: Mapping[str, float] = {"energy_j": 1.0, "energy_mj": 1e-3, "energy_uj": 1e-6}
MOST_TOLD = 5


def read_csv(lines: Iterable[str], source: str, device: str, runtime: str = "", threads: int = 1) -> Profile:
    """The profile in a table of measurements. Raises DataError, which names line and column of every bad row."""
    reader = csv.reader(_without_mark(lines))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        time_column = _check_header(header, source)
        measurements, bad = [], []
        for cells in reader:
            try:
                if any(cell.strip() for cell in cells):
                    measurements.append(_measurement(header, cells, time_column))
            except BadCellError as error:
                bad.append(f"line {reader.line_num}, column {error.column}: {error.reason}")
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{source}, line {reader.line_num + 1}: not CSV ({error})") from error
    if bad:
        more = f"; and {len(bad) - MOST_TOLD} more bad rows" if len(bad) > MOST_TOLD else ""
        raise DataError(f"{source}: {'; '.join(bad[:MOST_TOLD])}{more}")
    if not measurements:
        raise DataError(f"{source}: no row with a measurement")
    return Profile(device, runtime, "", threads, tuple(measurements))


def write_csv(profile: Profile) -> str:
    """The table: the columns that some layer needs, and the median time in seconds."""
    rows = [layer_to_row(measurement.layer) for measurement in profile.measurements]
    used = [name for name in COLUMNS if any(row.get(name) for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    joules = ["energy_j"] if any(m.energy_j is not None for m in profile.measurements) else []
    writer.writerow([*used, "time_s", *joules])
    for row, measurement in zip(rows, profile.measurements, strict=True):
        energy = [measurement.energy_j or "" for _ in joules]
        writer.writerow([*(row.get(name, "") for name in used), repr(measurement.median_s), *energy])
    return text.getvalue()


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line.removeprefix("\ufeff") if number == 0 else line


def _check_header(header: list[str], source: str) -> str:
    """The name of the time column. Raises DataError for a header that can't be meant."""
    times = [name for name in TIMES if name in header]
    if len(times) != 1:
        raise DataError(f"{source}, line 1: there must be one column of time_us, time_ms and time_s, not {len(times)}")
    if "kind" not in header:
        raise DataError(f"{source}, line 1: there is no column kind")
    known = {*COLUMNS, *TIMES, *ENERGIES}
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{source}, line 1, column {name}: there are two of them")
        near = difflib.get_close_matches(name, known - set(header), 1, 0.85) if name not in known else []
        if near:
            raise DataError(f"{source}, line 1, column {name}: not known; is {near[0]} meant?")
    return times[0]


def _measurement(header: list[str], cells: list[str], time_column: str) -> Measurement:
    if len(cells) > len(header):
        raise BadCellError(str(len(header) + 1), "more cells than the header has columns")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    seconds = _amount(time_column, row.pop(time_column, ""), "time") * TIMES[time_column]
    energies = [_amount(name, row.pop(name), "energy") * ENERGIES[name] for name in ENERGIES if name in row]
    return Measurement(row_to_layer(row), (seconds,), energy_j=energies[0] if energies else None)


def _amount(column: str, text: str, what: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise BadCellError(column, "not a number") from None
    if not (math.isfinite(found) and found > 0):
        raise BadCellError(column, f"not {'an' if what == 'energy' else 'a'} {what} above zero")
    return found
