"""Common base of picks, meshes and filaments: one file each, loaded and stored as a whole."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from aiocopick.concurrency.backoff import pause
from aiocopick.concurrency.lazy import imported
from aiocopick.entities.base import Authored
from aiocopick.errors import (
    AlreadyExistsError,
    ConflictError,
    FormatError,
    NotFoundError,
    StorageError,
    UnknownObjectError,
)
from aiocopick.layers.base import Source
from aiocopick.layers.codecs import decode, encode
from aiocopick.layout.refs import AnnotationRef
from aiocopick.models.objects import PickableObject

if TYPE_CHECKING:
    from aiocopick.entities.run import AsyncRun
    from aiocopick.layers import Loaded, Payload, Placed
    from aiocopick.layout.listing import Located

ABSENT = "\0absent"
"""Version of a file that does not exist."""


class AsyncFile(Authored):
    """An entity of a run that is one file."""

    __slots__ = ("_attempt", "_etag", "_outdated", "run")

    parent_slot: ClassVar[str] = "run"
    noun: ClassVar[str] = ""
    """Plural of the kind: the name of the cached list in the run."""

    run: AsyncRun
    ref: AnnotationRef
    _etag: str | None
    """Version of the file that the data was loaded from, set over or written as, in the place where it is seen; ABSENT
    when it was known not to be there."""
    _attempt: Payload | None
    """Content that an interrupted store may have written."""
    _outdated: bool
    """True if a listing may have found another version than was loaded."""

    def _begin_file(self, run: AsyncRun, ref: type[AnnotationRef], names: Any) -> None:
        named = ref(
            run=run.name,
            user_id=names.user_id,
            session_id=str(names.session_id),
            object_name=names.pickable_object_name,
        )
        self._begin(run, named, names)

    def _reset(self) -> None:
        self._etag = None
        self._attempt = None
        self._outdated = False
        self._forget()

    def _found_again(self, item: Placed) -> None:
        super()._found_again(item)
        self._outdated = self._etag is None or self._listed_etag() != self._etag

    def _listed_etag(self) -> str | None:
        """Return the version of the file when it was listed; None if it is unknown, or comes from a catalogue."""
        if not self._sources or self._sources[0].layer.from_catalog:
            return None
        return self._sources[0].located.etag

    def _pin(self) -> None:
        """Record, before data is set without loading the file, that it is meant for the listed version."""
        if self._etag is None:
            self._etag = self._listed_etag()

    def _forget(self) -> None:
        """Drop the data."""
        raise NotImplementedError

    def _accept(self, payload: Payload) -> None:
        """Take what was read."""
        raise NotImplementedError

    def _content(self) -> Any:
        """Return the result of :meth:`load`."""
        raise NotImplementedError

    async def _payload(self) -> Payload | None:
        """Return the data to write; None if nothing was loaded or set."""
        raise NotImplementedError

    def _blank(self) -> None:
        """Become a new, empty file in memory."""
        raise NotImplementedError

    @property
    def loaded(self) -> bool:
        """True if data is in memory, read or set."""
        raise NotImplementedError

    @property
    def _untouched(self) -> bool:
        """True if nothing in memory can differ from the file."""
        return self._meta is None and not self.loaded

    async def _is_edited(self) -> bool:
        """Return True if data in memory was set or changed, and not stored."""
        raise NotImplementedError

    def _written(self, payload: Payload) -> None:
        """Note that this is stored now."""

    async def _look(self) -> None:
        """Load data that is not in memory, or that is older than the file according to a listing."""
        if not self.loaded:
            await self._read(listed=True)
        elif self._outdated and not await self._is_edited():
            source = (await self._resolve())[0]
            loaded = await source.layer.load(source.located, listed=True)
            # A listing need not tell versions. Of the same version, what was assigned or handed out stays as it is.
            if loaded.etag is None or loaded.etag != self._etag:
                self._take(loaded)
        self._outdated = False

    @property
    def _lacks_base(self) -> bool:
        """Return True if data was set without reading the rest of the file."""
        return False

    def _accept_base(self, payload: Payload | None) -> None:
        """Take the rest of the file, or None if the file does not exist or cannot be decoded.

        Raises
        ------
        FormatError
            It cannot be understood after all.
        """

    # --- names --------------------------------------------------------------------------------------------------------

    @property
    def pickable_object_name(self) -> str:
        """The object it annotates."""
        return self.ref.object_name

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, 0 to 255, of its object.

        Raises
        ------
        UnknownObjectError
            The project names its objects, and this is not one of them.
        """
        known = self.root._object_meta(self.pickable_object_name)
        if known is None and self.config.pickable_objects:
            raise UnknownObjectError(
                f"{self.pickable_object_name} is not a recognized object name (run: {self.run.name}); add it to the "
                "config.",
                path=self.path,
            )
        color: tuple[int, int, int, int] | None
        color = PickableObject.model_fields["color"].default if known is None else known.color
        return color

    @property
    def _identity(self) -> dict[str, str]:
        return {
            "pickable_object_name": self.pickable_object_name,
            "user_id": self.user_id,
            "session_id": self.session_id,
        }

    # --- reading ------------------------------------------------------------------------------------------------------

    async def load(self) -> Any:
        """Read the file: one request.

        Raises
        ------
        NotFoundError
            The file does not exist.
        FormatError
            The file cannot be decoded; the message names the path.
        """
        await self._read()
        return self._content()

    async def _read(self, *, listed: bool = False) -> None:
        """Load the file; with `listed`, the version that was listed a moment ago may come from the cache on disk."""
        source = (self._sources or await self._resolve())[0]
        self._take(await source.layer.load(source.located, listed=listed))

    def _take(self, loaded: Loaded) -> None:
        self._accept(loaded.payload)
        self._etag = loaded.etag
        self._attempt = None
        self._outdated = False

    def refresh(self) -> None:
        """Forget the data, so that it must be loaded again."""
        self._reset()
        # Another tuple: what was read ahead of this call is recognised by the old one.
        self._sources = tuple(Source(*source) for source in self._sources)

    # --- writing ------------------------------------------------------------------------------------------------------

    async def store(self, *, overwrite: bool = False) -> None:
        """Write the file: one request, and one to read it first when data was set without loading it.

        Does nothing if nothing was loaded or set. In a stack of layers, the file goes to the write layer.

        Parameters
        ----------
        overwrite : bool
            Replace the file even if it changed in the meantime, as CoPick does.

        Raises
        ------
        ConflictError
            Another program changed, created or deleted the file since it was loaded, or since it was listed if the data
            was set without loading it (where the storage has versions, and the listing told them).
        ReadOnlyError
            No layer can be written to.
        """
        self._stack.writer()
        create = await self._find_base(overwrite) if self._lacks_base else False
        payload = await self._payload()
        if payload is not None:
            await self._write(payload, create=create, overwrite=overwrite)

    async def _store(self) -> None:
        await self.store()

    async def _find_base(self, overwrite: bool) -> bool:
        """Read the rest of the file for the new data; return True if the file does not exist."""
        expected = self._etag
        try:
            source = (await self._resolve())[0]
            loaded = await source.layer.load(source.located)
            if not overwrite and expected is not None and loaded.etag not in (None, expected):
                raise self._changed(source.path)
            self._accept_base(loaded.payload)
        except NotFoundError:
            if not overwrite and expected not in (None, ABSENT):
                raise self._changed(self.path) from None
            self._accept_base(None)
            self._etag = ABSENT
            return True
        except FormatError:
            # What cannot be understood is replaced as a whole.
            self._accept_base(None)
            return False
        self._etag = loaded.etag
        return False

    @staticmethod
    def _changed(path: str) -> ConflictError:
        return ConflictError(
            f"{path} was changed, created or deleted by another program since it was read or listed: load it and repeat "
            "the change, or keep this version of it with store(overwrite=True).",
            path=path,
        )

    async def _write(self, payload: Payload, *, create: bool = False, overwrite: bool = False) -> None:
        sources = self._sources
        if not sources and not self._stack.single:
            found = await self._stack.find(self.ref)
            sources = self._sources = () if found is None else found.sources
        target = self._stack.target(self.ref, sources)
        seen = not sources or target is sources[0]
        # A first write to a layer must not replace a file that another writer created unseen.
        create = create or (bool(sources) and target not in sources) or (seen and self._etag == ABSENT)
        match = self._etag if seen and not create else None
        if overwrite:
            create, match = False, None
        located = await self._save(target, payload, match, create)
        self._etag = located.etag
        self._attempt = None
        self._outdated = False
        self._written(payload)
        self._stored_in(Source(target.layer, located))

    async def _save(self, target: Source, payload: Payload, match: str | None, create: bool) -> Located:
        try:
            return await target.layer.save(target.located, payload, if_match=match, create=create)
        except (AlreadyExistsError, ConflictError) as error:
            own = await self._own_version(target)
            if own is None:
                raise self._changed(target.path) from error
            return await target.layer.save(target.located, payload, if_match=own)
        except BaseException as error:
            # If it was written is not known: the next store must not take it for a change of another program.
            if isinstance(error, StorageError) or not isinstance(error, Exception):
                self._attempt = deepcopy(payload)
            raise

    async def _own_version(self, target: Source) -> str | None:
        """The version of the file, if it is what an interrupted store wrote."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return None
        try:
            loaded = await target.layer.load(target.located)
        except NotFoundError:
            return None
        kind, path = self.kind, target.path
        # Read back before they are compared: not all that is written reads as it was.
        sent = await encode(kind, await decode(kind, await encode(kind, attempt), path=path))
        return loaded.etag if await encode(kind, loaded.payload) == sent else None

    async def _retry(self, edit: Callable[[], Awaitable[None]]) -> None:
        """Load, edit and store, repeated until no other writer was faster."""
        give_up = anyio.current_time() + getattr(self.config, "timeout", 60.0)
        for attempt in count():
            missing = False
            try:
                await self.load()
            except NotFoundError:
                self._reset()
                await imported("numpy")
                self._blank()
                missing = True
            await edit()
            try:
                await self._write(await self._payload(), create=missing)
                return
            except ConflictError:
                if anyio.current_time() > give_up:
                    raise
                if not self._stack.single:
                    # The other writer may have made the first copy in another layer than the one seen so far.
                    found = await self._stack.find(self.ref)
                    self._sources = () if found is None else found.sources
            await anyio.sleep(pause(attempt, first=0.01, longest=0.5))

    async def delete(self) -> None:
        """Delete the file, from every layer that can be written to.

        Raises
        ------
        ReadOnlyError
            It is in a read-only layer.
        """
        await self._delete_data()
        self._etag = ABSENT
        self.run._children[self.noun].drop(self)


async def edited(function: Callable[[list[Any]], Any], items: list[Any]) -> list[Any]:
    """The items as a plain or coroutine function leaves them: changed in place, or as the list that it returns.

    Raises
    ------
    TypeError
        It returns something else than a list or None.
    """
    result = function(items)
    if inspect.isawaitable(result):
        result = await result
    if result is None:
        return items
    if not isinstance(result, list | tuple):
        raise TypeError(f"update() wants a function that returns a list, or None; not {type(result).__name__}.")
    return list(result)
