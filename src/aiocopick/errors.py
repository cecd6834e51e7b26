"""All errors that aiocopick raises on purpose, in one tree.

::

    CopickError
    ├── NotFoundError         (FileNotFoundError, KeyError)   nothing is stored under that name
    ├── AlreadyExistsError    (ValueError)                    the name is taken
    ├── UnknownObjectError    (ValueError)                    not one of the project's pickable objects
    ├── InvalidNameError      (ValueError)                    a name that cannot be stored
    ├── ReadOnlyError         (PermissionError, ValueError)   the layer, or every layer, is read-only
    ├── NotLoadedError        (RuntimeError)                  an attribute that `load()` fills was read before it
    ├── ClosedError           (RuntimeError)                  a blocking root was used after `close()`
    ├── FormatError           (ValueError)                    a file that cannot be decoded
    ├── ConflictError                                         another writer changed the file
    ├── MissingPackageError   (ImportError)                   an optional package is not installed
    ├── LayerError                                            a stack of layers cannot do what was asked
    └── StorageError          (OSError)                       the storage failed
        ├── AccessDeniedError   (PermissionError)             credentials are missing, wrong or expired
        └── StorageTimeoutError (TimeoutError)                no answer in time, or no connection

The classes follow what a handler does about an error, not the origin of the error. Each class also derives from the built-in
exception that code written for plain files or for copick already catches. Messages name the path (never a secret) and
what to do about it; the path alone is on ``error.path``.
"""

from __future__ import annotations


class CopickError(Exception):
    """Base class of every error raised on purpose by aiocopick.

    Parameters
    ----------
    message : str
        What happened, where, and what to do about it.
    path : str, optional
        The path or name concerned, without credentials.
    """

    path: str | None

    def __init__(self, message: str = "", *, path: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        # KeyError would show the repr of the message, OSError its errno form.
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # OSError's own reduction drops keyword arguments; errors cross process borders in dask and multiprocessing.
        return (_rebuild, (type(self), self.message, self.path), {"__notes__": list(getattr(self, "__notes__", []))})


def _rebuild(kind: type[CopickError], message: str, path: str | None) -> CopickError:
    return kind(message, path=path)


class NotFoundError(CopickError, FileNotFoundError, KeyError):
    """Nothing is stored under that name."""


class AlreadyExistsError(CopickError, ValueError):
    """The name is taken; pass ``exist_ok=True`` to get the existing entity."""


class UnknownObjectError(CopickError, ValueError):
    """The name is not one of the project's pickable objects."""


class InvalidNameError(CopickError, ValueError):
    """A name that cannot be stored; the message names the character."""


class ReadOnlyError(CopickError, PermissionError, ValueError):
    """The layer (or every layer of the stack) is read-only."""


class NotLoadedError(CopickError, RuntimeError):
    """An attribute was read that only ``await entity.load()`` fills."""


class ClosedError(CopickError, RuntimeError):
    """A blocking root was used after it was closed; open the project again."""


class FormatError(CopickError, ValueError):
    """A file cannot be decoded; the message gives its path and the reason."""


class ConflictError(CopickError):
    """The file changed since it was read; load it again and repeat the change."""


class MissingPackageError(CopickError, ImportError):
    """A package that this needs is not installed; the message names the extra that installs it."""


class LayerError(CopickError):
    """A stack of layers has an invalid configuration, or cannot do what was requested."""


class LayerSkippedWarning(UserWarning):
    """A layer could not be listed and was left out, as ``on_layer_error="skip"`` asks for."""


class MissingProjectWarning(UserWarning):
    """No runs were found because there is no project at the path; the message says what is there instead."""


class PointsOutsideWarning(UserWarning):
    """Boxes were cut around points that are not in the volume; their axes or their unit may be wrong."""


class StorageError(CopickError, OSError):
    """The storage failed, also after retries."""


class AccessDeniedError(StorageError, PermissionError):
    """Credentials are missing, wrong or expired, or do not allow the operation."""


class StorageTimeoutError(StorageError, TimeoutError):
    """No answer within the configured ``timeout``, or an endpoint that could not be reached in all attempts."""


__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "ClosedError",
    "ConflictError",
    "CopickError",
    "FormatError",
    "InvalidNameError",
    "LayerError",
    "LayerSkippedWarning",
    "MissingPackageError",
    "MissingProjectWarning",
    "NotFoundError",
    "NotLoadedError",
    "PointsOutsideWarning",
    "ReadOnlyError",
    "StorageError",
    "StorageTimeoutError",
    "UnknownObjectError",
]
