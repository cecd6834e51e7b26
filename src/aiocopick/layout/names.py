"""Rules for names that are written: cleaning, and refusal of names that cannot be stored.

Nothing here judges names that are read: a listing takes every name that can be parsed.
"""

from __future__ import annotations

from aiocopick.concurrency.caller import warn
from aiocopick.errors import InvalidNameError
from aiocopick.models.naming import cleaned, require_clean

MULTILABEL_SUFFIX = "-multilabel"
"""Ends the store name of a multilabel segmentation."""

MAX_SEGMENT_BYTES = 255
"""The longest name of one file or directory, in UTF-8 bytes, that every file system in use can hold."""


def clean_name(value: str, what: str) -> str:
    """Return a name as CoPick writes it: characters that are not allowed become ``-``, and the ends are stripped.

    Parameters
    ----------
    value : str
        Name of an object, user, session, tomogram type, feature type or segmentation.
    what : str
        The kind of name, for messages ("user id").

    Returns
    -------
    str
        The cleaned name; a ``UserWarning`` is issued if it differs from `value`.

    Raises
    ------
    InvalidNameError
        The cleaned name is empty or begins with a dot, or the value is not a string.
    """
    _check_text(value, what)
    name = cleaned(value)
    if not name:
        raise InvalidNameError(
            f"The {what} {value!r} is empty or has no character that can be stored; choose another.", path=value
        )
    _check_dot(name, what)
    if name != value:
        warn(
            f"The {what} {value!r} contains characters that CoPick does not allow; it has been sanitized to {name!r}.",
        )
    return name


def check_name(value: str, what: str) -> str:
    """Return a name that must already be clean: the ids of a config, and the names of its objects.

    Raises
    ------
    InvalidNameError
        The name contains invalid characters (the message names the first one), or begins with a dot.
    """
    _check_text(value, what)
    require_clean(value, what)
    _check_dot(value, what)
    return value


def check_run_name(value: str) -> str:
    """Return a run name, which is kept unchanged, so it must be a valid directory name.

    Raises
    ------
    InvalidNameError
        It is empty, holds a separator or a control character, begins with a dot, or is longer than 255 UTF-8 bytes.
    """
    _check_text(value, "run name")
    if not value:
        raise InvalidNameError("The run name is empty; choose another.", path=value)
    _check_dot(value, "run name")
    for character in value:
        if character in "/\\" or ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise InvalidNameError(
                f"The run name {value!r} contains {character!r}, which cannot be stored; leave it out.", path=value
            )
    check_segment(value, f"The run name {value!r}")
    return value


def check_segmentation_name(name: str, *, is_multilabel: bool) -> str:
    """Return a clean name of a segmentation; its path must differ from that of a multilabel segmentation.

    Raises
    ------
    InvalidNameError
        A single-label segmentation would get the path of a multilabel one.
    """
    if not is_multilabel and name.endswith(MULTILABEL_SUFFIX):
        raise InvalidNameError(
            f"The segmentation name {name!r} ends in {MULTILABEL_SUFFIX!r}, the segmentation type suffix of "
            "multilabel segmentations; choose another name, or pass is_multilabel=True without the suffix.",
            path=name,
        )
    return name


def check_segment(segment: str, what: str) -> None:
    """Refuse names that a file or directory cannot have.

    Parameters
    ----------
    segment : str
        One part of a key, between two ``/``.
    what : str
        The beginning of the message.

    Raises
    ------
    InvalidNameError
        It is not valid UTF-8, longer than 255 bytes, empty, ``.`` or ``..``, or it contains ``/`` or NUL.
    """
    if segment in ("", ".", "..") or "/" in segment or "\0" in segment:
        raise InvalidNameError(f"{what} cannot be part of a path ('/', NUL, '.', '..' or empty).", path=segment)
    try:
        length = len(segment.encode())
    except UnicodeEncodeError:
        raise InvalidNameError(f"{what} holds characters that UTF-8 cannot express.", path=segment) from None
    if length > MAX_SEGMENT_BYTES:
        raise InvalidNameError(
            f"{what} makes a name of {length} bytes; the longest that can be stored is {MAX_SEGMENT_BYTES}.",
            path=segment,
        )


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise InvalidNameError(f"The {what} must be a string, not {type(value).__name__}.")


def _check_dot(value: str, what: str) -> None:
    if value.startswith("."):
        raise InvalidNameError(
            f"The {what} {value!r} begins with '.', so listings would hide it; choose another.", path=value
        )


__all__ = [
    "MULTILABEL_SUFFIX",
    "check_name",
    "check_run_name",
    "check_segment",
    "check_segmentation_name",
    "clean_name",
]
