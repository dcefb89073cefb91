"""What every transport must do: put and get files, run commands that talk in lines, and end them."""

import sys
import time
from pathlib import Path

import pytest

from edgewright.errors import DeviceError
from edgewright.transports import open as open_transport
from edgewright.transports.base import Transport

ECHO = """
import sys
for line in sys.stdin:
    print(line.strip().upper(), flush=True)
    print("noise", file=sys.stderr)
"""


@pytest.fixture(params=["local"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return open_transport(request.param)


def test_a_file_comes_back_as_it_went(transport: Transport, tmp_path: Path) -> None:
    path = tmp_path / "a file.bin"
    path.write_bytes(bytes(range(256)))
    assert transport.get(transport.put(path)).read_bytes() == bytes(range(256))


def test_a_file_that_is_not_there(transport: Transport, tmp_path: Path) -> None:
    for move in (lambda: transport.put(tmp_path / "none"), lambda: transport.get(str(tmp_path / "none"))):
        with pytest.raises(DeviceError, match="none"):
            move()


def test_a_command_talks_in_lines(transport: Transport, tmp_path: Path) -> None:
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    session = transport.run([sys.executable, transport.put(script)])
    try:
        for word in ("one", "two"):
            session.stdin.write(f"{word}\n")
            session.stdin.flush()
            assert session.stdout.readline() == f"{word.upper()}\n"
        assert session.poll() is None
    finally:
        session.kill()
    assert session.poll() is not None


def test_a_command_that_ends_says_so(transport: Transport) -> None:
    session = transport.run([sys.executable, "-c", "raise SystemExit(7)"])
    assert session.stdout.readline() == ""
    for _ in range(500):
        if session.poll() is not None:
            break
        time.sleep(0.01)
    assert session.poll() == 7
    session.kill()


def test_a_command_that_is_not_there(transport: Transport) -> None:
    with pytest.raises(DeviceError, match="no-such-command"):
        transport.run(["/no-such-command"])


@pytest.mark.parametrize("name", ["", "telepathy", "ssh://pi@host", "../local"])
def test_devices_that_nobody_reaches(name: str) -> None:
    with pytest.raises(DeviceError, match="not known"):
        open_transport(name)
