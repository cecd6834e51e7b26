"""Common base of all entities: a ref, the locations of its data, and names for both."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Self

from aiocopick.errors import NotFoundError, ReadOnlyError
from aiocopick.layers import Merged
from aiocopick.layers.base import Source
from aiocopick.layout.listing import Located
from aiocopick.layout.refs import NOUN_OF, NOUNS
from aiocopick.layout.uris import format_uri

if TYPE_CHECKING:
    from aiocopick.entities.lists import Children
    from aiocopick.entities.root import AsyncRoot
    from aiocopick.layers import Layer, Placed, Stack
    from aiocopick.layout.refs import AnnotationRef, Ref, SegmentationRef


_new = object.__new__


class AsyncEntity:
    """A run, a tomogram, picks...: something stored in a project.

    Entities are equal when their roots and refs are; they sort by ref. None of their attributes does I/O.

    Attributes
    ----------
    ref : Ref
        Identity of the entity: hashable, ordered, JSON-able.
    """

    __slots__ = ("_meta", "_place", "ref")

    ref: Ref
    _meta: Any
    _place: Located | tuple[Source, ...]
    """Location of its data; in a single layer, the sources are created on first use."""

    parent_slot: ClassVar[str] = ""
    """Attribute that holds the parent."""

    def _begin(self, parent: Any, ref: Ref, meta: Any) -> None:
        """Become the entity of a ref that a caller constructed by its names; it was not looked up."""
        setattr(self, self.parent_slot, parent)
        self.ref = ref
        self._place = ()
        self._meta = None
        self._reset()
        self._meta = meta

    @classmethod
    def _of(cls, parent: Any, ref: Ref, sources: tuple[Source, ...] = ()) -> Self:
        """Create an entity from its names; no sources means that it was not looked up."""
        return cls._found(parent, Merged(ref, sources))

    @classmethod
    def _found(cls, parent: Any, item: Placed) -> Self:
        """Create an entity found by a listing."""
        entity: Self = _new(cls)
        setattr(entity, cls.parent_slot, parent)
        entity.ref = item.ref
        entity._place = item if type(item) is Located else item.sources  # type: ignore[union-attr]
        entity._meta = None
        entity._reset()
        return entity

    def _found_again(self, item: Placed) -> None:
        """Update the entity from another listing; loaded or set data stays."""
        self._place = item if type(item) is Located else item.sources  # type: ignore[union-attr]

    @property
    def _sources(self) -> tuple[Source, ...]:
        """Return every known location; none if it was not looked up."""
        place = self._place
        if type(place) is Located:
            place = self._place = (Source(self._stack.layers[0], place),)
        return place  # type: ignore[return-value]

    @_sources.setter
    def _sources(self, sources: tuple[Source, ...]) -> None:
        self._place = sources

    def _reset(self) -> None:
        """Forget what was read."""

    def _assign(self, meta: Any) -> None:
        """Take over metadata of the same names, and its data."""
        self._meta = meta

    @property
    def root(self) -> AsyncRoot:
        """The project."""
        root: AsyncRoot = self._parent.root
        return root

    @property
    def _parent(self) -> Any:
        return getattr(self, self.parent_slot)

    @property
    def _stack(self) -> Stack:
        stack: Stack = self.root._stack
        return stack

    @property
    def kind(self) -> str:
        """Kind of the entity (:data:`aiocopick.layout.refs.KINDS`)."""
        return self.ref.kind

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every location where it is stored, the one that is seen first."""
        if self._sources:
            return self._sources
        stack = self._stack
        return (stack.assumed(self.ref)[0],) if stack.single or stack.read_only else (stack.target(self.ref, ()),)

    @property
    def layer(self) -> Layer:
        """The layer that it is seen in."""
        return self.sources[0].layer

    @property
    def _located(self) -> Located:
        return self.sources[0].located

    @property
    def key(self) -> str:
        """Key of its data, relative to the root of its layer."""
        return self._located.key

    @property
    def path(self) -> str:
        """Root and key, without secrets."""
        return self.sources[0].path

    @property
    def uri(self) -> str:
        """Its CoPick URI."""
        return format_uri(self.ref)

    @property
    def read_only(self) -> bool:
        """True if it cannot be changed in the layer in which it is seen."""
        return self.layer.read_only

    @property
    def config(self) -> Any:
        """The configuration of the project."""
        return self.root.config

    @property
    def meta(self) -> Any:
        """Its names, as CoPick's metadata model."""
        if self._meta is None:
            self._meta = self._make_meta()
        return self._meta

    def _make_meta(self) -> Any:
        raise NotImplementedError

    def _extend_meta(self, fields: dict[str, Any]) -> None:
        """Add fields to the metadata."""
        if fields:
            self._meta = type(self.meta).model_validate(self.meta.model_dump() | fields)

    def _places(self) -> tuple[Source, ...]:
        """Return the locations to search for its children: where it was found, or all layers."""
        return self._sources or self._stack.assumed(self.ref)

    def _everywhere(self, layers: Iterable[str] | None = None) -> list[Source]:
        """Return the locations to search for its current children: all layers (or the named ones), even if it was
        not found there.
        """
        known = {source.layer.name: source for source in self._sources}
        chosen = self._stack.named(layers)
        return [known.get(layer.name) or Source(layer, layer.locate(self.ref)) for layer in chosen]

    async def _resolve(self) -> tuple[Source, ...]:
        """Return its locations, looked up if several layers may have it and it was not looked up yet."""
        if not self._sources:
            if self._stack.single:
                self._sources = self._stack.assumed(self.ref)
            else:
                found = await self._stack.find(self.ref)
                if found is None:
                    raise NotFoundError(f"No layer holds {self.path}; create it, or check its name.", path=self.path)
                self._sources = found.sources
        return self._sources

    def _stored_in(self, source: Source) -> None:
        """Record a new location, and that its parents are stored there as well."""
        others = tuple(other for other in self._sources if other.layer is not source.layer)
        order = self._stack.layers.index
        self._sources = tuple(sorted((source, *others), key=lambda place: order(place.layer)))
        parent = self._parent
        if not isinstance(parent, AsyncEntity) or not parent._sources:
            return
        if all(place.layer is not source.layer for place in parent._sources):
            parent._stored_in(Source(source.layer, source.layer.locate(parent.ref)))

    async def _writable_twin(self) -> Self:
        """Make sure that a writable layer holds it, copied there from a read-only layer, and return it.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        LayerError
            A read-only layer of higher priority would hide the change.
        """
        if self._stack.single:
            self._stack.writer()
            return self
        sources = await self._resolve()
        target = self._stack.target(self.ref, sources)
        if target not in sources:
            located = await target.layer.copy_from(sources[0])
            self._stored_in(Source(target.layer, located))
        return self

    def _check_deletable(self) -> None:
        """Refuse to delete data in a read-only layer, before anything is deleted."""
        if self._stack.read_only:
            self._stack.refuse()
        held = self.sources if self._holds_others else self.sources[:1]
        for source in held:
            if source.layer.read_only:
                raise ReadOnlyError(
                    f"{source.path} is in the read-only layer {source.layer.name!r} and cannot be deleted.",
                    path=source.path,
                )

    def _known(self, noun: str) -> Children[Any] | None:
        """Return the known children of a plural noun; None if it has none of that noun."""
        return None

    def _cached_items(self, noun: str) -> list[Any] | None:
        """Return all children of a plural noun, as last queried; None if they were not queried. Must not be changed."""
        known = self._known(noun)
        return known.items if known is not None and known.complete else None

    _holds_others: ClassVar[bool] = False
    """True if other entities are stored below it, so that it may continue to exist when deleted in one layer."""

    async def _check_deletion(self) -> None:
        """Check like :meth:`_check_deletable`, and also layers in which single entities may be read-only."""
        self._check_deletable()
        await self._resolve()
        for source in self._sources:
            if not source.layer.read_only:
                await source.layer.check_deletion(source.located)

    async def _delete_data(self) -> None:
        """Delete it in every layer that allows it."""
        await self._check_deletion()
        for source in self._sources:
            if not source.layer.read_only:
                await source.layer.delete(source.located)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AsyncEntity):
            return NotImplemented
        return self is other or (self.ref == other.ref and bool(self.root == other.root))

    def __hash__(self) -> int:
        return hash(self.ref)

    def __lt__(self, other: object) -> bool:
        return self.ref < other.ref if isinstance(other, AsyncEntity) else NotImplemented

    def __repr__(self) -> str:
        names = {name: value for name, value in self.ref.to_json().items() if name != "kind" and value is not False}
        shown = ", ".join(f"{name}={value!r}" for name, value in names.items())
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str:
        names = {name: value for name, value in self.ref.to_json().items() if name != "kind"}
        # The run comes first, where there is one.
        rows = {name: names[name] for name in ("run", *names) if name in names}
        rows |= {"uri": self.uri, "path": self.path, "read-only": self.read_only}
        size = self._located.size
        rows |= {} if size is None else {"bytes": f"{size:,}"}
        rows |= {noun: known_count(self, noun) for noun in NOUNS if self._known(noun) is not None}
        return html_of(type(self).__name__, rows, self._repr_png_())

    def _repr_png_(self) -> bytes | None:
        """Return the last picture that was drawn of it; None if there is none. No I/O."""
        return getattr(self, "_picture", None)

    def _join(self) -> None:
        """Become the child of its parent, after pickling; a copy of a known child stays a copy."""
        parent = self._parent
        known = parent._known(NOUN_OF[self.kind]) if isinstance(parent, AsyncEntity) else None
        if known is not None and not known.complete:
            known.put(self)

    def _state(self) -> Any:
        """Return the pickled state besides the ref: data that was loaded or set."""
        return None

    def _restore(self, state: Any) -> None:
        """Restore the state returned by :meth:`_state`."""

    def __reduce__(self) -> tuple[Any, ...]:
        places = tuple((source.layer.name, source.located) for source in self._sources)
        return (_rebuild, (type(self), self._parent, self.ref, places, self._state()))


