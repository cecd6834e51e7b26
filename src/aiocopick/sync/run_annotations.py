"""Picks, meshes and filaments of a run, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiocopick.models.metadata import CopickMeshMeta
from aiocopick.models.points import CopickPicksFile
from aiocopick.sync.filaments import CopickFilamentsFS
from aiocopick.sync.mesh import CopickMeshFS
from aiocopick.sync.picks import CopickPicksFS
from aiocopick.sync.run_base import RunBase

if TYPE_CHECKING:
    from aiocopick.entities.filters import OneOrMany


class AnnotationVerbs(RunBase):
    """Verbs of a run about entities that are one file each."""

    _picks: list[CopickPicksFS] | None
    _meshes: list[CopickMeshFS] | None
    _filaments: list[CopickFilamentsFS] | None

    # --- picks --------------------------------------------------------------------------------------------------------

    def _picks_factory(self) -> tuple[type[CopickPicksFS], type[CopickPicksFile]]:
        return CopickPicksFS, CopickPicksFile

    @property
    def picks(self) -> list[CopickPicksFS]:
        """The picks, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncRun.picks`.
        """
        return self._listed("picks", self.aio.picks)

    def query_picks(self, *, layers: Iterable[str] | None = None) -> list[CopickPicksFS]:
        """Ask the storage for the picks: one request per layer, of their folder alone.

        See :meth:`aiocopick.AsyncRun.query_picks`.
        """
        return self._queried("picks", self._call(self.aio.query_picks, layers=layers), layers)

    def refresh_picks(self) -> None:
        """Ask for the picks again, at once."""
        self.aio.refresh_picks()
        self.query_picks()

    def get_picks(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        **kwargs: Any,
    ) -> list[CopickPicksFS]:
        """The picks of these objects, users and sessions; each filter is one value or several.

        See :meth:`aiocopick.AsyncRun.get_picks`.
        """
        return self._wrap_all(self._look("picks", self.aio.get_picks, object_name, user_id, session_id, **kwargs))

    def user_picks(self) -> list[CopickPicksFS]:
        """The picks of the user of the config; of all users when it names none.

        See :meth:`aiocopick.AsyncRun.user_picks`.
        """
        return self._wrap_all(self._look("picks", self.aio.user_picks))

    def tool_picks(self) -> list[CopickPicksFS]:
        """The picks that tools made (session ``"0"``).

        See :meth:`aiocopick.AsyncRun.tool_picks`.
        """
        return self._wrap_all(self._look("picks", self.aio.tool_picks))

    def new_picks(
        self,
        object_name: str,
        session_id: str | None = None,
        user_id: str | None = None,
        exist_ok: bool = False,
    ) -> CopickPicksFS:
        """Create picks without points; the file is written at once.

        See :meth:`aiocopick.AsyncRun.new_picks`.
        """
        twin = self._call(self.aio.new_picks, object_name, session_id, user_id, exist_ok)
        picks: CopickPicksFS = self._created("picks", twin)
        return picks

    def delete_picks(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the picks that :meth:`get_picks` finds; none when one of them is read-only.

        See :meth:`aiocopick.AsyncRun.delete_picks`.
        """
        self._call(self.aio.delete_picks, object_name, user_id, session_id)
        self._deleted("picks")

    # --- meshes -------------------------------------------------------------------------------------------------------

    def _mesh_factory(self) -> tuple[type[CopickMeshFS], type[CopickMeshMeta]]:
        return CopickMeshFS, CopickMeshMeta

    @property
    def meshes(self) -> list[CopickMeshFS]:
        """The meshes, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncRun.meshes`.
        """
        return self._listed("meshes", self.aio.meshes)

    def query_meshes(self, *, layers: Iterable[str] | None = None) -> list[CopickMeshFS]:
        """Ask the storage for the meshes; as :meth:`query_picks`.

        See :meth:`aiocopick.AsyncRun.query_meshes`.
        """
        return self._queried("meshes", self._call(self.aio.query_meshes, layers=layers), layers)

    def refresh_meshes(self) -> None:
        """Ask for the meshes again, at once."""
        self.aio.refresh_meshes()
        self.query_meshes()

    def get_meshes(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        **kwargs: Any,
    ) -> list[CopickMeshFS]:
        """The meshes of these objects, users and sessions; as :meth:`get_picks`.

        See :meth:`aiocopick.AsyncRun.get_meshes`.
        """
        return self._wrap_all(self._look("meshes", self.aio.get_meshes, object_name, user_id, session_id, **kwargs))

    def user_meshes(self) -> list[CopickMeshFS]:
        """The meshes of the user of the config; of all users when it names none.

        See :meth:`aiocopick.AsyncRun.user_meshes`.
        """
        return self._wrap_all(self._look("meshes", self.aio.user_meshes))

    def tool_meshes(self) -> list[CopickMeshFS]:
        """The meshes that tools made (session ``"0"``).

        See :meth:`aiocopick.AsyncRun.tool_meshes`.
        """
        return self._wrap_all(self._look("meshes", self.aio.tool_meshes))

    def new_mesh(
        self,
        object_name: str,
        session_id: str | None = None,
        user_id: str | None = None,
        exist_ok: bool = False,
        **kwargs: Any,
    ) -> CopickMeshFS:
        """Create an empty mesh; the file is written at once. Parameters and errors as for :meth:`new_picks`.

        See :meth:`aiocopick.AsyncRun.new_mesh`.
        """
        twin = self._call(self.aio.new_mesh, object_name, session_id, user_id, exist_ok, **kwargs)
        mesh: CopickMeshFS = self._created("meshes", twin)
        return mesh

    def delete_meshes(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the meshes that :meth:`get_meshes` finds; none when one of them is read-only.

        See :meth:`aiocopick.AsyncRun.delete_meshes`.
        """
        self._call(self.aio.delete_meshes, object_name, user_id, session_id)
        self._deleted("meshes")

    # --- filaments ----------------------------------------------------------------------------------------------------

    def _filaments_factory(self) -> type[CopickFilamentsFS]:
        return CopickFilamentsFS

    @property
    def filaments(self) -> list[CopickFilamentsFS]:
        """The filaments, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncRun.filaments`.
        """
        return self._listed("filaments", self.aio.filaments)

    def query_filaments(self, *, layers: Iterable[str] | None = None) -> list[CopickFilamentsFS]:
        """Ask the storage for the filaments; as :meth:`query_picks`.

        See :meth:`aiocopick.AsyncRun.query_filaments`.
        """
        return self._queried("filaments", self._call(self.aio.query_filaments, layers=layers), layers)

    def refresh_filaments(self) -> None:
        """Ask for the filaments again, at once."""
        self.aio.refresh_filaments()
        self.query_filaments()

    def get_filaments(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> list[CopickFilamentsFS]:
        """The filaments of these objects, users and sessions; as :meth:`get_picks`.

        See :meth:`aiocopick.AsyncRun.get_filaments`.
        """
        return self._wrap_all(self._look("filaments", self.aio.get_filaments, object_name, user_id, session_id))

    def new_filaments(
        self,
        object_name: str,
        session_id: str | None = None,
        user_id: str | None = None,
        exist_ok: bool = False,
    ) -> CopickFilamentsFS:
        """Create filaments without lines; the file is written at once. As :meth:`new_picks`.

        See :meth:`aiocopick.AsyncRun.new_filaments`.
        """
        twin = self._call(self.aio.new_filaments, object_name, session_id, user_id, exist_ok)
        filaments: CopickFilamentsFS = self._created("filaments", twin)
        return filaments

    def delete_filaments(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the filaments that :meth:`get_filaments` finds; none when one of them is read-only.

        See :meth:`aiocopick.AsyncRun.delete_filaments`.
        """
        self._call(self.aio.delete_filaments, object_name, user_id, session_id)
        self._deleted("filaments")
