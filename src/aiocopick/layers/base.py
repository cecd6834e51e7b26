"""The interface that entities use to list, read and write refs, whatever kind of layer answers.

A layer is a project on a file system (`filesystem`), or any other object that offers the same operations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias

from aiocopick.layout.listing import Located
from aiocopick.layout.paths import key_of
from aiocopick.models.config import viewed_config

if TYPE_CHECKING:
    import zarr.abc.store

    from aiocopick.errors import CopickError
    from aiocopick.layout.listing import Listing
    from aiocopick.layout.refs import Ref
    from aiocopick.storage.base import FirstPage, Storage
    from aiocopick.storage.stats import StorageStats

Payload: TypeAlias = Any
"""The decoded content of a file: PicksTable, CopickFilamentsFile, trimesh Geometry, or a dict for a ``.meta`` file."""

Nouns: TypeAlias = frozenset[str] | None
"""Plural nouns (keys of :data:`aiocopick.layout.refs.NOUNS`); None means all of them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The content of a file, and the version that was read.

    Parameters
    ----------
    payload : Payload
        The decoded content.
    etag : str, optional
        Version of the file that was read, where the storage has versions.
    size : int, optional
        Bytes that were read.
    """

    payload: Payload
    etag: str | None = None
    size: int | None = None


class Layer(Protocol):
    """A source of entities, with a priority within a stack.

    All methods may be called from any event loop. Errors are those of :mod:`aiocopick.errors`.
    """

    @property
    def name(self) -> str:
        """Name of the layer, unique in its stack."""

    @property
    def priority(self) -> int:
        """Rank of the layer: the layer with the higher priority is seen if two hold the same entity."""

    @property
    def read_only(self) -> bool:
        """True if every change is refused."""

    @property
    def config(self) -> Any:
        """The config the layer was made from."""

    @property
    def url(self) -> str:
        """URL of the layer, without secrets."""

    @property
    def stats(self) -> StorageStats:
        """Counters of the requests to its storage."""

    @property
    def storage(self) -> Storage | None:
        """Storage of its files, for callers that copy the stored bytes; None if the layer has no storage of its own."""

    @property
    def nouns(self) -> Nouns:
        """Plural nouns that the layer can list; only a catalogue of some kinds lists fewer than all."""

    @property
    def from_catalog(self) -> bool:
        """True if versions in its listings may be out of date, so that a store must not require them."""

    def path_of(self, key: str) -> str:
        """Return the key joined to the root of the layer, without secrets."""

    def locate(self, ref: Ref) -> Located:
        """Return the location at which an entity is written in this layer; no request is sent."""

    async def list_runs(self, beginning: str = "") -> Listing:
        """List all runs, or at least those whose names begin with `beginning`."""

    async def list_run(self, run: Located, nouns: Nouns = None, *, found: bool = False) -> Listing:
        """List the content of a run, in as few requests as possible; the result may hold more than was asked for,
        never less.

        With `found`, what :meth:`find` has seen of the run a few seconds ago is enough.
        """

    async def list_voxel_spacing(self, spacing: Located) -> Listing:
        """List the tomograms and feature maps of one voxel spacing."""

    async def list_objects(self) -> Listing:
        """List the objects that have a map."""

    async def first_page(self, beginning: str = "") -> FirstPage | None:
        """Request the first page of a scan of all runs, or of those whose names begin with `beginning`.

        At most one request is sent, so that the page and the list of runs can be requested concurrently. The
        result is None if a first page does not help.
        """

    def scan(
        self,
        runs: Iterable[Located],
        nouns: Nouns = None,
        *,
        details: bool = True,
        first_page: FirstPage | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Listing | CopickError]]]:
        """List the content of many runs, in the order of the runs, with read-ahead within the limits of the layer.

        Without `details`, size, etag and time of files are missing if they cost more requests than the names. The
        content of a `first_page` is not requested again.
        """

    def scan_all(
        self, beginning: str = "", nouns: Nouns = None, *, details: bool = True
    ) -> AbstractAsyncContextManager[tuple[Listing, AsyncIterator[tuple[Located, Listing | CopickError]]]] | None:
        """List the runs whose names begin with `beginning` and, as for :meth:`scan`, their content.

        The content is requested while names arrive; all of them have arrived when the block begins. None if the layer
        cannot do that.
        """

    async def find(self, ref: Ref) -> Located | None:
        """Return the location of one entity, or None if it is not stored."""

    async def ensure(self, *, create: bool = False) -> bool:
        """Return True if the layer holds a project (a possibly empty list of runs)."""

    async def load(self, located: Located, *, listed: bool = False) -> Loaded:
        """Read and decode one file; NotFoundError if it does not exist.

        With `listed`, a version of it that the layer has listed a moment ago is enough, if a copy of it is kept.
        """

    def load_many(
        self, located: Sequence[Located], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Loaded | CopickError]]]:
        """Read and decode many files, in the order of arrival; a file that fails is yielded with its error."""

    async def save(
        self, located: Located, payload: Payload, *, if_match: str | None = None, create: bool = False
    ) -> Located:
        """Encode and write one file; return its location with the new etag."""

    async def load_meta(self, located: Located | None, *, listed: bool = False) -> dict[str, Any]:
        """Return the ``.meta`` file of a run, a voxel spacing or (None) the root; empty if it does not exist."""

    async def update_meta(self, located: Located | None, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Replace the ``.meta`` file of a run, a voxel spacing or (None) the root by the result of `change`.

        `change` is called again, with the new content, if another writer was faster.
        """

    async def create(self, ref: Ref, meta: dict[str, Any] | None = None) -> Located:
        """Create a run or voxel spacing with its ``.meta``, or a volume as an empty group.

        The etag of a volume is that of the document that will show its levels, if it is known.

        Raises
        ------
        AlreadyExistsError
            Another writer created it first.
        """

    async def copy_from(self, source: Source) -> Located:
        """Copy an entity from another layer, so that it can be changed in this layer."""

    async def check_deletion(self, located: Located) -> None:
        """Refuse if a part of an entity must not be deleted; called before anything is deleted in any layer.

        Raises
        ------
        ReadOnlyError
            A part of the entity is read-only.
        """

    async def delete(self, located: Located) -> None:
        """Delete an entity with everything below it; an entity that is already missing is not an error."""

    def zarr_store(self, located: Located, *, read_only: bool | None = None) -> zarr.abc.store.Store:
        """Return a zarr 3 store of a volume; no request is sent."""

    def options(self, **changes: Any) -> Layer:
        """Return a view of the same layer with other limits."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next use connects again."""


class ConfiguredLayer:
    """Members of a layer that follow from its own config."""

    __slots__ = ()

    config: Any
    from_catalog: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Unique in its stack."""
        name: str = self.config.layer_name
        return name

    @property
    def priority(self) -> int:
        """Rank of the layer; a higher priority is seen first."""
        priority: int = self.config.priority
        return priority

    @property
    def nouns(self) -> None:
        """None: the layer can list all kinds."""

    def locate(self, ref: Ref) -> Located:
        """Return the location of an entity, by copick's layout."""
        return Located(ref, key_of(ref))

    def _config_with(self, changes: dict[str, Any]) -> Any:
        """Return the config with other fields."""
        return viewed_config(self.config, changes)


class Source(NamedTuple):
    """One location of an entity. A tuple, because crawls create thousands.

    Parameters
    ----------
    layer : Layer
        The layer that holds it.
    located : Located
        Its location in that layer.
    """

    layer: Layer
    located: Located

    @property
    def path(self) -> str:
        """Full path, without secrets."""
        return self.layer.path_of(self.located.key)
