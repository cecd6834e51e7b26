"""The pickable objects of a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.single_flight import alone
from aiocopick.entities.object import AsyncObject
from aiocopick.entities.objects import new_definition
from aiocopick.entities.root_base import RootBase
from aiocopick.layout.refs import ObjectRef
from aiocopick.models.objects import FilamentSpec, PickableObject

if TYPE_CHECKING:
    from aiocopick.layers import Merged


class ObjectVerbs(RootBase):
    """Verbs of a root about its objects."""

    __slots__ = ()

    def _object_meta(self, name: str) -> PickableObject | None:
        return next((known for known in self.config.pickable_objects if known.name == name), None)

    async def query_objects(self, *, layers: Iterable[str] | None = None) -> list[AsyncObject]:
        """The pickable objects, the storage asked which of them have a density map: one request per layer.

        Returns
        -------
        list of AsyncObject
            Those of the config, in its order; of a config that names none, those that have a map.
        """
        found = {name_of(item): item for item in await self._stack.list_objects(layers)}
        if layers is None:
            self._maps = found
            self._objects = {}
        return list(self._listed_objects(found))

    async def pickable_objects(self) -> list[AsyncObject]:
        """The pickable objects, as last queried; what is appended to the config is among them at once."""
        if self._maps is None:
            async with alone(self):
                if self._maps is None:
                    await self.query_objects()
        return list(self._listed_objects(self._maps or {}))

    def _listed_objects(self, maps: Mapping[str, Merged]) -> list[AsyncObject]:
        known = {item.name: item for item in self.config.pickable_objects}
        objects = []
        for name in known or sorted(maps):
            entity = self._objects.get(name)
            # A definition that was replaced in the config makes another object.
            if entity is None or (known and entity._meta is not known[name]):
                sources = maps[name].sources if name in maps else ()
                entity = self._objects[name] = AsyncObject._of(self, ObjectRef(name=name), sources)
                if known:
                    entity._meta = known[name]
            objects.append(entity)
        # The same list as long as it holds the same: callers outside the loop see by it that nothing changed.
        if [id(item) for item in objects] != [id(item) for item in self._object_list]:
            self._object_list = objects
        return self._object_list

    def _forget_map(self, name: str) -> None:
        if self._maps is not None:
            self._maps.pop(name, None)

    async def get_object(self, name: str) -> AsyncObject | None:
        """The pickable object of a name, or None."""
        return next((item for item in await self.pickable_objects() if item.name == name), None)

    async def new_object(
        self,
        name: str,
        is_particle: bool,
        label: int | None = None,
        color: tuple[int, int, int, int] | None = None,
        emdb_id: str | None = None,
        pdb_id: str | None = None,
        identifier: str | None = None,
        map_threshold: float | None = None,
        radius: float | None = None,
        metadata: dict[str, Any] | None = None,
        exist_ok: bool = False,
        filament: FilamentSpec | dict[str, Any] | None = None,
    ) -> AsyncObject:
        """Add a pickable object to the config. The file of the config is not written.

        Parameters
        ----------
        name : str
            Its name; clean.
        is_particle : bool
            Whether it is represented by points rather than by segmentations.
        label : int, optional
            Its value in multilabel segmentations; the next free one without.
        color : tuple of int, optional
            RGBA, each 0 to 255.
        emdb_id, pdb_id, identifier : str, optional
            Ids in EMDB, PDB and an ontology.
        map_threshold : float, optional
            Threshold at which its density map is drawn.
        radius : float, optional
            Radius in angstrom.
        metadata : dict, optional
            Anything else.
        exist_ok : bool
            Change the object that is there: what is given here replaces what it says.
        filament : FilamentSpec or dict, optional
            Declares it a filament.

        Raises
        ------
        InvalidNameError
            The name contains characters that CoPick does not allow.
        AlreadyExistsError
            The name or the label is taken.
        pydantic.ValidationError
            A value cannot be used; nothing is changed then.
        """
        given = {
            "is_particle": is_particle,
            "label": label,
            "color": color,
            "emdb_id": emdb_id,
            "pdb_id": pdb_id,
            "identifier": identifier,
            "map_threshold": map_threshold,
            "radius": radius,
            "metadata": metadata,
        }
        meta = new_definition(self.config, name, given, filament, exist_ok)
        return next(item for item in await self.pickable_objects() if item._meta is meta)


def name_of(item: Merged) -> str:
    """Name of an object that was listed."""
    assert isinstance(item.ref, ObjectRef)
    return item.ref.name
