"""A pickable object of the project, and its density map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.volume_object import AsyncMapVolume
from aiocopick.layout.refs import ObjectRef

if TYPE_CHECKING:
    from aiocopick.entities.root import AsyncRoot
    from aiocopick.models.objects import FilamentSpec, PickableObject


class AsyncObject(AsyncMapVolume):
    """A pickable object.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    meta : PickableObject
        What the config says of it.
    """

    __slots__ = ("_root",)

    parent_slot: ClassVar[str] = "_root"
    ref: ObjectRef
    _root: AsyncRoot
    _meta: PickableObject

    def __init__(self, root: AsyncRoot, meta: PickableObject) -> None:
        self._root = root
        self.ref = ObjectRef(name=meta.name)
        self._sources = ()
        self._meta = meta
        self._reset()

    @property
    def root(self) -> AsyncRoot:
        """The project."""
        return self._root

    @property
    def _parent(self) -> Any:
        return self._root

    def _make_meta(self) -> PickableObject:
        from aiocopick.models.objects import PickableObject

        # Found in storage, not in the config.
        return PickableObject.model_construct(name=self.ref.name, is_particle=True, label=None)

    def _state(self) -> Any:
        return self._meta

    def _restore(self, state: Any) -> None:
        self._meta = state

    @property
    def name(self) -> str:
        """Its name."""
        return self.ref.name

    @property
    def is_particle(self) -> bool:
        """Whether it is represented by points rather than by segmentations."""
        return bool(self.meta.is_particle)

    @property
    def label(self) -> int | None:
        """Its value in multilabel segmentations."""
        label: int | None = self.meta.label
        return label

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, each 0 to 255."""
        color: tuple[int, int, int, int] | None = self.meta.color
        return color

    @property
    def emdb_id(self) -> str | None:
        """Id in EMDB."""
        identifier: str | None = self.meta.emdb_id
        return identifier

    @property
    def pdb_id(self) -> str | None:
        """Id in PDB."""
        identifier: str | None = self.meta.pdb_id
        return identifier

    @property
    def identifier(self) -> str | None:
        """Id in an ontology."""
        identifier: str | None = self.meta.identifier
        return identifier

    @property
    def map_threshold(self) -> float | None:
        """Threshold at which the density map is drawn."""
        threshold: float | None = self.meta.map_threshold
        return threshold

    @property
    def radius(self) -> float | None:
        """Radius in angstrom."""
        radius: float | None = self.meta.radius
        return radius

    @property
    def metadata(self) -> dict[str, Any]:
        """Anything else that the config says of it."""
        metadata: dict[str, Any] = self.meta.metadata
        return metadata

    @property
    def filament(self) -> FilamentSpec | None:
        """What declares it a filament; None when it is none."""
        filament: FilamentSpec | None = self.meta.filament
        return filament

    @property
    def is_filament(self) -> bool:
        """Whether it is a filament."""
        return bool(self.meta.is_filament)

    async def delete(self) -> None:
        """Delete its density map; the object stays in the config.

        Raises
        ------
        ReadOnlyError
            The map lies in a read-only layer.
        """
        await self._delete_data()
        self._sources = ()
        self.root._forget_map(self.name)
