"""Checks before an entity is created: valid names, known objects, given ids. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.errors import InvalidNameError, UnknownObjectError
from aiocopick.layout.names import clean_name

if TYPE_CHECKING:
    from aiocopick.models.config import CopickConfig


def annotation_names(
    config: CopickConfig, object_name: str, session_id: str | None, user_id: str | None
) -> dict[str, str]:
    """Clean names for picks, a mesh or filaments.

    Parameters
    ----------
    config : CopickConfig
        Its objects are the allowed ones (if it has none, any object is); its ids replace missing ones.
    object_name, session_id, user_id : str
        As given by the caller.

    Returns
    -------
    dict
        ``object_name``, ``user_id`` and ``session_id``, cleaned.

    Raises
    ------
    UnknownObjectError
        The config has objects, but not this one.
    InvalidNameError
        Nothing of a name can be stored, or an id is missing.
    """
    names = {"object_name": known_object(config, clean_name(object_name, "object name"))}
    return names | session_names(config, session_id, user_id)


def session_names(config: CopickConfig, session_id: str | None, user_id: str | None) -> dict[str, str]:
    """Clean user and session ids, from the config where they are missing.

    Raises
    ------
    InvalidNameError
        An id is missing in both places, or nothing of it can be stored.
    """
    return {
        "user_id": _given(user_id, config.user_id, "user id", "user_id"),
        "session_id": _given(session_id, config.session_id, "session id", "session_id"),
    }


def known_object(config: CopickConfig, name: str, why: str = "") -> str:
    """Return the name, if it is one of the project's objects, or if the project names none.

    Raises
    ------
    UnknownObjectError
        It is not one of them.
    """
    names = [known.name for known in config.pickable_objects]
    if names and name not in names:
        raise UnknownObjectError(
            f"Object name {name} not found in pickable objects ({', '.join(names)}); {why}add it to the config, or "
            "with new_object().",
            path=name,
        )
    return name


def _given(value: Any, default: str | None, what: str, field: str) -> str:
    chosen = default if value is None else value
    if chosen is None:
        raise InvalidNameError(f"The {what} is missing: pass {field}, or set it in the config.")
    return clean_name(chosen, what)
