"""Checks before an entity is created (valid names, known objects, given ids), and definitions of pickable objects. Pure."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiocopick.errors import AlreadyExistsError, InvalidNameError, UnknownObjectError
from aiocopick.layout.names import MULTILABEL_SUFFIX, check_name, clean_name
from aiocopick.models.objects import FilamentSpec, PickableObject, metadata_with_filament

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


# --- pickable objects -------------------------------------------------------------------------------------------------


logger = logging.getLogger(__name__)


def new_definition(
    config: CopickConfig,
    name: str,
    given: Mapping[str, Any],
    filament: FilamentSpec | dict[str, Any] | None,
    exist_ok: bool,
) -> PickableObject:
    """Append a definition to the objects of a config, or change the one of that name.

    Parameters
    ----------
    config : CopickConfig
        Changed in place.
    name : str
        Of the object.
    given : mapping
        Fields of the definition; None means not given.
    filament : FilamentSpec or dict, optional
        Declares it a filament.
    exist_ok : bool
        Whether an object of that name may be changed.

    Raises
    ------
    InvalidNameError
        The name is not clean.
    AlreadyExistsError
        The name or the label is taken.
    """
    check_name(name, "object name")
    if name.endswith(MULTILABEL_SUFFIX):
        logger.warning("Object name %r ends in a segmentation type suffix; its segmentations are ambiguous.", name)
    known = next((item for item in config.pickable_objects if item.name == name), None)
    if known is not None:
        if not exist_ok:
            raise AlreadyExistsError(f"Object name {name} already exists; pass exist_ok=True to change it.", path=name)
        return _changed(known, given, filament)
    labels = {item.label for item in config.pickable_objects if item.label is not None}
    fields = {field: value for field, value in given.items() if value is not None} | {"name": name}
    if given.get("label") in labels:
        raise AlreadyExistsError(f"Object label {given['label']} already exists; choose another.", path=name)
    fields.setdefault("label", max(labels, default=0) + 1)
    if filament is not None:
        fields["metadata"] = metadata_with_filament(fields.get("metadata"), filament)
    definition = PickableObject.model_validate(fields)
    config.pickable_objects.append(definition)
    return definition


def _changed(
    known: PickableObject, given: Mapping[str, Any], filament: FilamentSpec | dict[str, Any] | None
) -> PickableObject:
    # As shipped, an empty value leaves the old one; only is_particle is always taken.
    update = {field: value for field, value in given.items() if value or field == "is_particle"}
    if filament is not None:
        update["metadata"] = metadata_with_filament(update.get("metadata", known.metadata), filament)
    # Checked as a whole first, so that a refused change changes nothing.
    checked = type(known).model_validate(known.model_dump() | update)
    for field in type(known).model_fields:
        setattr(known, field, getattr(checked, field))
    return known
