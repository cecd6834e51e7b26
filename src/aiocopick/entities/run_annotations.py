"""The picks, meshes and filaments of a run: listing, looking up, making and deleting them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.creation import annotation_names
from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.entities.files import AsyncFile
from aiocopick.entities.filters import OneOrMany, accepts
from aiocopick.entities.lists import Children, select, taken
from aiocopick.entities.mesh import AsyncMesh, empty_scene
from aiocopick.entities.picks import AsyncPicks
from aiocopick.entities.run_base import RunBase
from aiocopick.errors import ConflictError
from aiocopick.layers.base import Source
from aiocopick.layout.refs import FilamentsRef, MeshRef, PicksRef

File = TypeVar("File", bound=AsyncFile)


class AnnotationVerbs(RunBase):
    """Verbs of a run about entities that are one file each."""

    __slots__ = ()

    # --- picks --------------------------------------------------------------------------------------------------------

    async def query_picks(self, *, layers: Iterable[str] | None = None) -> list[AsyncPicks]:
        """Ask the storage for the picks: one request per layer, of their folder alone.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        return await self._query("picks", layers)

    async def picks(self) -> list[AsyncPicks]:
        """The picks, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("picks")

    async def get_picks(
        self,
        /,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        **kwargs: Any,
    ) -> list[AsyncPicks]:
        """The picks of these objects, users and sessions; each filter is one value or several.

        Returns
        -------
        list of AsyncPicks
            Sorted by user, session and object.
        """
        return _select(await self.picks(), object_name, user_id, session_id)

    async def user_picks(self) -> list[AsyncPicks]:
        """The picks of the user of the config; of all users when it names none."""
        return self._of_user(await self.picks())

    async def tool_picks(self) -> list[AsyncPicks]:
        """The picks that tools made (session ``"0"``)."""
        return [picks for picks in await self.picks() if picks.from_tool]

    async def new_picks(
        self, object_name: str, session_id: str | None = None, user_id: str | None = None, exist_ok: bool = False
    ) -> AsyncPicks:
        """Create picks without points; the file is written at once.

        Parameters
        ----------
        object_name : str
            One of the project's objects, when it names any. Characters that CoPick does not allow become ``-``, here
            and in the ids.
        session_id, user_id : str, optional
            From the config when not given.
        exist_ok : bool
            Return the picks that are there, ready to be written, instead of raising.

        Raises
        ------
        AlreadyExistsError
            The name is taken.
        UnknownObjectError
            The project has no such object.
        InvalidNameError
            A name cannot be stored, or an id is missing (a ValueError).
        ReadOnlyError
            No layer can be written to.
        """
        ref = PicksRef(run=self.name, **annotation_names(self.config, object_name, session_id, user_id))
        return await self._new_file(AsyncPicks._of(self, ref), exist_ok)

    async def delete_picks(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the picks that :meth:`get_picks` finds; none when one of them is read-only."""
        await self._delete_all(await self.get_picks(object_name, user_id, session_id))

    # --- meshes -------------------------------------------------------------------------------------------------------

    async def query_meshes(self, *, layers: Iterable[str] | None = None) -> list[AsyncMesh]:
        """Ask the storage for the meshes; as :meth:`query_picks`."""
        return await self._query("meshes", layers)

    async def meshes(self) -> list[AsyncMesh]:
        """The meshes, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("meshes")

    async def get_meshes(
        self,
        /,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        **kwargs: Any,
    ) -> list[AsyncMesh]:
        """The meshes of these objects, users and sessions; as :meth:`get_picks`."""
        return _select(await self.meshes(), object_name, user_id, session_id)

    async def user_meshes(self) -> list[AsyncMesh]:
        """The meshes of the user of the config; of all users when it names none."""
        return self._of_user(await self.meshes())

    async def tool_meshes(self) -> list[AsyncMesh]:
        """The meshes that tools made (session ``"0"``)."""
        return [mesh for mesh in await self.meshes() if mesh.from_tool]

    async def new_mesh(
        self,
        /,
        object_name: str,
        session_id: str | None = None,
        user_id: str | None = None,
        exist_ok: bool = False,
        **kwargs: Any,
    ) -> AsyncMesh:
        """Create an empty mesh; the file is written at once. Parameters and errors as for :meth:`new_picks`.

        Parameters
        ----------
        object_name, session_id, user_id, exist_ok
            As for :meth:`new_picks`.
        **kwargs
            Further fields of its metadata.
        """
        ref = MeshRef(run=self.name, **annotation_names(self.config, object_name, session_id, user_id))
        mesh = AsyncMesh._of(self, ref)
        mesh.mesh = await in_thread(empty_scene)
        mesh._extend_meta(kwargs)
        return await self._new_file(mesh, exist_ok)

    async def delete_meshes(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the meshes that :meth:`get_meshes` finds; none when one of them is read-only."""
        await self._delete_all(await self.get_meshes(object_name, user_id, session_id))

    # --- filaments ----------------------------------------------------------------------------------------------------

    async def query_filaments(self, *, layers: Iterable[str] | None = None) -> list[AsyncFilaments]:
        """Ask the storage for the filaments; as :meth:`query_picks`."""
        return await self._query("filaments", layers)

    async def filaments(self) -> list[AsyncFilaments]:
        """The filaments, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("filaments")

    async def get_filaments(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> list[AsyncFilaments]:
        """The filaments of these objects, users and sessions; as :meth:`get_picks`."""
        return _select(await self.filaments(), object_name, user_id, session_id)

    async def new_filaments(
        self, object_name: str, session_id: str | None = None, user_id: str | None = None, exist_ok: bool = False
    ) -> AsyncFilaments:
        """Create filaments without lines; the file is written at once. As :meth:`new_picks`."""
        ref = FilamentsRef(run=self.name, **annotation_names(self.config, object_name, session_id, user_id))
        return await self._new_file(AsyncFilaments._of(self, ref), exist_ok)

    async def delete_filaments(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the filaments that :meth:`get_filaments` finds; none when one of them is read-only."""
        await self._delete_all(await self.get_filaments(object_name, user_id, session_id))

    # --- what they share ----------------------------------------------------------------------------------------------

    def _of_user(self, entities: list[File]) -> list[File]:
        user = self.config.user_id
        return [entity for entity in entities if (entity.from_user if user is None else entity.user_id == user)]

    async def _new_file(self, entity: File, exist_ok: bool) -> File:
        """Write a new entity, or find the one that is there; a name nobody listed yet costs no listing."""
        writer = self._stack.writer()
        place = Source(writer, writer.locate(entity.ref))
        children: Children[File] = self._children[type(entity).noun]
        existing = children.get(entity.ref)
        if existing is None and not self._stack.single and not children.complete:
            found = await self._stack.find(entity.ref)
            existing = None if found is None else type(entity)._of(self, entity.ref, found.sources)
        if existing is None:
            payload = await entity._payload()
            if payload is None:
                entity._blank()
                payload = await entity._payload()
            entity._sources = (place,)
            try:
                await entity._write(payload, create=True)
            except ConflictError:
                existing = children.get(entity.ref) or type(entity)._of(self, entity.ref, (place,))
        if existing is not None:
            if not exist_ok:
                raise taken(existing)
            entity = await existing._writable_twin()
        self._stored_here(entity)
        known = children.put(entity)
        if known is not entity and not known.loaded and entity.loaded:
            # Another task asked for the same name at the same time, and was told first that it is taken.
            known._restore(entity._state())
        return known


def _select(
    entities: list[File], object_name: OneOrMany[str], user_id: OneOrMany[str], session_id: OneOrMany[str]
) -> list[File]:
    return select(
        entities,
        pickable_object_name=accepts(object_name),
        user_id=accepts(user_id),
        session_id=accepts(session_id),
    )
