"""The ``.meta`` files of runs and voxel spacings."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.base import AsyncEntity
from aiocopick.errors import AlreadyExistsError, FormatError
from aiocopick.layers.base import Source
from aiocopick.layers.codecs import decode_here
from aiocopick.layout.paths import meta_key


class MetadataMixin(AsyncEntity):
    """Verbs of entities that have a ``.meta`` file."""

    __slots__ = ("_known_meta",)

    _known_meta: dict[str, Any]
    """Content of the ``.meta`` file when it was last read or written: differences from it are local changes."""

    async def load_meta(self) -> Any:
        """Read the ``.meta`` file: one request per layer that may have one.

        Returns
        -------
        CopickRunMeta or CopickVoxelSpacingMeta
            Unknown keys are kept; names come from the path. A missing file, and the placeholder that CoPick writes,
            give what the path says.

        Raises
        ------
        FormatError
            The file is broken JSON, or a value is of the wrong type.
        """
        return await self._read_meta()

    async def _read_meta(self, *, listed: bool = False) -> Any:
        """Load the file; with `listed`, the version that was listed a moment ago may come from the cache on disk."""
        content = await self._stack.load_meta(self._places(), listed=listed)
        self._meta = self._understood(content)
        self._known_meta = self._meta.model_dump(mode="json")
        return self._meta

    async def store_meta(self) -> None:
        """Write :attr:`meta` to the ``.meta`` file; keys that other programs put there are kept.

        Only values that were changed since the file was read are written, so that writers of different keys keep each
        other's values: one request to read the file, one to write it, and again when another writer was faster.

        Raises
        ------
        ConflictError
            Others were faster until the ``timeout`` of the configuration.
        ReadOnlyError
            No layer can be written to.
        """
        target = self._stack.target(self.ref, self._places())
        whole = self.meta.model_dump(mode="json")
        known, names = getattr(self, "_known_meta", {}), self._make_meta().model_dump(mode="json")
        changed = names | {key: value for key, value in whole.items() if key not in known or known[key] != value}
        # A file that is missing in this layer does not hold what was read in another one.
        await target.layer.update_meta(target.located, lambda content: content | (changed if content else whole))
        self._known_meta = whole
        self._stored_in(target)

    async def ensure(self, create: bool = False) -> bool:
        """Return True if it is stored; with `create`, create it.

        Returns
        -------
        bool
            Whether it is stored now.

        Raises
        ------
        ReadOnlyError
            It is to be created and no layer can be written to.
        """
        found = await self._stack.find(self.ref)
        if found is not None:
            self._sources = found.sources
        elif create:
            with suppress(AlreadyExistsError):
                await self._create()
        return found is not None or create

    async def _store_metadata(self) -> None:
        await self.store_meta()

    @staticmethod
    async def _load_metadata(path: str, fs: Any) -> dict[str, Any]:
        """The ``.meta`` file of a directory on an fsspec filesystem; {} when there is none."""
        return await in_thread(read_metadata, path, fs)

    async def _create(self) -> None:
        """Make it.

        Raises
        ------
        AlreadyExistsError
            Another writer was faster.
        """
        writer = self._stack.writer()
        content = self.meta.model_dump(mode="json")
        try:
            located = await writer.create(self.ref, content)
        except AlreadyExistsError:
            self._stored_in(Source(writer, writer.locate(self.ref)))
            raise
        self._known_meta = content
        self._stored_in(Source(writer, located))

    def _understood(self, content: dict[str, Any]) -> BaseModel:
        names: BaseModel = self._make_meta()
        path = self.root.path_of(meta_key(self.key))
        try:
            if content.keys() & type(names).model_fields.keys():
                type(names).model_validate(names.model_dump() | content)
            return type(names).model_validate(content | names.model_dump())
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, problem["loc"]))
            raise FormatError(f"{path} is invalid: {field}: {problem['msg']}.", path=path) from None


def read_metadata(path: str, fs: Any) -> dict[str, Any]:
    """The ``.meta`` file of a directory on an fsspec filesystem, blocking; {} when there is none."""
    key = meta_key(path.rstrip("/"))
    data = fs.cat_file(key) if fs.exists(key) else None
    content: dict[str, Any] = decode_here("meta", data, path=key)
    return content
