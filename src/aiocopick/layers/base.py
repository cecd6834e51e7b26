"""What entities stand on: a layer lists, reads and writes refs. Which layers there are is not an entity's business.

A layer may be a project on a file system (`filesystem`), or anything else that can answer the same questions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import zarr.abc.store

    from aiocopick.errors import CopickError
    from aiocopick.layout.listing import Listing, Located
    from aiocopick.layout.refs import Ref
    from aiocopick.storage.base import FirstPage, Storage
    from aiocopick.storage.stats import StorageStats

Payload: TypeAlias = Any
"""What a file holds, decoded: PicksTable, CopickFilamentsFile, trimesh Geometry, or a dict for a ``.meta`` file."""

Nouns: TypeAlias = frozenset[str] | None
"""Plural nouns (keys of :data:`aiocopick.layout.refs.NOUNS`); None means all of them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read, and which version of it.

    Parameters
    ----------
    payload : Payload
        The decoded content.
    etag : str, optional
        Version of the file that was read, where the storage has versions.
    """

    payload: Payload
    etag: str | None = None


class Layer(Protocol):
    """One source of entities, with a place in a stack.

    All methods may be called from any event loop. Errors are those of :mod:`aiocopick.errors`.
    """

    @property
    def name(self) -> str:
        """Unique in its stack."""

    @property
    def priority(self) -> int:
        """The higher one wins where two layers hold the same entity."""

    @property
    def read_only(self) -> bool:
        """Whether every change is refused."""

    @property
    def config(self) -> Any:
        """The config the layer was made from."""

    @property
    def url(self) -> str:
        """Where the layer lies, fit for display."""

    @property
    def stats(self) -> StorageStats:
        """Counters of what was asked of its storage."""

    @property
    def storage(self) -> Storage | None:
        """What holds its files, for those who copy them as they are; None when that is not to be had."""

    @property
    def nouns(self) -> Nouns:
        """The plural nouns that it can list; only a catalogue of some kinds knows fewer than all."""

    @property
    def from_catalog(self) -> bool:
        """Whether versions in its listings may be of any age, so that a store does not insist on them."""

    def path_of(self, key: str) -> str:
        """Key joined to the root of the layer, fit for display."""

    def locate(self, ref: Ref) -> Located:
        """Where an entity is written in this layer; sends nothing."""

    async def list_runs(self, beginning: str = "") -> Listing:
        """All runs, or at least those whose names begin so."""

    async def list_run(self, run: Located, nouns: Nouns = None) -> Listing:
        """What a run holds, in as few requests as possible; may hold more than was asked for, never less."""

    async def list_voxel_spacing(self, spacing: Located) -> Listing:
        """Tomograms and feature maps of one voxel spacing."""

    async def list_objects(self) -> Listing:
        """Objects that have a map."""

    async def first_page(self, beginning: str = "") -> FirstPage | None:
        """How a scan of all runs, or of those whose names begin so, would begin: at most one request, so that it can be
        asked for beside the list of the runs. None where that is no help.
        """

    def scan(
        self,
        runs: Iterable[Located],
        nouns: Nouns = None,
        *,
        details: bool = True,
        first_page: FirstPage | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Listing | CopickError]]]:
        """What many runs hold, in the order of the runs, read ahead within the limits of the layer.

        Without `details`, size, etag and time of files are missing where they would cost more than the names. With a
        `first_page`, what it says already is not asked for again.
        """

    async def find(self, ref: Ref) -> Located | None:
        """Where one entity is stored, or None."""

    async def ensure(self, *, create: bool = False) -> bool:
        """Whether the layer holds a project (a possibly empty list of runs)."""

    async def load(self, located: Located) -> Loaded:
        """Read and decode one file; NotFoundError when there is none."""

    def load_many(
        self, located: Sequence[Located]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Loaded | CopickError]]]:
        """Read and decode many files, as they arrive, errors in their places."""

    async def save(
        self, located: Located, payload: Payload, *, if_match: str | None = None, create: bool = False
    ) -> Located:
        """Encode and write one file; returns where it lies, with its new etag."""

    async def load_meta(self, located: Located | None) -> dict[str, Any]:
        """The ``.meta`` file of a run, a voxel spacing or (None) the root; empty when there is none to read."""

    async def update_meta(self, located: Located | None, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Replace the ``.meta`` file of a run, a voxel spacing or (None) the root by what `change` makes of its content.

        `change` is called again, with the new content, when another writer was faster.
        """

    async def create(self, ref: Ref, meta: dict[str, Any] | None = None) -> Located:
        """Make a run or voxel spacing with its ``.meta``, or a volume as a bare group.

        Raises
        ------
        AlreadyExistsError
            Another writer made it first.
        """

    async def copy_from(self, source: Source) -> Located:
        """Copy an entity out of another layer, so that it can be changed here."""

    async def check_deletion(self, located: Located) -> None:
        """Ask before anything is deleted, in any layer, whether everything of an entity may be.

        Raises
        ------
        ReadOnlyError
            Something of it refuses to be changed.
        """

    async def delete(self, located: Located) -> None:
        """Delete an entity with everything below it; what is missing already is no error."""

    def zarr_store(self, located: Located, *, read_only: bool | None = None) -> zarr.abc.store.Store:
        """A zarr 3 store of a volume; sends nothing."""

    def options(self, **changes: Any) -> Layer:
        """A view of the same layer with other limits."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next use connects again."""


class Source(NamedTuple):
    """One place where an entity is stored. A tuple, as crawls make thousands.

    Parameters
    ----------
    layer : Layer
        The layer that holds it.
    located : Located
        Where it lies there.
    """

    layer: Layer
    located: Located

    @property
    def path(self) -> str:
        """Full path, fit for display."""
        return self.layer.path_of(self.located.key)
