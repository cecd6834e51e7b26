"""Common base of all facade classes: an async entity, calls to it, and the wrapping of results."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Self, TypeVar

from aiocopick.entities.base import AsyncEntity, html_of, known_count
from aiocopick.models.filaments import CopickFilamentsFile
from aiocopick.models.metadata import (
    CopickFeaturesMeta,
    CopickMeshMeta,
    CopickRunMeta,
    CopickSegmentationMeta,
    CopickTomogramMeta,
    CopickVoxelSpacingMeta,
)
from aiocopick.models.objects import PickableObject
from aiocopick.models.points import CopickPicksFile
from aiocopick.sync.bridge import call
from aiocopick.sync.places import filesystem_of
from aiocopick.sync.verbs import Attribute, attribute, calls, with_parameters

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from aiocopick.entities.root import AsyncRoot
    from aiocopick.layers import Layer, Source
    from aiocopick.sync.root import CopickRootFS

P = ParamSpec("P")
T = TypeVar("T")
Twin = TypeVar("Twin", bound="AsyncEntity | AsyncRoot")
Entity = TypeVar("Entity", bound=AsyncEntity)

# The factory that says which class a kind of child is wrapped in, its constructor's name for the metadata, and the class
# of the metadata that the twin makes by itself.
_FACTORIES: dict[str, tuple[str, str, type]] = {
    "run": ("_run_factory", "meta", CopickRunMeta),
    "object": ("_object_factory", "meta", PickableObject),
    "voxel_spacing": ("_voxel_spacing_factory", "meta", CopickVoxelSpacingMeta),
    "picks": ("_picks_factory", "file", CopickPicksFile),
    "mesh": ("_mesh_factory", "meta", CopickMeshMeta),
    "segmentation": ("_segmentation_factory", "meta", CopickSegmentationMeta),
    "filaments": ("_filaments_factory", "file", CopickFilamentsFile),
    "tomogram": ("_tomogram_factory", "meta", CopickTomogramMeta),
    "features": ("_feature_factory", "meta", CopickFeaturesMeta),
}

Init = TypeVar("Init", bound=Callable[..., None])


def trivial_init(init: Init) -> Init:
    """Mark a constructor that only keeps its parent and names.

    Children that a listing found come with a twin that knows both. They are made without such a constructor, and so
    without a metadata model each, which would cost more than the rest of them; a subclass's own constructor is called.
    """
    init.__dict__["trivial_init"] = True
    return init


_END: Any = object()

_LEFT_BEHIND = frozenset({"_known", "_mirrored", "_guard", "_cohort", "_reader"})
"""Attributes that are left out when a facade object is pickled."""


def _same(items: list[Any], others: list[Any]) -> bool:
    return len(items) == len(others) and all(item is other for item, other in zip(items, others, strict=True))


async def _next(steps: AsyncIterator[T]) -> T:
    return await anext(steps, _END)


class Blocking(Generic[Twin]):
    """A facade object: it calls its async twin, wraps what comes back, and returns it. It does nothing itself."""

    parent_name: ClassVar[str] = ""
    """Attribute that holds the parent; empty for the root."""

    lists: ClassVar[tuple[str, ...]] = ()
    """Nouns of the children that are cached in lists: ``picks`` in ``_picks``."""

    _twin_class: ClassVar[Any]
    _given: Any
    """The names it was constructed by."""

    _twin: Twin | None
    """The async twin; None until it is needed, for an object that was constructed by its names."""

    @property
    def _root(self) -> CopickRootFS:
        root: CopickRootFS = self.__dict__[self.parent_name]._root
        return root

    def _call(self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function of a twin on the facade's loop."""
        self._root._check_open()
        try:
            return call(function, *args, **kwargs)
        except Exception:
            raise
        except BaseException:
            # Ctrl-C ends what runs on after a call, too.
            if self._root._reader.in_use:
                call(self._root._reader.end)
            raise

    def _iterate(self, steps: AsyncIterator[T]) -> Iterator[T]:
        """An async iterator, step by step."""
        while (item := self._call(_next, steps)) is not _END:
            yield item

    def _ahead(self, noun: str) -> None:
        """Called before children of a noun are looked up the first time."""

    # --- children -----------------------------------------------------------------------------------------------------

    _known: dict[Any, weakref.ref[BlockingEntity[Any]]] | None = None
    """Facade objects of children by ref, as long as they are referenced."""

    _known_most: int = 64
    """Number of entries after which unreferenced ones are removed."""

    def _wrap(self, twin: AsyncEntity | None) -> Any:
        """Return the facade object of an async child: always the same object, as long as it is referenced."""
        return None if twin is None else self._wrap_all((twin,))[0]

    def _wrap_all(self, twins: Iterable[AsyncEntity]) -> list[Any]:
        children: list[Any] = []
        with self._root._guard:
            known = self._known
            if known is None:
                known = self._known = {}
            for twin in twins:
                seen = known.get(twin.ref)
                child = None if seen is None else seen()
                if child is None or child._twin is not twin:
                    child = self._construct(twin)
                    known[twin.ref] = weakref.ref(child)
                children.append(child)
            if len(known) > self._known_most:
                self._known = {ref: seen for ref, seen in known.items() if seen() is not None}
                self._known_most = max(64, 2 * len(self._known))
        return children

    def _construct(self, twin: AsyncEntity) -> BlockingEntity[Any]:
        factory, names, usual = _FACTORIES[twin.kind]
        made = getattr(self, factory)()
        # CoPick's own factories of picks and filaments return the class alone.
        cls, meta_class = made if isinstance(made, tuple) else (made, usual)
        child: BlockingEntity[Any]
        known = twin._meta
        ours = meta_class is usual and (known is None or isinstance(known, usual))
        if ours and cls.__new__ is object.__new__ and hasattr(cls.__init__, "trivial_init"):
            child = cls.__new__(cls)
            child._begin(self, None)
        else:
            if not isinstance(twin.meta, meta_class):
                twin._meta = meta_class(**twin.meta.model_dump())
            child = cls(**{cls.parent_name: self, names: twin.meta})
        child._twin = twin
        return child

    _mirrored: dict[str, tuple[list[Any], list[Any]]] | None = None
    """Lists of the twin, and what this object made of them, by noun. A list that other code assigned is not among
    them.
    """

    def _mirrors(self, noun: str) -> tuple[list[Any] | None, list[Any] | None]:
        """The cached list of a noun, and the twin's list that it was made of."""
        cached: list[Any] | None = getattr(self, f"_{noun}")
        twins, own = (self._mirrored or {}).get(noun, (None, None))
        return cached, twins if own is cached else None

    def _listed(self, noun: str, ask: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        """The cached list of a noun, asked for the first time it is looked at."""
        cached, mirrored = self._mirrors(noun)
        if cached is not None and mirrored is None:
            return cached
        # What the twin knows needs no turn of the loop: listings are made ahead, and then looked at one by one.
        twins = self.aio._cached_items(noun)
        if cached is not None and twins is mirrored:
            return cached
        self._root._check_open()
        if twins is None:
            asked = self._call(ask)
            twins = self.aio._cached_items(noun)
            twins = asked if twins is None else twins
        with self._root._guard:
            cached, mirrored = self._mirrors(noun)
            return cached if cached is not None and mirrored is twins else self._keep(noun, twins)

    def _keep(self, noun: str, twins: list[Any]) -> list[Any]:
        """Make these the cached list of a noun."""
        children = self._wrap_all(twins)
        self._mirror(noun, twins, children)
        return children

    def _mirror(self, noun: str, twins: list[Any], children: list[Any]) -> None:
        if self._mirrored is None:
            self._mirrored = {}
        self._mirrored[noun] = (twins, children)
        setattr(self, f"_{noun}", children)

    def _twins(self, noun: str) -> list[Any]:
        """The children of a noun that the twin knows: all, or some."""
        twins, known = self.aio._cached_items(noun), self.aio._known(noun)
        return twins if twins is not None else [] if known is None else known.items

    def _queried(self, noun: str, twins: Iterable[AsyncEntity], layers: Iterable[str] | None) -> list[Any]:
        """Wrap the result of a query; it becomes the cached list, unless only some layers were asked."""
        return self._wrap_all(twins) if layers is not None else list(self._keep(noun, self._twins(noun)))

    def _created(self, noun: str, twin: AsyncEntity) -> Any:
        """The facade object of a new child, in the cached list as well."""
        with self._root._guard:
            child = self._wrap(twin)
            cached, mirrored = self._mirrors(noun)
            twins = self._twins(noun)
            if cached is None:
                self._keep(noun, twins)
            elif mirrored is None:
                if all(item is not child for item in cached):
                    cached.append(child)
            else:
                # The list that is there, as CoPick's tools go on looking at it.
                index = next((at for at, item in enumerate(twins) if item is twin), 0)
                if _same(twins[:index] + twins[index + 1 :], mirrored):
                    cached.insert(index, child)
                else:
                    cached[:] = self._wrap_all(twins)
                self._mirror(noun, twins, cached)
        return child

    def _deleted(self, noun: str) -> None:
        """Replace the list after children were deleted, because a caller may be iterating over the old list."""
        if getattr(self, f"_{noun}") is not None:
            self._keep(noun, self._twins(noun))

    def _invalidate_caches(self) -> None:
        self.aio.refresh()  # type: ignore[union-attr]
        for noun in self.lists:
            setattr(self, f"_{noun}", None)

    # --- what every entity has ----------------------------------------------------------------------------------------

    @property
    def aio(self) -> Twin:
        """The async twin."""
        if self._twin is None:
            self._twin = self._twin_class(self.__dict__[self.parent_name].aio, self._given)
        return self._twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blocking):
            return NotImplemented
        return self is other or bool(self.aio == other.aio)

    def __hash__(self) -> int:
        return hash(self.aio)

    def _shown(self) -> dict[str, Any]:
        """Return the shown text: its names, and the number of known children. No I/O."""
        counts: dict[str, int | None] = {}
        for noun in self.lists:
            own = getattr(self, f"_{noun}")
            # A crawl fills the lists of the twin.
            counts[noun] = known_count(self.aio, noun) if own is None else len(own)
        return counts

    def __repr__(self) -> str:
        known = (
            f"{name}={value!r}" for name, value in self._shown().items() if value is not None and value is not False
        )
        return f"{type(self).__name__}({', '.join(known)})"

    def _repr_html_(self) -> str:
        return html_of(type(self).__name__, self._shown(), self._repr_png_())

    def _repr_png_(self) -> bytes | None:
        """Return the last picture that was drawn of it; None if there is none. No I/O."""
        return getattr(self._twin, "_picture", None)

    def __getstate__(self) -> dict[str, Any]:
        # What travels is names, twins and what was loaded; lists are asked for again where it arrives.
        state = {name: value for name, value in self.__dict__.items() if name not in _LEFT_BEHIND}
        return state | {f"_{noun}": None for noun in self.lists}


