"""The root of a project, blocking, and how one is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from aiocopick._version import __version__
from aiocopick.concurrency.forks import Lock
from aiocopick.entities.metadata import read_metadata
from aiocopick.entities.root import AsyncRoot
from aiocopick.errors import ClosedError, FormatError, NotFoundError
from aiocopick.formats.json_bytes import parse_json
from aiocopick.models.config import CopickConfig, CopickConfigFSSpec, parse_config
from aiocopick.models.entities import CopickRoot
from aiocopick.models.file_sizes import FileSizes, read_config_bytes
from aiocopick.models.metadata import CopickRunMeta
from aiocopick.models.objects import PickableObject
from aiocopick.models.place import Place, arguments_of, text_of
from aiocopick.models.protocols import check_protocols
from aiocopick.models.redaction import redact_url
from aiocopick.progress import Progress
from aiocopick.sync.ahead import ReadAhead, assign_cohorts
from aiocopick.sync.base import Blocking
from aiocopick.sync.places import Layered, filesystem_of, static_of, stripped
from aiocopick.sync.run import CopickRunFS
from aiocopick.sync.verbs import (
    Attribute,
    Settable,
    attribute,
    calls,
    deletes,
    gives,
    like,
    listed,
    makes,
    passes,
    queries,
)
from aiocopick.sync.volumes import CopickObjectFS

if TYPE_CHECKING:
    from types import TracebackType

    from fsspec import AbstractFileSystem

    from aiocopick.entities.base import AsyncEntity
    from aiocopick.errors import CopickError
    from aiocopick.layers import Layer
    from aiocopick.layers.stack import OnLayerError
    from aiocopick.storage.stats import StorageStats


class CopickRootFS(Layered, Blocking[AsyncRoot], CopickRoot):
    """A project. Making one sends no request.

    It is a context manager, but nothing has to be closed. Any number of threads may use it at once.

    Parameters
    ----------
    config : CopickConfig
        Location of the project: a CopickConfigFS, CoPick's overlay and static form, or a CopickConfigMultilayer.
    """

    lists: ClassVar[tuple[str, ...]] = ("runs", "objects")

    _runs: list[CopickRunFS] | None
    _objects: list[CopickObjectFS] | None

    def __init__(self, config: CopickConfig) -> None:
        self._begin(AsyncRoot(config))

    def _begin(self, twin: AsyncRoot) -> None:
        self._twin = twin
        self._runs = None
        self._objects = None
        self._closed = False
        self._guard = Lock(threading.RLock)
        self._reader = ReadAhead()

    @classmethod
    def _over(cls, twin: AsyncRoot) -> Self:
        """The facade of an async root."""
        root = cls.__new__(cls)
        root._begin(twin)
        return root

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_guard": Lock(threading.RLock), "_reader": ReadAhead()}

    @classmethod
    def stack(
        cls,
        members: Iterable[Any],
        default_write_layer: str | None = None,
        on_layer_error: OnLayerError = "raise",
    ) -> Self:
        """Several projects seen as one. Sends no request.

        See :meth:`aiocopick.AsyncRoot.stack`.
        """
        return cls._over(AsyncRoot.stack(members, default_write_layer, on_layer_error))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        allow_protocols: Iterable[str] = (),
        max_file_bytes: FileSizes | None = None,
    ) -> Self:
        """Open the project that a config JSON describes.

        See :func:`aiocopick.from_file`.
        """
        return cls(read_file(path, allow_protocols, max_file_bytes))

    def save_config(self, config_path: str | os.PathLike[str]) -> None:
        """Write the configuration to a JSON file that opens this project again, secrets included.

        An existing file is replaced when the new one is complete and on the disk, and keeps its permissions.
        """
        from aiocopick.storage.single_files import replace_file

        replace_file(config_path, self.config.to_json().encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:

        async def __aenter__(self) -> NoReturn:
            raise TypeError(
                "This project is open for blocking code: write `with`, or `async with aiocopick.open(...)`."
            )

        async def __aexit__(self, *error: object) -> None:
            """Do nothing: `__aenter__` has raised."""

    def close(self) -> None:
        """Close the connections of the facade's loop; the root cannot be used afterwards."""
        if not self._closed:
            self._call(self._reader.end)
            self._call(self.aio.aclose)
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"The project at {self.url} was closed; open it again.", path=self.url)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def _root(self) -> CopickRootFS:
        return self

    @property
    def root(self) -> Self:
        """Itself, so that every entity and the root have one."""
        return self

    layers: Attribute[tuple[Layer, ...]] = attribute(AsyncRoot)
    layer: Attribute[Layer] = attribute(AsyncRoot)
    skipped_layers: Attribute[dict[str, CopickError]] = attribute(AsyncRoot)
    url: Attribute[str] = attribute(AsyncRoot)
    path: Attribute[str] = attribute(AsyncRoot)
    read_only: Attribute[bool] = attribute(AsyncRoot)
    stats: Attribute[StorageStats] = attribute(AsyncRoot)
    user_id: Settable[str | None] = attribute(AsyncRoot)
    session_id: Settable[str | None] = attribute(AsyncRoot)
    _load_metadata = staticmethod(read_metadata)

    @passes(AsyncRoot.path_of)
    def path_of(self) -> Any: ...
    @calls(AsyncRoot.ensure)
    def ensure(self) -> Any: ...
    @calls(AsyncRoot.load_meta)
    def load_meta(self) -> Any: ...
    @calls(AsyncRoot.store_meta)
    def store_meta(self) -> Any: ...

    @property
    def config(self) -> CopickConfig:
        """Its configuration, live."""
        return self.aio.config

    @property
    def fs(self) -> AbstractFileSystem:
        """One fsspec filesystem of the layer that new entities go to, usable synchronously."""
        return filesystem_of(self.aio.layer)

    @property
    def root_overlay(self) -> str:
        """Path of the layer that new entities go to, as :attr:`fs_overlay` has it."""
        return stripped(self.layer, self.layer.url)

    @property
    def root_static(self) -> str:
        """Path of the static root, as :attr:`fs_static` has it; that of the overlay where there is none."""
        return stripped(static_of(self.aio), static_of(self.aio).url)

    def _shown(self) -> dict[str, Any]:
        return {"url": self.url} | super()._shown()

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _run_factory(self) -> tuple[type[CopickRunFS], type[CopickRunMeta]]:
        return CopickRunFS, CopickRunMeta

    @listed(AsyncRoot.runs, CopickRunFS)
    def runs(self) -> Any: ...
    @queries(AsyncRoot.query, CopickRunFS)
    def query(self) -> Any: ...
    @gives(AsyncRoot.get_run, CopickRunFS)
    def get_run(self) -> Any: ...
    @makes(AsyncRoot.new_run, CopickRunFS)
    def new_run(self) -> Any: ...
    @deletes(AsyncRoot.delete_run, CopickRunFS)
    def delete_run(self) -> Any: ...

    def _keep(self, noun: str, twins: list[Any]) -> list[Any]:
        children = super()._keep(noun, twins)
        if noun == "runs" and self.aio._runs.complete:
            # Those that a cohort has already were listed with it, or with others.
            assign_cohorts([run for run in children if run._cohort is None])
        return children

    def refresh(self) -> None:
        """Ask for the runs again, at once; the objects are asked for when they are looked at."""
        self.aio.refresh()
        self._objects = None
        self.query()

    # --- objects ------------------------------------------------------------------------------------------------------

    def _object_factory(self) -> tuple[type[CopickObjectFS], type[PickableObject]]:
        return CopickObjectFS, PickableObject

    @listed(AsyncRoot.pickable_objects, CopickObjectFS)
    def pickable_objects(self) -> Any: ...
    @queries(AsyncRoot.query_objects, CopickObjectFS)
    def query_objects(self) -> Any: ...
    @gives(AsyncRoot.get_object, CopickObjectFS)
    def get_object(self) -> Any: ...
    @makes(AsyncRoot.new_object, CopickObjectFS)
    def new_object(self) -> Any: ...
    @calls(AsyncRoot.discover_objects)
    def discover_objects(self) -> Any: ...

    def _query_objects(self) -> None:
        self.query_objects()

    # --- everything ---------------------------------------------------------------------------------------------------

    def crawl(
        self,
        runs: str | Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        load: Iterable[str] = (),
        *,
        progress: Progress = None,
    ) -> Iterator[CopickRunFS]:
        """Go through the runs in the order of their keys, each with its lists filled.

        See :meth:`aiocopick.AsyncRoot.crawl`.
        """
        for run in self._iterate(self.aio.crawl(runs, kinds, load, progress=progress)):
            yield self._wrap(run)

    @calls(AsyncRoot.prefetch)
    def prefetch(self) -> Any: ...

    def resolve(self, uri: str, kind: str | None = None) -> list[Any]:
        """The entities that a CoPick URI names, in all runs.

        See :meth:`aiocopick.AsyncRoot.resolve`.
        """
        return [self._facade_of(twin) for twin in self._call(self.aio.resolve, uri, kind)]

    def _facade_of(self, twin: AsyncEntity) -> Any:
        parent = twin._parent
        return (self if parent is self.aio else self._facade_of(parent))._wrap(twin)

    def options(self, **changes: Any) -> Self:
        """A view of the same project with other limits: ``root.options(timeout=5, max_concurrency=8)``.

        See :meth:`aiocopick.AsyncRoot.options`.
        """
        return self._over(self.aio.options(**changes))

    @like(AsyncRoot.reconnect)
    def reconnect(self) -> Any:
        self._call(self._reader.end)
        self._call(self.aio.reconnect)
        self._invalidate_caches()

    def _invalidate_all_caches(self) -> None:
        self._invalidate_caches()


