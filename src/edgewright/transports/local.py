"""This machine as a device."""

import subprocess
from pathlib import Path
from typing import IO

from edgewright.errors import DeviceError


class LocalSession:
    """A child process; what it prints to standard error is thrown away."""

    def __init__(self, argv: list[str]) -> None:
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        except OSError as error:
            raise DeviceError(f"can't start {argv[0]!r}: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self.stdin: IO[str] = self._process.stdin
        self.stdout: IO[str] = self._process.stdout

    def poll(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.stdin.close()
        self.stdout.close()


class LocalTransport:
    """Files stay where they are; commands are child processes."""

    def put(self, path: Path) -> str:
        if not path.exists():
            raise DeviceError(f"no file {path}")
        return str(path)

    def get(self, remote: str) -> Path:
        path = Path(remote)
        if not path.exists():
            raise DeviceError(f"no file {remote} on the device")
        return path

    def run(self, argv: list[str]) -> LocalSession:
        return LocalSession(argv)