class BlockingEntity(Blocking[Entity]):
    """A facade object below the root, constructed by its parent and its names."""

    noun: ClassVar[str] = ""
    """Plural of the kind: the name of the cached list in the parent."""

    def __init_subclass__(cls, twin: type | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if twin is not None:
            cls._twin_class = twin
            cls.__doc__ = with_parameters(cls.__doc__, twin)

    def _begin(self, parent: Any, names: Any) -> None:
        self.__dict__[self.parent_name] = parent
        self._given = names
        self._twin = None
        for noun in self.lists:
            setattr(self, f"_{noun}", None)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        # The child of its parent, so that the parent gives this object and not another one.
        parent = state[self.parent_name]
        if self._twin is not None and parent is not None:
            known = parent.__dict__.setdefault("_known", {})
            known.setdefault(self._twin.ref, weakref.ref(self))

    @property
    def meta(self) -> Any:
        """Its names, as CoPick's metadata model. No I/O."""
        return self.aio.meta

    @meta.setter
    def meta(self, value: Any) -> None:
        known, self._given, self._twin = self._twin, value, None
        if known is not None and self.aio.ref == known.ref:
            # The same entity: what is known of its place, and the version that was read, stay.
            known._assign(value)
            self._twin = known
        else:
            self._mirrored = None

    def __lt__(self, other: Self) -> bool:
        return self.aio < other.aio if isinstance(other, BlockingEntity) else NotImplemented

    def _shown(self) -> dict[str, Any]:
        names = {name: value for name, value in self.ref.to_json().items() if name != "kind"}
        # The run comes first, where there is one.
        return {name: names[name] for name in ("run", *names) if name in names} | super()._shown()

    @property
    def root(self) -> CopickRootFS:
        """The project."""
        return self._root

    @property
    def ref(self) -> Any:
        """Identity of the entity: hashable, ordered, JSON-able."""
        return self.aio.ref

    @property
    def fs(self) -> AbstractFileSystem:
        """One fsspec filesystem of the layer that it is seen in, usable synchronously; read-only where the layer is.

        It opens what :attr:`path` says.
        """
        return filesystem_of(self.layer)

    config: Attribute[Any] = attribute(AsyncEntity)
    uri: Attribute[str] = attribute(AsyncEntity)
    key: Attribute[str] = attribute(AsyncEntity)
    path: Attribute[str] = attribute(AsyncEntity)
    kind: Attribute[str] = attribute(AsyncEntity)
    layer: Attribute[Layer] = attribute(AsyncEntity)
    sources: Attribute[tuple[Source, ...]] = attribute(AsyncEntity)
    read_only: Attribute[bool] = attribute(AsyncEntity)

    @calls(AsyncEntity._delete_data)
    def _delete_data(self) -> Any: ...
