"""C++ for the device: the data is the file, and it compiles."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.formats.tflite.build import Sketch
from tests.micro_networks import vision

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.c_source import c_source

_RESOLVER = """\
#pragma once
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
namespace tflite {
template <unsigned int N> struct MicroMutableOpResolver {
  static_assert(N == 4, "one place for each op");
  TfLiteStatus AddConv2D() { return kTfLiteOk; }
  TfLiteStatus AddDepthwiseConv2D() { return kTfLiteOk; }
  TfLiteStatus AddFullyConnected() { return kTfLiteOk; }
  TfLiteStatus AddMean() { return kTfLiteOk; }
};
}
"""
_USE = """\
#include "a_2_net_model_data.h"
#include "a_2_net_ops.h"
static unsigned char arena[a_2_net::kTensorArenaSize];
int main() {
  a_2_net::OpResolver resolver;
  return a_2_net::AddOps(resolver) && a_2_net::kModelData[4] == 'T' && arena[0] == 0 ? 0 : 1;
}
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(vision())
    for name, text in c_source(path, "A-2.net", {4: 1024, 8: 2048}).items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_data_is_the_file(written: Path) -> None:
    source = (written / "a_2_net_model_data.cc").read_text()
    data = bytes(int(one, 16) for one in re.findall(r"0x([0-9a-f]{2}),", source))
    assert data == (written / "net.tflite").read_bytes()
    assert "alignas(16)" in source


def test_every_op_is_registered_once(written: Path) -> None:
    calls = re.findall(r"resolver\.(\w+)\(\)", (written / "a_2_net_ops.h").read_text())
    assert calls == ["AddConv2D", "AddDepthwiseConv2D", "AddFullyConnected", "AddMean"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_it_compiles(written: Path) -> None:
    folder = written / "tensorflow" / "lite" / "micro"
    folder.mkdir(parents=True)
    (folder / "micro_mutable_op_resolver.h").write_text(_RESOLVER)
    (written / "main.cc").write_text(_USE)
    flags = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{written}"]
    for name in ("main.cc", "a_2_net_model_data.cc"):
        subprocess.run([*flags, str(written / name)], check=True, capture_output=True)


def test_custom_ops_are_refused(tmp_path: Path) -> None:
    sketch = Sketch()
    x, y = sketch.tensor("x", (1, 4)), sketch.tensor("y", (1, 4))
    sketch.op("CUSTOM", [x], [y], custom="Mine")
    path = tmp_path / "custom.tflite"
    path.write_bytes(sketch.finish([x], [y]))
    with pytest.raises(UnsupportedModelError, match="custom"):
        c_source(path, "net", {4: 1, 8: 1})
