"""The interface of a transport."""

from pathlib import Path
from typing import IO, Protocol


class Session(Protocol):
    """A command that runs on the device and talks in lines."""

    stdin: IO[str]
    stdout: IO[str]

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""

    def kill(self) -> None:
        """End it and wait for its end."""


class Transport(Protocol):
    """Three verbs: put a file on the device, get one back, run a command there."""

    def put(self, path: Path) -> str:
        """Make a local file readable on the device and return its path there."""

    def get(self, remote: str) -> Path:
        """Fetch a file of the device and return its local path."""

    def run(self, argv: list[str]) -> Session:
        """Start a command on the device, its standard input and output as text lines."""
