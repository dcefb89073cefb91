"""How large TensorFlow Lite Micro's structures are, on a 64-bit host and on a 32-bit microcontroller.

A structure is written as the types of its fields, in order: `p` a pointer or size_t, `d` a double, `i` four bytes, `h`
two, `c` one. Its size follows by the rules of C: every field on a multiple of its own size, the whole on that of its
largest. The fields are those of tflite-micro's public headers where these agree with the sizes that the wheel of
October 2026 allocates. Where they do not, or were not looked up, fields were chosen to give the size on the host;
whether a field is a pointer, and so smaller on a microcontroller, is then a guess (FULLY_CONNECTED has two).
"""

from dataclasses import dataclass

_WIDTHS = {"d": 8, "i": 4, "h": 2, "c": 1}

ARENA_ALIGNMENT = 16
"""Where kernels' persistent buffers, scratch buffers and activations begin (MicroArenaBufferAlignment)."""


@dataclass(frozen=True, slots=True)
class Build:
    """How the runtime was built: bytes of a pointer, whether allocations are recorded, support of compressed
    weights."""

    name: str
    pointer_bytes: int
    is_recording: bool = False
    is_compressing: bool = False


HOST = Build("64-bit host", 8, is_recording=True, is_compressing=True)
"""The PyPI wheel `tflite-micro`, whose interpreter records allocations."""

DEVICE = Build("32-bit microcontroller", 4)
"""A usual build for a Cortex-M or another 32-bit core, with the reference kernels."""


@dataclass(frozen=True, slots=True)
class Struct:
    """The fields of a structure, those that only a build with compressed weights has, and those of a recording one."""

    fields: str
    if_compressing: str = ""
    if_recording: str = ""

    def size(self, build: Build) -> int:
        """Bytes of one, padded so that several can stand in a row."""
        end = 0
        for width in self._widths(build):
            end = aligned(end, width) + width
        return aligned(end, self.alignment(build))

    def alignment(self, build: Build) -> int:
        return max(self._widths(build))

    def _widths(self, build: Build) -> list[int]:
        fields = self.fields + self.if_compressing * build.is_compressing + self.if_recording * build.is_recording
        return [_WIDTHS.get(field, build.pointer_bytes) for field in fields]


def aligned(size: int, alignment: int = ARENA_ALIGNMENT) -> int:
    """The next multiple of `alignment`."""
    return -(-size // alignment) * alignment


BUFFER_ALLOCATOR = Struct("p" * 9, if_recording="p" * 4)
PLANNER = Struct("piippppiipc")
MICRO_ALLOCATOR = Struct("p" * 8 + "c", if_recording="p" + "ppp" * 8)
BUILTIN_DATA_ALLOCATOR = Struct("pp")
SUBGRAPH = Struct("pp", if_compressing="p")
EVAL_TENSOR = Struct("ppi")
NODE = Struct("ppppppip")
TENSOR = Struct("ip" + "ii" + "ppp" + "iic")
QUANTIZATION = Struct("ppi")
SCRATCH_REQUEST = Struct("pii")
SCRATCH_HANDLE = Struct("p")
ALLOCATION = Struct("ppiiic")
PLANNED_BUFFER_BYTES = 4 * 4 + 2 * 4 + 3 * 4 + 4
"""What the greedy planner keeps of each buffer while it plans: requirements, sorted sizes and ids, list entry,
offset."""

SCRATCH_REQUESTS_PER_OP = 12
"""Room that is kept for the scratch requests of the next op while ops are prepared."""
