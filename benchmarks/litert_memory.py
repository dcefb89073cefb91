"""Memory of LiteRT: the predicted arena and XNNPACK workspace against what the runtime asks the allocator for.

    python benchmarks/litert_memory.py MODEL.tflite [MODEL.tflite ...]

The allocator is listened to by a small library that is preloaded, which needs gcc and glibc. XNNPACK allocates its
workspace with posix_memalign after the packed weights and before LiteRT allocates its arena, with aligned_alloc.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import edgewright as ew

LISTENER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void say(char what, size_t size) {
  char line[64];
  if (size >= 64 && getenv("LISTEN")) (void)!write(2, line, snprintf(line, 64, "@%c %zu\n", what, size));
}
int posix_memalign(void **at, size_t alignment, size_t size) {
  static int (*next)(void **, size_t, size_t);
  if (!next) next = dlsym(RTLD_NEXT, "posix_memalign");
  say('w', size);
  return next(at, alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  static void *(*next)(size_t, size_t);
  if (!next) next = dlsym(RTLD_NEXT, "aligned_alloc");
  say('a', size);
  return next(alignment, size);
}
"""
LOADER = """
import ctypes, sys
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
ctypes.CDLL(None).setenv(b"LISTEN", b"1", 1)
interpreter.allocate_tensors()
ctypes.CDLL(None).unsetenv(b"LISTEN")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.tflite")
    options = parser.parse_args()
    table = Table("network", "predicted", "allocated", "difference")
    with tempfile.TemporaryDirectory() as folder:
        library = listener(Path(folder))
        for model in options.models:
            predicted = ew.memory(model).peak_bytes
            allocated = sum(allocations(model, library))
            table.add_row(model.name, f"{predicted:,}", f"{allocated:,}", f"{predicted / allocated - 1:+.2%}")
    Console().print(table)


def listener(folder: Path) -> Path:
    """The library that tells of allocations."""
    source, library = folder / "listen.c", folder / "listen.so"
    source.write_text(LISTENER)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def allocations(model: Path, library: Path) -> tuple[int, int]:
    """Bytes of XNNPACK's workspace and of LiteRT's arena."""
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    command = [sys.executable, "-c", LOADER, str(model)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    workspace = arena = before = 0
    for line in said.splitlines():
        if line.startswith("@w "):
            before = int(line[3:])
        elif line.startswith("@a "):
            workspace, arena = before, int(line[3:])
    return workspace, arena


if __name__ == "__main__":
    main()
