"""Listings of a storage: one directory, several, or a whole tree in the fewest requests."""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing

from aiocopick.errors import CopickError, NotFoundError, StorageError
from aiocopick.storage.backends.base import Backend, Page
from aiocopick.storage.base import Entry, FirstPage
from aiocopick.storage.keys import check_prefix, is_key
from aiocopick.storage.managed_base import ManagedBase
from aiocopick.storage.scan import UnfitError, children, dense, first_page, follow, nested, reading_ahead, walk


class ManagedListing(ManagedBase):
    """What a storage says of its keys."""

    __slots__ = ()

    async def list(self, prefix: str) -> Sequence[Entry]:
        """Immediate children of a directory, sorted by key; empty when there is none."""
        prefix = check_prefix(prefix)
        found: list[Entry] = []
        try:
            async with aclosing(follow(self._page, prefix, "/", resumes=self._core.backend.resumes)) as pages:
                async for page in pages:
                    found.extend(page)
        except UnfitError:
            raise self._endless(prefix) from None
        return children(found)

    def _endless(self, prefix: str) -> StorageError:
        path = self.path_of(prefix)
        return StorageError(f"Cannot list {path}: the server goes on without listing anything new", path=path)

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        """Everything below a directory, in pages, every entry once; trees ending in `collapse` count as one.

        Keys that cannot be asked for are left out when nothing is collapsed: whoever takes a tree apart asks for each.
        """
        prefix = check_prefix(prefix)
        if collapse is not None and not collapse.endswith("/"):
            raise ValueError(f"collapse must end in '/', as '.zarr/' does; not {collapse!r}")

        sparse = self._core.backend.counts_keys and collapse != "/"

        async def produce(send: Callable[[Sequence[Entry]], Awaitable[None]]) -> None:
            async def emit(page: Sequence[Entry]) -> None:
                await send(page if collapse is not None else [entry for entry in page if is_key(entry.key)])

            reached = start_after
            if self.capabilities.delimiter or (collapse in (None, "/") and self._core.backend.resumes):
                chain = follow(
                    self._page,
                    prefix,
                    collapse,
                    resumes=self._core.backend.resumes,
                    ordered=self._core.backend.ordered,
                    start_after=start_after,
                    stop_before=stop_before,
                    sparse=sparse,
                )
                try:
                    async with aclosing(dense(chain) if sparse else chain) as pages:
                        async for page in pages:
                            await emit(page)
                    return
                except UnfitError as unfit:
                    reached = unfit.reached
                    self._remember(unfit)
            await walk(
                self.list,
                emit,
                prefix,
                collapse,
                limit=self._settings.max_concurrency,
                start_after=reached,
                stop_before=stop_before,
            )

        return reading_ahead(produce)

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """How a scan would begin; None where it would not be of pages in key order that collapse volumes."""
        prefix, backend = check_prefix(prefix), self._core.backend
        if not (self.capabilities.delimiter and backend.resumes):
            return None
        try:
            return await first_page(
                self._page, prefix, ".zarr/", start_after=start_after, counts_keys=backend.counts_keys
            )
        except UnfitError as unfit:
            self._remember(unfit)
            return None

    def _remember(self, unfit: UnfitError) -> None:
        if unfit.always:
            self._core.capabilities = dataclasses.replace(self._core.capabilities, delimiter=False)

    async def _page(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None
    ) -> Page:
        async def attempt(backend: Backend) -> Page:
            return await backend.list_page(prefix, delimiter, start_after=start_after, token=token)

        return await self._run("list", prefix, attempt)

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], *, details: bool = True
    ) -> builtins.list[Sequence[Entry] | CopickError]:
        """Children of several directories, and in their places what is in those that `enter` accepts."""
        if not self.capabilities.nested:
            return await nested(self.list, prefixes, enter, limit=self._settings.max_concurrency)
        results: dict[int, Sequence[Entry] | CopickError] = {}
        wanted: dict[int, str] = {}
        for index, prefix in enumerate(prefixes):
            try:
                wanted[index] = check_prefix(prefix)
            except CopickError as error:
                results[index] = error
        if wanted:
            keys = list(wanted.values())
            found = await self._run("list", keys[0], lambda backend: backend.list_nested(keys, enter, details))
            for (index, key), entries in zip(wanted.items(), found, strict=True):
                results[index] = self._failed("list", key, entries) if isinstance(entries, BaseException) else entries
        return [results[index] for index in range(len(prefixes))]

    async def leftovers(self, prefix: str = "") -> Sequence[Entry]:
        """Temporary files below a directory that listings hide, of writes under way or killed, sorted by key."""
        prefix = check_prefix(prefix)
        found: list[Entry] = []
        token: object | None = None
        while self._core.backend.leaves_files:
            page = await self._run("list", prefix, lambda backend, token=token: backend.leftovers(prefix, token))  # type: ignore[misc]
            found += page.entries
            token = page.token
            if token is None:
                break
        return children(found)

    async def exists(self, key: str) -> bool:
        """Whether anything is stored at the key or below it."""
        try:
            await self.stat(key)
        except NotFoundError:
            return False
        return True

    async def stat(self, key: str) -> Entry:
        """The entry of one object or directory."""
        key = check_prefix(key)
        return await self._run("stat", key, lambda backend: backend.stat(key))
