"""Points, meshes and filaments of an object that implements the abstract API. Everything here blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.errors import AlreadyExistsError
from aiocopick.layers.base import Payload

if TYPE_CHECKING:
    from aiocopick.layout.refs import FilamentsRef, MeshRef, PicksRef

    FileRef = PicksRef | MeshRef | FilamentsRef


def load(kind: str, entity: Any) -> Payload:
    """Read the content of a file, in the form that our layers return."""
    # `load` would keep the data in the entity during the whole life of the layer.
    content = getattr(entity, "_load", entity.load)()
    if kind == "mesh":
        return content
    if kind == "filaments":
        from aiocopick.models.filaments import CopickFilamentsFile

        return CopickFilamentsFile.model_validate(content.model_dump())
    from aiocopick.formats.picks_table import PicksTable

    if isinstance(content, list):
        # The specification's `_load` returns only the points.
        return PicksTable.from_points(content)
    return PicksTable.from_points(content.points, content.model_dump(exclude={"points"}))


def save(ref: FileRef, run: Any, entity: Any | None, payload: Payload, *, create: bool) -> Any:
    """Write a file; return its entity.

    Parameters
    ----------
    ref : PicksRef, MeshRef or FilamentsRef
        Ref of the file.
    run : CopickRun
        The foreign run that it belongs to.
    entity : object, optional
        The foreign entity, if it exists.
    payload : Payload
        The decoded content.
    create : bool
        Refuse to replace an existing file.

    Raises
    ------
    AlreadyExistsError
        The file exists and `create` is set.
    """
    if entity is None:
        make = {"picks": "new_picks", "mesh": "new_mesh", "filaments": "new_filaments"}[ref.kind]
        entity = getattr(run, make)(ref.object_name, ref.session_id, ref.user_id)
    elif create:
        raise AlreadyExistsError(
            f"The {ref.kind} {ref.object_name} of {ref.user_id}/{ref.session_id} already exist in run {ref.run}; "
            "they were not replaced."
        )
    if ref.kind == "mesh":
        entity.mesh = payload
        entity.store()
        return entity
    identity = {"pickable_object_name": ref.object_name, "user_id": ref.user_id, "session_id": ref.session_id}
    file = payload.to_file(**identity) if ref.kind == "picks" else payload.model_copy(update=identity)
    entity.meta = type(entity.meta).model_validate(file.model_dump())
    entity.store()
    return entity


__all__ = ["load", "save"]
