"""The ``.meta`` files of runs and voxel spacings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from aiocopick.entities.base import AsyncEntity
from aiocopick.errors import FormatError
from aiocopick.layers.base import Source
from aiocopick.layers.codecs import decode_here
from aiocopick.layout.paths import meta_key
from aiocopick.storage.limits import in_thread


class MetadataMixin(AsyncEntity):
    """Verbs of entities that have a ``.meta`` file."""

    __slots__ = ()

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
        content = await self._stack.load_meta(self._places())
        self._meta = self._understood(content)
        return self._meta

    async def store_meta(self) -> None:
        """Write :attr:`meta` to the ``.meta`` file; keys that other programs put there are kept.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        """
        target = self._stack.target(self.ref, self._places())
        content = await target.layer.load_meta(target.located)
        await target.layer.save_meta(target.located, content | self.meta.model_dump(mode="json"))
        self._stored_in(target)

    async def _store_metadata(self) -> None:
        await self.store_meta()

    @staticmethod
    async def _load_metadata(path: str, fs: Any) -> dict[str, Any]:
        """The ``.meta`` file of a directory on an fsspec filesystem; {} when there is none."""
        return await in_thread(read_metadata, path, fs)

    async def _create(self) -> None:
        writer = self._stack.writer()
        self._stored_in(Source(writer, await writer.create(self.ref, self.meta.model_dump(mode="json"))))

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
            raise FormatError(f"{path} cannot be understood: {field}: {problem['msg']}.", path=path) from None


def read_metadata(path: str, fs: Any) -> dict[str, Any]:
    """The ``.meta`` file of a directory on an fsspec filesystem, blocking; {} when there is none."""
    key = meta_key(path.rstrip("/"))
    data = fs.cat_file(key) if fs.exists(key) else None
    content: dict[str, Any] = decode_here("meta", data, path=key)
    return content
