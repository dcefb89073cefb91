"""NVML: the energy counter of NVIDIA GPUs, through nvidia-ml-py where that is installed."""

import importlib
from collections.abc import Callable
from typing import Any

from edgewright.energy.rail import Rail
from edgewright.errors import DeviceError


def rails(library: Any = None) -> tuple[Rail, ...]:
    """A rail for each GPU: millijoules since the driver was loaded (Volta and later), else milliwatts to be sampled.

    Raises DeviceError, which says why there are none.
    """
    nvml = library if library is not None else _imported()
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        found = tuple(_rail(nvml, index, handle) for index, handle in enumerate(handles))
    except nvml.NVMLError as error:
        raise DeviceError(f"NVML does not answer: {error}") from error
    if not found:
        raise DeviceError("NVML knows of no GPU")
    return found


def _imported() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise DeviceError("nvidia-ml-py is not installed (`pip install edgewright[energy]`)") from error


def _rail(nvml: Any, index: int, handle: Any) -> Rail:
    name = f"gpu {index}"
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:
        nvml.nvmlDeviceGetPowerUsage(handle)
        return Rail(name, _reader(nvml, nvml.nvmlDeviceGetPowerUsage, handle), False)
    return Rail(name, _reader(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle), True)


def _reader(nvml: Any, ask: Callable[[Any], float], handle: Any) -> Callable[[], float]:
    def read() -> float:
        try:
            return float(ask(handle)) * 1e-3
        except nvml.NVMLError as error:
            raise DeviceError(f"NVML does not answer: {error}") from error

    return read
