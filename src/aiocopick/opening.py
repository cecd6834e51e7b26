"""Opening of a root from a URL, a path, a config file, a dict or a config object.

The module is not called ``open``: importing it would hide the function of that name in the package.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.concurrency.threads import in_thread, in_thread_if_large
from aiocopick.entities.root import AsyncRoot
from aiocopick.errors import FormatError, LayerError, NotFoundError
from aiocopick.formats.json_bytes import parse_json
from aiocopick.models.config import CopickConfig, CopickConfigFS, config_fields, parse_config
from aiocopick.models.file_sizes import read_config_bytes
from aiocopick.models.naming import did_you_mean
from aiocopick.models.place import Place, arguments_of, text_of
from aiocopick.models.protocols import check_protocols
from aiocopick.storage import open_storage
from aiocopick.storage.keys import display_url, parse_root

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

    from aiocopick.sync.root import CopickRootFS
    from aiocopick.tables.layer import Verify

    Catalog: TypeAlias = Place | pa.Table | None
    Source = Place | Mapping[str, Any] | CopickConfig


_OPENED = (
    "Write `root = await aiocopick.open(...)`, or `async with aiocopick.open(...) as root`; in blocking code, "
    "`root = aiocopick.open_sync(...)`."
)


class Opening(AsyncOnly):
    """The result of :func:`open`: awaitable, and an async context manager that closes the root."""

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
            raise LayerError(f"verify={verify!r} needs a catalogue: pass catalog= as well.")
        self._source = source
        self._must_exist = must_exist
        self._catalog = catalog
        self._verify = verify
        self._allow_protocols = allow_protocols
        self._overrides = overrides
        self._root: AsyncRoot | None = None

    def _iterated(self) -> str:
        return f"it is not a project yet. {_OPENED}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"The project is not open yet, so it has no {name!r}. {_OPENED}")

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
            from aiocopick.tables.opened import with_catalog

            root = await with_catalog(root, self._catalog, self._verify)
        if self._must_exist and not await root.ensure():
            reason = await root._stack.explain_missing()
            raise NotFoundError(
                reason
                or f"There is no project at {root.url}: it has no ExperimentRuns. Check the path, or create it with "
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
    source : str, path, UPath, mapping or CopickConfig
        URL or path of a project root, URL or path of a config JSON, the content of one, or a config object. The
        ``storage_options`` of a UPath (universal_pathlib) are the arguments of its filesystem.
    must_exist : bool
        Raise if there is no project. This costs one request, and one more if there is no project, to say what is there
        instead. Without it, the first listing that finds no runs warns of a missing project (MissingProjectWarning),
        with one more request.
    catalog : str, path or pyarrow.Table, optional
        A catalogue of the project (:func:`aiocopick.catalog`), or the Parquet file that holds one. Listings come from
        it and no listing request is sent, so that a web server without listings can be crawled. Later changes are not seen.
    verify : "etag", optional
        Raise ConflictError for a file whose version differs from the catalogue.
    allow_protocols : iterable of str
        Protocols that a configuration file may name besides the usual ones (``file``, ``memory``, S3, Google Cloud,
        Azure, HTTP, SSH and SMB), chained targets included. A URL, dict or object is not restricted.
    **overrides
        Fields that replace those of the config: ``read_only=True``, ``fs_args={...}``.

    Returns
    -------
    Opening
        Awaitable, and an async context manager, of an :class:`~aiocopick.AsyncRoot`.

    Raises
    ------
    NotFoundError
        The config file, or the catalogue, or with `must_exist` the project, does not exist.
    FormatError
        The file is not a config or catalogue, or the config does not describe a project.
    LayerError
        The catalogue belongs to another project; or `verify` was given without a catalogue.
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
        A context manager; closing is optional.
    """
    from aiocopick.sync.bridge import call
    from aiocopick.sync.root import facade

    return facade(call(Opening(source, must_exist, catalog, verify, allow_protocols, overrides)._open))