def _rebuild(
    cls: type[AsyncEntity], parent: Any, ref: Ref, places: tuple[tuple[str, Located], ...], state: Any
) -> AsyncEntity:
    layers = {layer.name: layer for layer in parent.root._stack.layers}
    entity = cls._of(parent, ref, tuple(Source(layers[name], located) for name, located in places))
    if state is not None:
        entity._restore(state)
    entity._join()
    return entity


class Authored(AsyncEntity):
    """An entity that a user or tool made in a session."""

    __slots__ = ()

    ref: AnnotationRef | SegmentationRef

    @property
    def user_id(self) -> str:
        """User or tool that made it."""
        return self.ref.user_id

    @property
    def session_id(self) -> str:
        """Session it was made in; ``"0"`` for tools."""
        return self.ref.session_id

    @property
    def from_tool(self) -> bool:
        """True if a tool made it."""
        return self.session_id == "0"

    @property
    def from_user(self) -> bool:
        """True if a user made it."""
        return not self.from_tool


def known_count(owner: Any, noun: str) -> int | None:
    """Return the number of children, if they were listed. No I/O."""
    items = owner._cached_items(noun)
    return None if items is None else len(items)


def html_of(title: str, rows: Mapping[str, Any], png: bytes | None = None) -> str:
    """Return names and values as a table for a notebook, with a picture if there is one. Everything is escaped."""
    cells = "".join(
        f"<tr><th>{escape(name.replace('_', ' '))}</th>"
        f"<td>{escape('not listed yet' if value is None else str(value))}</td></tr>"
        for name, value in rows.items()
        if value is not False
    )
    picture = ""
    if png is not None:
        picture = f'<img src="data:image/png;base64,{b64encode(png).decode()}" alt="slice of the tomogram">'
    return f"<table><caption>{escape(title)}</caption>{cells}</table>{picture}"