class CopickRootMultilayer(CopickRootFS):
    """A project of several layers, seen as one; otherwise as :class:`CopickRootFS`."""


# --- opening ----------------------------------------------------------------------------------------------------------


def facade(twin: AsyncRoot) -> CopickRootFS:
    """The blocking form of an async root: a :class:`CopickRootMultilayer` when it has several layers."""
    return (CopickRootMultilayer if len(twin.layers) > 1 else CopickRootFS)._over(twin)


def from_config(config: CopickConfig) -> CopickRootFS:
    """The project that a configuration describes; no request is sent."""
    return facade(AsyncRoot(config))


def from_string(data: str, *, allow_protocols: Iterable[str] = ()) -> CopickRootFS:
    """The project that a JSON text describes, as ``copick.from_string``.

    Parameters
    ----------
    data : str
        Content of a configuration file: copick's own form, or one of ours.
    allow_protocols : iterable of str
        Protocols that a configuration file may name besides the usual ones (``file``, ``memory``, S3, Google Cloud,
        Azure, HTTP, SSH and SMB), chained targets included. What is passed as a URL, dict or object is not restricted.

    Returns
    -------
    CopickRootFS or CopickRootMultilayer
        No request was sent for it.
    """
    return from_config(parse_text(data, allow_protocols=allow_protocols))