async def read_config(source: Source, allow_protocols: Iterable[str] = (), **overrides: Any) -> CopickConfig:
    """Return the configuration of a source, with the given fields replaced.

    Raises
    ------
    NotFoundError
        The config file does not exist.
    FormatError
        The file is not a config.
    TypeError
        The config does not have a field to replace.
    """
    _check_options(overrides, config_fields())
    config = await _read_config(source, allow_protocols, overrides)
    # A config may hold unknown keys; but a misspelt ``readonly=True`` must not open a project for writing.
    _check_options(overrides, type(config).model_fields, type(config).__name__)
    return config


def _check_options(given: Iterable[str], known: Collection[str], form: str = "the configuration") -> None:
    unknown = sorted(set(given).difference(known))
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise TypeError(f"There is no option {unknown[0]!r}; options are fields of {form}.{hint}")


async def _read_config(source: Source, allow_protocols: Iterable[str], overrides: dict[str, Any]) -> CopickConfig:
    if isinstance(source, CopickConfig):
        return source if not overrides else type(source).model_validate(_given(source) | overrides)
    if isinstance(source, Mapping):
        return await _parsed(partial(parse_config, {**source, **overrides}))
    text, arguments = text_of(source), {"fs_args": arguments_of(source)} if arguments_of(source) else {}
    if parse_root(text).protocol == "file":
        content = await in_thread(_read_local, text, overrides.get("max_file_bytes"))
    elif _path_of(text).endswith(".json"):
        content = await _read_remote(text, arguments | overrides)
    else:
        content = None
    if content is None:
        return await _parsed(
            partial(parse_config, {"config_type": "filesystem", "root": text, **arguments, **overrides})
        )
    path = display_url(text)
    return await _parsed(partial(_parse_config, content, path, overrides, allow_protocols), len(content))


async def _parsed(parse: Callable[[], CopickConfig], size: int = 0) -> CopickConfig:
    """Parse in a thread if it is large or the first one: pydantic builds the models then, and reads files for that."""
    if CopickConfigFS.__pydantic_complete__:
        return await in_thread_if_large(size, parse)
    return await in_thread(parse)


def _parse_config(content: bytes, path: str, overrides: dict[str, Any], allow_protocols: Iterable[str]) -> CopickConfig:
    try:
        document = parse_json(content, path=path)
        if not isinstance(document, dict):
            raise FormatError("a JSON object is expected")
        # The file may need other arguments than the project.
        config = parse_config({**document, **overrides})
    except FormatError as error:
        raise FormatError(f"{path} is not a project directory, and not a config either: {error}", path=path) from error
    from_file = {name: value for name, value in document.items() if name not in overrides}
    check_protocols(from_file, allow_protocols, path=path)
    return config


def _given(config: CopickConfig) -> dict[str, Any]:
    """Return the fields of a config without copying: its objects stay the same objects."""
    return {name: getattr(config, name) for name in config.model_fields_set}


def _path_of(url: str) -> str:
    return url.partition("?")[0].rstrip("/")


def _read_local(text: str, max_file_bytes: Any) -> bytes | None:
    """Return the content of a file; None for a directory, and for a missing path that is not named like a config."""
    path = Path(parse_root(text).location)
    if path.is_file():
        return read_config_bytes(path, max_file_bytes)
    if path.suffix == ".json" and not path.is_dir():
        raise NotFoundError(f"There is no config at {path}; check the path.", path=str(path))
    return None


async def _read_remote(url: str, overrides: Mapping[str, Any]) -> bytes:
    folder, _, name = _path_of(url).rpartition("/")
    options = ("fs_args", "endpoint_url", "max_file_bytes")
    chosen = {option: overrides[option] for option in options if option in overrides}
    storage = open_storage(CopickConfigFS(root=folder, read_only=True, **chosen))
    try:
        return await storage.read(name)
    finally:
        await storage.aclose()
