"""Sizes of structures by the rules of C."""

import ctypes

from hypothesis import given
from hypothesis import strategies as st

from edgewright.memory.tflm import DEVICE, HOST
from edgewright.memory.tflm import structures as of
from edgewright.memory.tflm.kernels import KERNELS
from edgewright.memory.tflm.structures import Struct

_TYPES = {"p": ctypes.c_void_p, "d": ctypes.c_double, "i": ctypes.c_int32, "h": ctypes.c_int16, "c": ctypes.c_char}


@given(st.text("pdihc", min_size=1, max_size=12))
def test_as_a_compiler_lays_them_out(fields: str) -> None:
    class Compiled(ctypes.Structure):
        _fields_ = [(f"f{index}", _TYPES[field]) for index, field in enumerate(fields)]

    assert Struct(fields).size(HOST) == ctypes.sizeof(Compiled)
    assert Struct(fields).alignment(HOST) == ctypes.alignment(Compiled)


def test_sizes_that_the_interpreter_reports() -> None:
    sizes = [struct.size(HOST) for struct in (of.EVAL_TENSOR, of.NODE, of.TENSOR, of.QUANTIZATION, of.MICRO_ALLOCATOR)]
    assert sizes == [24, 64, 64, 24, 272]


def test_a_microcontroller_needs_half_of_what_is_pointers() -> None:
    assert [struct.size(DEVICE) for struct in (of.EVAL_TENSOR, of.NODE, of.TENSOR)] == [12, 32, 40]
    for kernel in KERNELS.values():
        for struct in (part for part in (kernel.options, kernel.data) if part):
            assert struct.size(DEVICE) <= struct.size(HOST)