def from_file(
    path: str | os.PathLike[str], *, allow_protocols: Iterable[str] = (), max_file_bytes: FileSizes | None = None
) -> CopickRootFS:
    """The project that a configuration file describes, as ``copick.from_file``.

    Parameters
    ----------
    path : str or path
        A JSON file on disk.
    allow_protocols : iterable of str
        As for :func:`from_string`.
    max_file_bytes : int or dict of str to int, optional
        Largest sizes of files, as for :func:`aiocopick.open`; ``{"configs": ...}`` is that of this file.
    """
    return from_config(read_file(path, allow_protocols, max_file_bytes))


def new_config(
    config: str | os.PathLike[str],
    overlay_root: Place,
    proj_name: str = "copick project",
    proj_description: str = "",
    pickable_objects: Sequence[PickableObject] | None = None,
) -> CopickRootFS:
    """Write a configuration file in copick's form, and open the project, as ``copick.new_config``.

    Parameters
    ----------
    config : str or path
        The file to write; its folder is made.
    overlay_root : str or path
        Location of the project: a path, or a URL.
    proj_name, proj_description : str
        Of the project.
    pickable_objects : sequence of PickableObject, optional
        Its objects.
    """
    root = text_of(overlay_root)
    content = CopickConfigFSSpec(
        name=proj_name,
        description=proj_description,
        version=__version__,
        pickable_objects=[PickableObject.model_validate(item.model_dump()) for item in pickable_objects or ()],
        overlay_root=root if "://" in root else f"local://{root}",
        overlay_fs_args=arguments_of(overlay_root) if "://" in root else {"auto_mkdir": True},
    )
    from aiocopick.storage.single_files import replace_file

    Path(config).parent.mkdir(parents=True, exist_ok=True)
    replace_file(config, content.to_json().encode())
    return from_file(config)


# --- configurations as blocking code gets them ------------------------------------------------------------------------


_TEXT = "the configuration"


def parse_text(
    text: str | bytes, *, path: str = _TEXT, allow_protocols: Iterable[str] = (), **options: Any
) -> CopickConfig:
    """The configuration in a JSON text, with the given fields replaced.

    Raises
    ------
    FormatError
        It is not JSON, or does not describe a project.
    """
    content = parse_json(text.encode() if isinstance(text, str) else text, path=path)
    if not isinstance(content, dict):
        raise FormatError(f"{path} is not a JSON object, so it does not describe a project.", path=path)
    check_protocols(content, allow_protocols, path=path)
    try:
        return parse_config({**content, **options})
    except FormatError as error:
        if path == _TEXT:
            raise
        raise FormatError(f"{path}: {error}", path=path) from error


def read_file(
    path: Place, allow_protocols: Iterable[str] = (), max_file_bytes: FileSizes | None = None
) -> CopickConfig:
    """The configuration in a JSON file; a limit that is given bounds the file, and replaces the one in it.

    Raises
    ------
    NotFoundError
        The file does not exist.
    FormatError
        It is not JSON, or does not describe a project.
    """
    name = text_of(path)
    try:
        content = read_config_bytes(name, max_file_bytes)
    except FileNotFoundError:
        shown = redact_url(name)
        remote = " A file on disk is expected here; open_sync() takes URLs, too." if "://" in name else ""
        raise NotFoundError(f"There is no configuration at {shown}; check the path.{remote}", path=shown) from None
    options = {} if max_file_bytes is None else {"max_file_bytes": max_file_bytes}
    return parse_text(content, path=name, allow_protocols=allow_protocols, **options)
