"""Ways to a device: put a file there, get one back, run a command. `open()` finds one by the device's name."""

from edgewright.errors import DeviceError
from edgewright.transports.base import Transport


def open(device: str) -> Transport:  # noqa: A001
    """The transport of a device string; `local` is this machine. Raises DeviceError for one that is not known."""
    if device == "local":
        from edgewright.transports.local import LocalTransport

        return LocalTransport()
    raise DeviceError(f"device {device!r} is not known; this version reaches `local`")
