"""Every failure tfxfer can name, as one tree; each class owns the exit code of the command line.

TfxferError                     70  a fault of ours unless a subclass says otherwise
├── UsageError       ValueError  2  an option or argument that cannot be meant
├── DataError        ValueError  1  the user's images, labels or tables
│   └── ImageError               1  one file that is not a readable image
├── PluginError                  1  a backbone or head that cannot be used
│   ├── UnknownPluginError  LookupError   no such name (UnknownBackboneError, UnknownHeadError)
│   ├── PluginConflictError LookupError   one name, two distributions
│   ├── PluginImportError   ImportError   the plugin's module does not import
│   └── ContractError       TypeError     it imports, but does not keep the contract
├── WeightsError     ValueError  1  weights that are missing, wrong or unknown
├── ModelError       ValueError  1  a model this operation cannot work with
├── ScheduleError    ValueError  1  phases that make no sense, or do not fit the model
├── RunError         OSError     1  a run directory that is missing, taken or unreadable
├── StorageError     OSError     1  the disk is full or not writable
├── DeviceError      RuntimeError 1 the device asked for is not there
├── SetupError       RuntimeError 1 what is installed is missing a part, or does not fit together
└── GateError        RuntimeError 3 a quality gate was not met
"""

from __future__ import annotations

__all__ = [
    "ContractError",
    "DataError",
    "DeviceError",
    "GateError",
    "ImageError",
    "ModelError",
    "PluginConflictError",
    "PluginError",
    "PluginImportError",
    "RunError",
    "ScheduleError",
    "SetupError",
    "StorageError",
    "TfxferError",
    "UnknownBackboneError",
    "UnknownHeadError",
    "UnknownPluginError",
    "UsageError",
    "WeightsError",
]


class TfxferError(Exception):
    """Base of every error tfxfer raises on purpose.

    Programs read the fields; the message is for people, and its wording changes.

    Args:
        message: what failed, what was expected and received, and how to fix it.
        what: of the message, what failed, was expected and received; None is all of it.
        remedy: of the message, the command that mends it; empty where no single command does.
    """

    exit_code = 70

    def __init__(self, message: str = "", *, what: str | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.what = message if what is None else what
        self.remedy = remedy


class UsageError(TfxferError, ValueError):
    """An option or argument that cannot be meant."""

    exit_code = 2


class DataError(TfxferError, ValueError):
    """Images, labels or tables that cannot be trained on."""

    exit_code = 1


class ImageError(DataError):
    """One file that is not a readable image."""


class PluginError(TfxferError):
    """A backbone or head that cannot be used."""

    exit_code = 1


class UnknownPluginError(PluginError, LookupError):
    """No installed plugin has the name."""


class UnknownBackboneError(UnknownPluginError):
    """No installed backbone has the name."""


class UnknownHeadError(UnknownPluginError):
    """No installed head has the name."""


class PluginConflictError(PluginError, LookupError):
    """Two distributions claim one name."""


class PluginImportError(PluginError, ImportError):
    """The plugin's module does not import."""


class ContractError(PluginError, TypeError):
    """The plugin imports, but does not keep the contract."""


class WeightsError(TfxferError, ValueError):
    """Weights that are missing, unknown, or not what they claim to be."""

    exit_code = 1


class ModelError(TfxferError, ValueError):
    """A model that the operation cannot work with."""

    exit_code = 1


class ScheduleError(TfxferError, ValueError):
    """Phases that make no sense, or do not fit the model."""

    exit_code = 1


class RunError(TfxferError, OSError):
    """A run directory that is missing, taken or unreadable."""

    exit_code = 1


class StorageError(TfxferError, OSError):
    """The disk is full or cannot be written."""

    exit_code = 1


class DeviceError(TfxferError, RuntimeError):
    """The device asked for is not there."""

    exit_code = 1


class SetupError(TfxferError, RuntimeError):
    """Something that is installed does not fit, or something needed is not there."""

    exit_code = 1


class GateError(TfxferError, RuntimeError):
    """A quality gate was not met."""

    exit_code = 3
