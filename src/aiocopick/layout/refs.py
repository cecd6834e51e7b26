"""Identity of an entity: one frozen record per kind, hashable, ordered and JSON-able.

A ref identifies an entity and does not contain its location: paths are made in :mod:`aiocopick.layout.paths`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from aiocopick.errors import InvalidNameError
from aiocopick.models.metadata import segmentation_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Base of all refs.

    Refs of every kind compare with each other: by run, then kind (in the order of :data:`KINDS`), then field by field;
    objects of the project come after all runs. Two refs are equal when they are of one kind and name the same entity.
    """

    kind: ClassVar[str] = ""
    rank: ClassVar[int] = -1

    @property
    def parent(self) -> Ref | None:
        """Ref of the entity this one belongs to; None for runs and objects, which belong to the root."""
        raise NotImplementedError

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """A tuple that orders refs of all kinds; faster than comparing refs when many are sorted."""
        raise NotImplementedError

    def __lt__(self, other: object) -> bool:
        return self.sort_key < other.sort_key if isinstance(other, Ref) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.sort_key <= other.sort_key if isinstance(other, Ref) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.sort_key > other.sort_key if isinstance(other, Ref) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.sort_key >= other.sort_key if isinstance(other, Ref) else NotImplemented

    def to_json(self) -> dict[str, Any]:
        """The ref as a dict of plain JSON values; :func:`ref_from_json` is its inverse."""
        return {"kind": self.kind} | {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef(Ref):
    """A run, by name."""

    kind: ClassVar[str] = "run"
    rank: ClassVar[int] = 0
    run: str

    @property
    def parent(self) -> None:
        """None: a run belongs to the root."""
        return

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Run, rank."""
        return (0, self.run, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxelSpacingRef(Ref):
    """A voxel spacing of a run; `voxel_size` is in angstrom, rounded to three decimals."""

    kind: ClassVar[str] = "voxel_spacing"
    rank: ClassVar[int] = 1
    run: str
    voxel_size: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_size", round(float(self.voxel_size), 3))

    @property
    def parent(self) -> RunRef:
        """The run."""
        return RunRef(run=self.run)

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Run, rank, voxel size."""
        return (0, self.run, 1, self.voxel_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomogramRef(Ref):
    """A tomogram: a type at a voxel spacing."""

    kind: ClassVar[str] = "tomogram"
    rank: ClassVar[int] = 2
    run: str
    voxel_size: float
    tomo_type: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_size", round(float(self.voxel_size), 3))

    @property
    def parent(self) -> VoxelSpacingRef:
        """The voxel spacing."""
        return VoxelSpacingRef(run=self.run, voxel_size=self.voxel_size)

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Run, rank, voxel size, tomogram type."""
        return (0, self.run, 2, self.voxel_size, self.tomo_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesRef(Ref):
    """A feature map of a tomogram."""

    kind: ClassVar[str] = "features"
    rank: ClassVar[int] = 3
    run: str
    voxel_size: float
    tomo_type: str
    feature_type: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_size", round(float(self.voxel_size), 3))

    @property
    def parent(self) -> TomogramRef:
        """The tomogram."""
        return TomogramRef(run=self.run, voxel_size=self.voxel_size, tomo_type=self.tomo_type)

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Run, rank, voxel size, tomogram type, feature type."""
        return (0, self.run, 3, self.voxel_size, self.tomo_type, self.feature_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationRef(Ref):
    """Base of picks, meshes and filaments: an object, annotated by a user (or tool) in a session."""

    run: str
    user_id: str
    session_id: str
    object_name: str

    @property
    def parent(self) -> RunRef:
        """The run."""
        return RunRef(run=self.run)

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Run, rank, user, session, object."""
        return (0, self.run, self.rank, self.user_id, self.session_id, self.object_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PicksRef(AnnotationRef):
    """The picks of an object."""

    kind: ClassVar[str] = "picks"
    rank: ClassVar[int] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshRef(AnnotationRef):
    """A mesh of an object."""

    kind: ClassVar[str] = "mesh"
    rank: ClassVar[int] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationRef(Ref):
    """A segmentation; at most one of the three flags is set, none of them means binary.

    Raises
    ------
    InvalidNameError
        More than one flag is set.
    """

    kind: ClassVar[str] = "segmentation"
    rank: ClassVar[int] = 6
    run: str
    voxel_size: float
    user_id: str
    session_id: str
    name: str
    is_multilabel: bool = False
    is_instance: bool = False
    is_panoptic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_size", round(float(self.voxel_size), 3))
        if self.is_multilabel + self.is_instance + self.is_panoptic > 1:
            raise InvalidNameError(
                f"A segmentation has one type, multilabel, instance or panoptic: pass one of them for {self.name!r}.",
                path=self.name,
            )

    @property
    def parent(self) -> RunRef:
        """The run."""
        return RunRef(run=self.run)

    @property
    def segmentation_type(self) -> str:
        """``"binary"``, ``"multilabel"``, ``"instance"`` or ``"panoptic"``."""
        return segmentation_type(self.is_multilabel, self.is_instance, self.is_panoptic)

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Run, rank, voxel size, user, session, name, flags."""
        flags = (self.is_multilabel, self.is_instance, self.is_panoptic)
        return (0, self.run, 6, self.voxel_size, self.user_id, self.session_id, self.name, flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilamentsRef(AnnotationRef):
    """The filaments of an object."""

    kind: ClassVar[str] = "filaments"
    rank: ClassVar[int] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef(Ref):
    """An object of the project (its density map is below ``Objects/``)."""

    kind: ClassVar[str] = "object"
    rank: ClassVar[int] = 8
    name: str

    @property
    def parent(self) -> None:
        """None: an object belongs to the root."""
        return

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """After all runs, by name."""
        return (1, self.name)


REF_TYPES: dict[str, type[Ref]] = {
    reference.kind: reference
    for reference in (
        RunRef,
        VoxelSpacingRef,
        TomogramRef,
        FeaturesRef,
        PicksRef,
        MeshRef,
        SegmentationRef,
        FilamentsRef,
        ObjectRef,
    )
}
"""Ref class of each kind, in the order of the kinds."""

KINDS: tuple[str, ...] = tuple(REF_TYPES)
"""The kinds of entity, singular, in the order in which refs sort."""

NOUNS: dict[str, str] = {
    "voxel_spacings": "voxel_spacing",
    "tomograms": "tomogram",
    "features": "features",
    "picks": "picks",
    "meshes": "mesh",
    "segmentations": "segmentation",
    "filaments": "filaments",
}
"""The plural nouns of a crawl, and the kind each one means."""

NOUN_OF: dict[str, str] = {kind: noun for noun, kind in NOUNS.items()}
"""The plural noun of each kind that a run holds."""

FILES: tuple[str, ...] = ("picks", "mesh", "filaments")
"""The kinds that are one file each."""

BELOW_SPACINGS = frozenset({"voxel_spacings", "tomograms", "features"})
"""Nouns that one listing of the folders of voxel spacings covers together."""


def maker(ref: Ref) -> Callable[[str], Ref]:
    """Return a function that makes refs of the same names in other runs; faster than the class, and without its checks.

    Parameters
    ----------
    ref : Ref
        The ref of any entity in a run; it has passed the checks.
    """
    cls = type(ref)
    # The attributes of a frozen record cannot be set, but its slots can.
    places = {field.name: getattr(cls, field.name).__set__ for field in fields(ref)}
    set_run = places.pop("run")
    others = [(place, getattr(ref, name)) for name, place in places.items()]
    new = object.__new__

    def make(run: str) -> Ref:
        made = new(cls)
        set_run(made, run)
        for place, value in others:
            place(made, value)
        return made

    return make


def ref_from_json(data: dict[str, Any]) -> Ref:
    """Return the ref that :meth:`Ref.to_json` wrote.

    Parameters
    ----------
    data : dict
        A kind, and the fields of a ref of that kind.

    Raises
    ------
    InvalidNameError
        The kind is unknown, a field is missing, unknown, or of another type.
    """
    kind = data.get("kind")
    reference = REF_TYPES.get(kind) if isinstance(kind, str) else None
    if reference is None:
        raise InvalidNameError(f"{kind!r} is not a kind of entity; use one of {', '.join(KINDS)}.")
    values = {name: value for name, value in data.items() if name != "kind"}
    types: dict[str, Any] = {
        "voxel_size": (int, float),
        "is_multilabel": bool,
        "is_instance": bool,
        "is_panoptic": bool,
    }
    for name, value in values.items():
        if not isinstance(value, types.get(name, str)):
            raise InvalidNameError(f"Field {name!r} of a {kind} ref cannot be {value!r}.")
    try:
        return reference(**values)
    except TypeError as error:
        raise InvalidNameError(f"Not a {kind} ref: {error}.") from None


__all__ = [
    "KINDS",
    "NOUNS",
    "REF_TYPES",
    "AnnotationRef",
    "FeaturesRef",
    "FilamentsRef",
    "MeshRef",
    "ObjectRef",
    "PicksRef",
    "Ref",
    "RunRef",
    "SegmentationRef",
    "TomogramRef",
    "VoxelSpacingRef",
    "maker",
    "ref_from_json",
]
