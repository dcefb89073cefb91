"""The device store: what was measured on each device and what was learned from it, by name.

    HOME/devices/NAME/profile.jsonl    the measurements, a line each
    HOME/devices/NAME/model.json       the execution-time model
    HOME/devices/NAME/energy.json      the same of energy, where the measurements hold any

HOME is the environment variable EDGEWRIGHT_HOME, or else the user-data folder of the system.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edgewright.errors import StoreError
from edgewright.files import write_atomically
from edgewright.profile import Profile, dump_profile, load_profile
from edgewright.timing.model import ExecutionTimeModel

DEFAULT_NAME = "local"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def usual_name(runtime: str) -> str:
    """What this machine is called with a runtime, where the user gives no name."""
    return DEFAULT_NAME if runtime == "onnxruntime" else f"{DEFAULT_NAME}-{runtime}"


@dataclass(frozen=True)
class DeviceStore:
    """The devices under one folder. Every method raises StoreError for a name that is none, and for broken files."""

    root: Path

    def names(self) -> tuple[str, ...]:
        """The devices that something is stored of, sorted."""
        folder = self.root / "devices"
        try:
            found = [entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name) and _holds(entry)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"can't read {folder}: {error.strerror or error}") from error
        return tuple(sorted(found))

    def profile_path(self, name: str) -> Path:
        """Where the profile of a device is, or will be: a campaign appends to it."""
        return self._folder(name) / "profile.jsonl"

    def model_path(self, name: str) -> Path:
        """Where the execution-time model of a device is, or will be."""
        return self._folder(name) / "model.json"

    def energy_path(self, name: str) -> Path:
        """Where the model of a device's energy is, or will be."""
        return self._folder(name) / "energy.json"

    def profile(self, name: str) -> Profile:
        """The measurements of a device."""
        path = self.profile_path(name)
        return load_profile(self._text(name, path).splitlines(keepends=True), str(path))

    def model(self, name: str) -> ExecutionTimeModel:
        """What was learned of a device."""
        path = self.model_path(name)
        return ExecutionTimeModel.from_json(self._text(name, path), str(path))

    def energy_model(self, name: str) -> ExecutionTimeModel:
        """What was learned of a device's energy: wherever it says seconds, joules of one run are meant."""
        path = self.energy_path(name)
        if name in self.names() and not path.exists():
            raise StoreError(f"device {name!r} has no energy: its profile holds times alone; see `--energy` of profile")
        return ExecutionTimeModel.from_json(self._text(name, path), str(path))

    def write_profile(self, name: str, profile: Profile) -> Path:
        """Replace the measurements of a device."""
        return self._write(self.profile_path(name), dump_profile(profile))

    def write_model(self, name: str, model: ExecutionTimeModel) -> Path:
        """Replace what was learned of a device."""
        return self._write(self.model_path(name), model.to_json())

    def write_energy_model(self, name: str, model: ExecutionTimeModel) -> Path:
        """Replace what was learned of a device's energy."""
        return self._write(self.energy_path(name), model.to_json())

    def forget(self, name: str) -> None:
        """Remove all that is stored of a device."""
        for path in (self.energy_path(name), self.model_path(name), self.profile_path(name)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"can't remove {path}: {error.strerror or error}") from error

    def choose(self, name: str | None, usual: str = DEFAULT_NAME) -> str:
        """The device of that name; where none is named, the usual one, or the only one that there is."""
        names = self.names()
        if name is not None:
            self._folder(name)
            if name in names:
                return name
            raise StoreError(f"no device {name!r} in {self.root}; {_known(names)}")
        if usual in names or len(names) == 1:
            return usual if usual in names else names[0]
        raise StoreError(f"which device? {_known(names)}; --device NAME chooses one" if names else _known(names))

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} can't name a device: up to 64 letters, digits, dots, dashes and underscores, "
                "a letter or a digit first"
            )
        return self.root / "devices" / name

    def _text(self, name: str, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            lacks = "measurements" if path.name == "profile.jsonl" else "finished profile"
            raise StoreError(
                f"device {name!r} has no {lacks}; `edgewright profile --name {name}` goes on with it"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise StoreError(f"can't read {path}: {reason}") from error

    def _write(self, path: Path, text: str) -> Path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"can't write {path}: {error.strerror or error}") from error
        write_atomically(path, text)
        return path


def open_store(home: Path | None = None) -> DeviceStore:
    """The store in a folder; by default that of this user."""
    if home is None:
        home = Path(os.environ["EDGEWRIGHT_HOME"]) if os.environ.get("EDGEWRIGHT_HOME") else _user_folder()
    return DeviceStore(home.expanduser())


def _user_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("edgewright", appauthor=False)


def _holds(folder: Path) -> bool:
    return (folder / "profile.jsonl").is_file() or (folder / "model.json").is_file()


def _known(names: tuple[str, ...]) -> str:
    if not names:
        return "no device has been profiled yet; `edgewright profile` learns this machine"
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}"
