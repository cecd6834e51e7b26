"""A plain synchronous fsspec filesystem for callers: ``CopickConfigFS.fs()``.

The library itself never uses it. It has the settings of the storage, does not cache listings, and lives as long as the
process: a filesystem that is dropped inside another event loop cannot close its connections.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import MissingPackageError, ReadOnlyError
from aiocopick.extras import advice
from aiocopick.storage.backends.generic import forget_listings
from aiocopick.storage.keys import parse_root
from aiocopick.storage.settings import Settings, configured, merge

_lock = Lock()
_kept: dict[object, Any] = {}

# Everything else that a filesystem offers is refused, so that a method of a later release or of a plugin cannot write.
_READING = frozenset(
    {
        "cat", "cat_file", "cat_ranges", "checksum", "clear_instance_cache", "close", "close_session", "connect",
        "content_summary", "created", "current", "disk_usage", "do_connect", "download", "du", "encode_url",
        "end_transaction", "exists", "expand_path", "fetch_range", "find", "from_dict", "from_json", "get", "get_file",
        "get_mapper", "get_s3", "get_tags", "getxattr", "glob", "head", "home_directory", "info", "invalidate_cache",
        "invalidate_region_cache", "is_bucket_versioned", "isdir", "isfile", "islink", "lexists",
        "list_multipart_uploads", "listdir", "ls", "metadata", "modified", "object_version_info", "read_block",
        "read_bytes", "read_text", "repos", "set_session", "size", "sizes", "split_path", "start_transaction", "stat",
        "sync_process_limits_to_offset_and_length", "tail", "to_dict", "to_json", "tree", "ukey", "unstrip_protocol",
        "walk",
    }
)  # fmt: skip
_OPENING = frozenset({"open", "open_async", "_open"})
# One raw request, of any kind: reading methods stand on it. Its first argument names the request.
_RAW = frozenset({"_call", "_call_s3", "_request"})
_SIGNING = frozenset({"sign", "url", "_url"})
_READING_REQUESTS = ("get", "head", "list", "open")


def make_filesystem(config: Any) -> Any:
    """Return the filesystem of a config, the same for equal configs; read-only if the config is.

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
    protocol = parse_root(settings.root).protocol
    settings = dataclasses.replace(settings, fs_args=configured(protocol, settings.fs_args))
    # A forked child must not use its parent's connections.
    key = (os.getpid(), settings.connection_key, settings.read_only, settings.timeout)
    with _lock:
        if key not in _kept:
            _kept[key] = _make(settings)
        return _kept[key]


def _make(settings: Settings) -> Any:
    import fsspec

    protocol = parse_root(settings.root).protocol
    try:
        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise MissingPackageError(f"{settings.root.partition('://')[0]}:// needs {advice(error)}.") from error
    arguments = merge(_tuning(protocol, settings), settings.fs_args)
    if settings.read_only:
        kind = _read_only(kind)
    filesystem = kind(**{**arguments, "skip_instance_cache": True})
    forget_listings(filesystem)
    return filesystem


def _tuning(protocol: str, settings: Settings) -> dict[str, Any]:
    if protocol == "s3":
        from aiocopick.storage.backends.s3 import arguments_of
        from aiocopick.storage.backends.s3_session import OneRequestSession

        tuned = arguments_of(settings)
        del tuned["asynchronous"]
        # Here s3fs makes the requests: its retries and timeouts are all there are.
        del tuned["config_kwargs"]["retries"]
        given = settings.fs_args.get("config_kwargs") or {}
        # And no redirect may take credentials to another host.
        tuned["config_kwargs"] |= {
            "read_timeout": settings.timeout,
            "http_session_cls": OneRequestSession,
            **given,
        }
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
    """Return a subclass that refuses every method except those known to read, by its blocking and async names alike."""
    members: dict[str, Any] = {}
    for name in dir(kind):
        method = getattr(kind, name, None)
        public = name.removeprefix("_")
        if name.startswith("__") or not callable(method) or isinstance(method, type) or public in _READING:
            continue
        if name in _OPENING:
            members[name] = _guarded(method, _for_reading)
        elif name in _RAW:
            members[name] = _guarded(method, _reading_request)
        elif name in _SIGNING:
            members[name] = _guarded(method, _reading_signature)
        elif name == public or hasattr(kind, public):
            members[name] = _refusing(name, inspect.iscoroutinefunction(method))
        # What is left has no public name: helpers of the methods above.
    return type(f"ReadOnly{kind.__name__}", (kind,), members)


def _refused(what: str) -> ReadOnlyError:
    return ReadOnlyError(f"{what}: the filesystem is read-only; nothing was changed")


def _refusing(name: str, is_async: bool) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise _refused(name)

    async def refuse_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise _refused(name)

    return refuse_async if is_async else refuse


def _guarded(method: Any, check: Callable[..., None]) -> Any:
    """Return the method, called after `check` accepted its arguments; the coroutine of an async method is passed on."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        return method(self, *args, **kwargs)

    return call


def _for_reading(path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> None:
    if set(mode) & set("wax+"):
        raise _refused(f"{path}, opened with mode {mode!r}")


def _reading_request(request: str, *args: Any, **kwargs: Any) -> None:
    if not str(request).lower().startswith(_READING_REQUESTS):
        raise _refused(str(request))


def _reading_signature(path: str, expires: Any = None, *args: Any, **kwargs: Any) -> None:
    # A signed URL may be one that writes.
    requests = [*args, kwargs.get("client_method") or "get", kwargs.get("method") or "get"]
    for request in requests:
        _reading_request(request)
