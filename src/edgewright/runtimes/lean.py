"""Sessions of ONNX Runtime that hold no more memory than a network needs."""

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgewright.errors import ModelError, RuntimeRefusedError
from edgewright.runtimes.lean_note import read_note

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MMAP_THRESHOLD_BYTES = 1024
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def lean_session(
    path: str | Path,
    settings: Literal["lean", "arena"] | None = None,
    *,
    arena_bytes: int = 0,
    threads: int = 1,
) -> "InferenceSession":
    """A session with the memory settings that a promise of peak memory needs: those that `tile` noted in the file, or
    `settings`; `lean` where neither says.

    `lean` switches ONNX Runtime's arena, memory reuse and memory pattern off, and has glibc map every tensor of 1 KiB
    or more by itself: peaks are those of lifetimes, but each tensor's pages come fresh from the system, which costs
    time. `arena` keeps the arena, with a first region of `arena_bytes` (as predicted; 0 leaves it to the runtime):
    as fast as the default settings, some per cent more memory than `lean`. What `lean` asks of glibc holds for the
    whole process. Raises ModelError for a file that is missing, RuntimeRefusedError for one that does not load.
    """
    import onnxruntime as ort

    if not Path(path).is_file():
        raise ModelError(f"{path}: no such file")
    if settings is None and (note := _noted(Path(path))) is not None:
        settings, arena_bytes = note
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_reuse = False
    options.enable_mem_pattern = False
    if settings != "arena":
        options.enable_cpu_mem_arena = False
        return_at_once()
    try:
        if settings == "arena":
            _register_arena(arena_bytes)
            options.add_session_config_entry("session.use_env_allocators", "1")
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RuntimeRefusedError(f"{path}: {error}") from error


def _noted(path: Path) -> "tuple[Literal['lean', 'arena'], int] | None":
    note = read_note(path)
    if note is None or note.settings not in {"lean", "arena"}:
        return None
    return "arena" if note.settings == "arena" else "lean", note.arena_bytes


def return_at_once() -> bool:
    """Has glibc give freed blocks of 1 KiB or more back to the system; False where the C library can't do that.

    The heap keeps no spare end either, which would take such blocks in and keep their pages.
    """
    wanted = ((_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES), (_M_TOP_PAD, 0), (_M_TRIM_THRESHOLD, 0))
    try:
        libc = ctypes.CDLL(None)
        return all(libc.mallopt(option, size) for option, size in wanted)
    except (AttributeError, OSError, TypeError):
        return False


def _register_arena(first_region_bytes: int) -> None:
    """Makes the arena that the next session takes; sessions that are open keep theirs."""
    import onnxruntime as ort

    arena = ort.OrtArenaCfg(
        {
            "max_mem": 0,
            "arena_extend_strategy": 0,
            "initial_chunk_size_bytes": first_region_bytes or -1,
            "max_dead_bytes_per_chunk": 256,  # a larger chunk than is asked for is always split
            "initial_growth_chunk_size_bytes": -1,
        }
    )
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, arena)
