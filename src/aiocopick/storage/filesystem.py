"""A plain synchronous fsspec filesystem for those who want one: ``CopickConfigFS.fs()``.

The library itself never uses it. It is tuned as the storage is, keeps no listings, and is kept as long as the
process: one that is dropped inside somebody's event loop cannot close its connections there.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

from aiocopick.errors import ReadOnlyError
from aiocopick.storage.backends.generic import forget_listings
from aiocopick.storage.keys import parse_root
from aiocopick.storage.settings import Settings, merge

_lock = threading.Lock()
_kept: dict[object, Any] = {}

_MUTATORS = frozenset(
    {
        "bulk_delete", "chmod", "clear_multipart_uploads", "copy", "cp", "cp_file", "delete", "expand_path_delete",
        "link", "makedir", "makedirs", "merge", "mkdir", "mkdirs", "move", "mv", "mv_file", "pipe", "pipe_file",
        "put", "put_file", "put_tags", "rename", "rm", "rm_file", "rm_files", "rmdir", "setxattr", "setxattrs",
        "simple_upload", "symlink", "touch", "upload", "write_bytes", "write_text",
    }
)  # fmt: skip


def make_filesystem(config: Any) -> Any:
    """The filesystem of a config, the same for equal configs; read-only when the config is.

    Parameters
    ----------
    config : CopickConfigFS
        ``root``, ``fs_args`` and ``read_only`` are taken from it.

    Returns
    -------
    fsspec.AbstractFileSystem
        Synchronous. Paths are given with or without protocol, as fsspec has it.
    """
    settings = Settings.of(config)
    # A forked child must not use its parent's connections.
    key = (os.getpid(), settings.connection_key, settings.read_only)
    with _lock:
        if key not in _kept:
            _kept[key] = _make(settings)
        return _kept[key]


def _make(settings: Settings) -> Any:
    import fsspec

    protocol = parse_root(settings.root).protocol
    kind = fsspec.get_filesystem_class(protocol)
    arguments = merge(_tuning(protocol, settings), settings.fs_args)
    if settings.read_only:
        kind = _read_only(kind)
    filesystem = kind(**{**arguments, "skip_instance_cache": True})
    forget_listings(filesystem)
    return filesystem


def _tuning(protocol: str, settings: Settings) -> dict[str, Any]:
    if protocol == "s3":
        from aiocopick.storage.backends.s3 import arguments_of

        tuned = arguments_of(settings)
        del tuned["asynchronous"]
        # Here s3fs makes the requests, and its retries are all there are.
        del tuned["config_kwargs"]["retries"]
        return tuned
    if protocol == "file":
        return {"auto_mkdir": True}
    if protocol == "memory":
        return {}
    import fsspec

    kind = fsspec.get_filesystem_class(protocol)
    return dict(kind._get_kwargs_from_urls(settings.root))


@functools.cache
def _read_only(kind: type[Any]) -> type[Any]:
    """A subclass that refuses what would change something, by its synchronous and asynchronous names alike."""

    def refusing(name: str) -> Any:
        def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
            raise ReadOnlyError(f"{name}: the filesystem is read-only; nothing was changed")

        async def refuse_later(self: Any, *args: Any, **kwargs: Any) -> Any:
            raise ReadOnlyError(f"{name}: the filesystem is read-only; nothing was changed")

        return refuse_later if name.startswith("_") and kind.async_impl else refuse

    def guarded(opening: Any) -> Any:
        @functools.wraps(opening)
        def open_(self: Any, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
            if set(mode) & set("wax+"):
                raise ReadOnlyError(f"{path}: the filesystem is read-only; it cannot be opened with mode {mode!r}")
            return opening(self, path, mode, *args, **kwargs)

        return open_

    members: dict[str, Any] = {}
    for name in _MUTATORS:
        for spelled in (name, f"_{name}"):
            if hasattr(kind, spelled):
                members[spelled] = refusing(spelled)
    for name in ("open", "_open", "open_async"):
        if hasattr(kind, name):
            members[name] = guarded(getattr(kind, name))
    return type(f"ReadOnly{kind.__name__}", (kind,), members)
