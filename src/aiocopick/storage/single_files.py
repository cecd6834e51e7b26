"""Files on disk that belong to no project: configurations, exports, pages, pictures. Blocking."""

from __future__ import annotations

import contextlib
import os

from aiocopick.errors import AlreadyExistsError
from aiocopick.storage.backends import durability
from aiocopick.storage.backends.base import Condition, ConditionError
from aiocopick.storage.backends.disk import Disk, put
from aiocopick.storage.base import Buffer


def replace_file(path: str | os.PathLike[str], data: Buffer) -> None:
    """Replace one file that belongs to no project; what was there is there until the new content is on the disk.

    A link stays, and the file that it leads to is replaced. What is no file (a pipe, ``/dev/stdout``) is written to.
    """
    place = os.path.realpath(path)
    folder, name = os.path.split(place)
    if not os.path.isdir(folder) or (os.path.exists(place) and not os.path.isfile(place)):
        with open(place, "wb") as file:
            file.write(data)
        return
    Disk(folder, True).write(name, data, None)


def give_name(source: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Move a complete file to the name it is to have, durably; a link of that name is replaced, not what it leads to.

    Parameters
    ----------
    source : str or path
        The file, in the same directory or one inside of it.
    path : str or path
        Its name.
    overwrite : bool
        Replace a file of that name.

    Raises
    ------
    AlreadyExistsError
        There is a file of that name, or something that is no file.
    """
    place, source = os.path.abspath(path), os.path.abspath(source)
    if os.path.lexists(place) and not os.path.islink(place) and not os.path.isfile(place):
        raise AlreadyExistsError(f"{path} is not a file; choose another name.", path=str(path))
    durability.sync_file(source)
    try:
        put(source, place, None if overwrite else Condition(if_match=None, write_id=""))
    except ConditionError:
        raise AlreadyExistsError(f"{path} exists already; choose another name.", path=str(path)) from None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(source)
    durability.sync_names(os.path.dirname(place))


__all__ = ["give_name", "replace_file"]
