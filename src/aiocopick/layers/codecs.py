"""The format of each kind of file. Small files are parsed on the event loop, large ones in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import is_imported
from aiocopick.concurrency.threads import in_thread

if TYPE_CHECKING:
    from aiocopick.layers.base import Payload

THREAD_BYTES = 32 * 1024
"""JSON of this size takes about half a millisecond to parse, ten times what a thread costs."""

THREAD_POINTS = 200
"""Number of points that make about that many bytes."""


def decode_here(kind: str, data: bytes | None, *, path: str) -> Payload:
    """Decode a file of some kind on the event loop.

    Parameters
    ----------
    kind : str
        ``"picks"``, ``"mesh"``, ``"filaments"`` or ``"meta"``.
    data : bytes, optional
        The file; None only if a missing file has a meaning (``"meta"``).
    path : str
        Path for error messages.

    Raises
    ------
    FormatError
        The file cannot be decoded.
    """
    # Formats are imported when first needed: they load numpy, pydantic and, for meshes, trimesh.
    if kind == "picks":
        from aiocopick.formats.picks import decode_picks

        return decode_picks(data or b"", path=path)
    if kind == "mesh":
        from aiocopick.formats.mesh import decode_mesh

        return decode_mesh(data or b"", path=path)
    if kind == "filaments":
        from aiocopick.formats.filaments import decode_filaments

        return decode_filaments(data or b"", path=path)
    from aiocopick.formats.meta import decode_meta

    return decode_meta(data, path=path)


def encode_here(kind: str, payload: Payload) -> bytes:
    """Encode a file of some kind on the event loop; the inverse of :func:`decode_here`."""
    if kind == "picks":
        from aiocopick.formats.picks import encode_picks

        return encode_picks(payload)
    if kind == "mesh":
        from aiocopick.formats.mesh import encode_mesh

        return encode_mesh(payload)
    if kind == "filaments":
        from aiocopick.formats.filaments import encode_filaments

        return encode_filaments(payload)
    from aiocopick.formats.meta import encode_meta

    return encode_meta(payload)


def is_quick(kind: str, size: int) -> bool:
    """Return True if a file of this size is decoded on the event loop."""
    # trimesh alone takes a third of a second to import.
    return kind != "mesh" and size <= THREAD_BYTES


async def decode(kind: str, data: bytes, *, path: str) -> Payload:
    """Decode like :func:`decode_here`, but large files in a thread, so that the event loop is not blocked."""
    if not is_quick(kind, len(data)) or not (kind == "meta" or is_imported("numpy")):
        return await in_thread(lambda: decode_here(kind, data, path=path))
    return decode_here(kind, data, path=path)


async def encode(kind: str, payload: Payload) -> bytes:
    """Encode like :func:`encode_here`, but large files in a thread, so that the event loop is not blocked."""
    work: Callable[[], bytes] = lambda: encode_here(kind, payload)
    is_large = kind in ("mesh", "filaments") or (kind == "picks" and _points_of(payload) > THREAD_POINTS)
    if is_large or not (kind == "meta" or is_imported("numpy")):
        return await in_thread(work)
    return work()


def _points_of(payload: Any) -> int:
    return len(payload.positions)
