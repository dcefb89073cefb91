"""Every error that edgewright raises on purpose.

    EdgewrightError                 one clear line for the user; the CLI prints it and exits with 1
    ├── ModelError                  a model file that can't be read or written
    │   ├── UnsupportedModelError   readable, but not by this operation (control flow, an op that nothing is known of)
    │   └── ShapeError              a dynamic shape that was not given, or one that does not fit
    ├── MeasurementError            something could not be measured
    │   ├── RuntimeRefusedError     the runtime does not run this model
    │   └── DeviceError             the device or the way to it failed
    ├── StoreError                  what is stored can't be used: broken, newer, or an unknown name
    ├── DataError                   a table of measurements with a bad row
    ├── TrainingError               a network that can't be trained: its loss diverges
    └── BudgetError                 a budget that is no size or time, or that can't be met

Errors of other libraries are translated where they enter, with `raise ... from e`.
"""


class EdgewrightError(Exception):
    """The root: its text is one line that a user can act on."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class ModelError(EdgewrightError):
    """A model file can't be read or written."""


class UnsupportedModelError(ModelError):
    """A model can be read, but this operation can't treat it."""


class ShapeError(ModelError):
    """A dynamic shape was not given, or a given shape does not fit."""


class MeasurementError(EdgewrightError):
    """Something could not be measured."""


class RuntimeRefusedError(MeasurementError):
    """The runtime does not run this model."""


class DeviceError(MeasurementError):
    """The device, or the way to it, failed."""


class StoreError(EdgewrightError):
    """What is stored can't be used."""


class DataError(EdgewrightError):
    """A table of measurements has a bad row."""


class BudgetError(EdgewrightError):
    """A budget is no size or time, or can't be met; then `least_bytes` is the least that could be, if that is known."""

    def __init__(self, message: str, least_bytes: int | None = None) -> None:
        super().__init__(message)
        self.least_bytes = least_bytes


class TrainingError(EdgewrightError):
    """A network can't be trained."""
