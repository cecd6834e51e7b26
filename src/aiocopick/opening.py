"""From a URL, a path, a config file, a dict or a config object to a root.

The module is not called ``open``: importing it would hide the function of that name in the package.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocopick.concurrency.threads import in_thread, in_thread_if_large
from aiocopick.entities.root import AsyncRoot
from aiocopick.errors import CopickError, FormatError, LayerError, NotFoundError
from aiocopick.formats.json_bytes import parse_json
from aiocopick.models.config import CopickConfig, CopickConfigFS, parse_config
from aiocopick.models.file_sizes import read_config_bytes
from aiocopick.models.protocols import check_protocols
from aiocopick.storage import open_storage
from aiocopick.storage.keys import display_url, parse_root
from aiocopick.tables.layer import Verify
from aiocopick.tables.opened import with_catalog

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

    from aiocopick.sync.root import CopickRootFS

    Catalog: TypeAlias = str | os.PathLike[str] | pa.Table | None
    Source = str | os.PathLike[str] | Mapping[str, Any] | CopickConfig


class Opening:
    """What :func:`open` returns: awaitable, and an async context manager that closes what it opened."""

    __slots__ = ("_allow_protocols", "_catalog", "_must_exist", "_overrides", "_root", "_source", "_verify")

    def __init__(
        self,
        source: Source,
        must_exist: bool,
        catalog: Catalog,
        verify: Verify,
        allow_protocols: Iterable[str],
        overrides: dict[str, Any],
    ) -> None:
        if verify is not None and catalog is None:
            raise LayerError(f"verify={verify!r} needs a catalogue to go by: pass catalog= as well.")
        self._source = source
        self._must_exist = must_exist
        self._catalog = catalog
        self._verify = verify
        self._allow_protocols = allow_protocols
        self._overrides = overrides
        self._root: AsyncRoot | None = None

    def __await__(self) -> Generator[Any, None, AsyncRoot]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncRoot:
        self._root = await self._open()
        return self._root

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root, self._root = self._root, None
        if root is not None:
            await root.aclose()

    async def _open(self) -> AsyncRoot:
        root = AsyncRoot(await read_config(self._source, self._allow_protocols, **self._overrides))
        if self._catalog is not None:
            root = await with_catalog(root, self._catalog, self._verify)
        if self._must_exist and not await root.ensure():
            await _require_bucket(root)
            raise NotFoundError(
                f"There is no project at {root.url}: it has no ExperimentRuns. Check the path, or create it with "
                "ensure(create=True).",
                path=root.url,
            )
        return root


def open(
    source: Source,
    *,
    must_exist: bool = False,
    catalog: Catalog = None,
    verify: Verify = None,
    allow_protocols: Iterable[str] = (),
    **overrides: Any,
) -> Opening:
    """Open a project.

    ``root = await aiocopick.open(source)``, or ``async with aiocopick.open(source) as root``. No request is sent for
    the root of a project, one for the URL of a config.

    Parameters
    ----------
    source : str, path, mapping or CopickConfig
        URL or path of a project root, URL or path of a config JSON, the content of one, or a config object.
    must_exist : bool
        Raise when there is no project; one request, and one more when there is none, to say what is missing, or on a web
        server, to see that it has listings.
    catalog : str, path or pyarrow.Table, optional
        A catalogue of the project (:func:`aiocopick.catalog`), or the Parquet file that holds one. Listings come from
        it and none is sent, so that a web server without listings can be crawled. What others change is not seen.
    verify : "etag", optional
        Raise ConflictError for a file that is another version than the catalogue lists.
    allow_protocols : iterable of str
        Protocols that a configuration file may name besides the usual ones (``file``, ``memory``, S3, Google Cloud,
        Azure, HTTP, SSH and SMB), chained targets included. What is passed as a URL, dict or object is not restricted.
    **overrides
        Fields of the config that win over its own: ``read_only=True``, ``fs_args={...}``.

    Returns
    -------
    Opening
        Awaitable, and an async context manager, of an :class:`~aiocopick.AsyncRoot`.

    Raises
    ------
    NotFoundError
        The config file, or the catalogue, or with `must_exist` the project, is not there.
    FormatError
        The file is no config or catalogue, or the config says nothing that can be opened.
    LayerError
        The catalogue is one of another project; or `verify` was given without a catalogue.
    """
    return Opening(source, must_exist, catalog, verify, allow_protocols, overrides)


def open_sync(
    source: Source,
    *,
    must_exist: bool = False,
    catalog: Catalog = None,
    verify: Verify = None,
    allow_protocols: Iterable[str] = (),
    **overrides: Any,
) -> CopickRootFS:
    """Open a project for blocking use; parameters, requests and errors are those of :func:`open`.

    Returns
    -------
    CopickRootFS or CopickRootMultilayer
        A context manager; nothing has to be closed, though.
    """
    from aiocopick.sync.bridge import call
    from aiocopick.sync.configs import facade

    return facade(call(Opening(source, must_exist, catalog, verify, allow_protocols, overrides)._open))


async def _require_bucket(root: AsyncRoot) -> None:
    """Say that it is the bucket that is missing, where it is: that fails a listing, which is just empty elsewhere.

    Raises
    ------
    NotFoundError
        There is no bucket, or container, of that name.
    """
    try:
        await root.query()
    except NotFoundError:
        raise
    except CopickError:
        # Whatever else a listing fails by (a web server has none) does not matter where nothing is.
        return


async def read_config(source: Source, allow_protocols: Iterable[str] = (), **overrides: Any) -> CopickConfig:
    """The configuration that a source stands for, with these fields replaced.

    Raises
    ------
    NotFoundError
        There is no such config file.
    FormatError
        The file is no config.
    TypeError
        A field to replace is none that the config has.
    """
    config = await _read_config(source, allow_protocols, overrides)
    # A config may hold keys of others; a misspelt ``readonly=True`` must not open a project for writing.
    unknown = sorted(set(overrides) - set(type(config).model_fields))
    if unknown:
        raise TypeError(f"There is no option {unknown[0]!r}; options are fields of {type(config).__name__}.")
    return config


async def _read_config(source: Source, allow_protocols: Iterable[str], overrides: dict[str, Any]) -> CopickConfig:
    if isinstance(source, CopickConfig):
        return source if not overrides else type(source).model_validate(_given(source) | overrides)
    if isinstance(source, Mapping):
        return parse_config({**source, **overrides})
    text = os.fspath(source)
    if _is_local(text):
        content = await in_thread(_read_local, text, overrides.get("max_file_bytes"))
    elif _path_of(text).endswith(".json"):
        content = await _read_remote(text, overrides)
    else:
        content = None
    if content is None:
        return parse_config({"config_type": "filesystem", "root": text, **overrides})
    path = display_url(text)
    parse = partial(_parse_config, content, path, overrides, allow_protocols)
    return await in_thread_if_large(len(content), parse)


def _parse_config(content: bytes, path: str, overrides: dict[str, Any], allow_protocols: Iterable[str]) -> CopickConfig:
    try:
        document = parse_json(content, path=path)
        if not isinstance(document, dict):
            raise FormatError("a JSON object is expected")
        # The arguments that reach the file need not be those that reach the project.
        config = parse_config({**document, **overrides})
    except FormatError as error:
        raise FormatError(f"{path} is no project directory, and no config either: {error}", path=path) from error
    from_file = {name: value for name, value in document.items() if name not in overrides}
    check_protocols(from_file, allow_protocols, path=path)
    return config


def _given(config: CopickConfig) -> dict[str, Any]:
    """Fields of a config as they are: its objects stay the same objects."""
    return {name: getattr(config, name) for name in config.model_fields_set}


def _is_local(text: str) -> bool:
    return parse_root(text).protocol == "file"


def _path_of(url: str) -> str:
    return url.partition("?")[0].rstrip("/")


def _read_local(text: str, max_file_bytes: Any) -> bytes | None:
    """Content of a file; None for a directory, and for nothing at all unless it is named like a config."""
    path = Path(parse_root(text).location)
    if path.is_file():
        return read_config_bytes(path, max_file_bytes)
    if path.suffix == ".json" and not path.is_dir():
        raise NotFoundError(f"There is no config at {path}; check the path.", path=str(path))
    return None


async def _read_remote(url: str, overrides: Mapping[str, Any]) -> bytes:
    folder, _, name = _path_of(url).rpartition("/")
    chosen = {option: overrides[option] for option in ("fs_args", "max_file_bytes") if option in overrides}
    storage = open_storage(CopickConfigFS(root=folder, read_only=True, **chosen))
    try:
        return await storage.read(name)
    finally:
        await storage.aclose()
