"""Projects from copick's configuration files, for blocking use."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiocopick._version import __version__
from aiocopick.errors import FormatError, NotFoundError
from aiocopick.formats.json_bytes import parse_json
from aiocopick.models.config import CopickConfig, CopickConfigFSSpec, parse_config
from aiocopick.models.file_sizes import read_config_bytes
from aiocopick.models.objects import PickableObject
from aiocopick.models.protocols import check_protocols
from aiocopick.models.redaction import redact_url
from aiocopick.sync.root import CopickRootFS, CopickRootMultilayer

if TYPE_CHECKING:
    from aiocopick.entities.root import AsyncRoot


def facade(twin: AsyncRoot) -> CopickRootFS:
    """The blocking form of an async root: a :class:`CopickRootMultilayer` when it has several layers."""
    return (CopickRootMultilayer if len(twin.layers) > 1 else CopickRootFS)._over(twin)


def from_config(config: CopickConfig) -> CopickRootFS:
    """The project that a configuration describes; no request is sent."""
    from aiocopick.entities.root import AsyncRoot

    return facade(AsyncRoot(config))


def parse_text(
    text: str | bytes, *, path: str = "the configuration", allow_protocols: Iterable[str] = ()
) -> CopickConfig:
    """The configuration in a JSON text.

    Raises
    ------
    FormatError
        It is no JSON, or describes no project.
    """
    content = parse_json(text.encode() if isinstance(text, str) else text, path=path)
    if not isinstance(content, dict):
        raise FormatError(f"{path} is no JSON object, so it describes no project.", path=path)
    check_protocols(content, allow_protocols, path=path)
    return parse_config(content)


def read_file(path: str | os.PathLike[str], allow_protocols: Iterable[str] = ()) -> CopickConfig:
    """The configuration in a JSON file.

    Raises
    ------
    NotFoundError
        There is no such file.
    FormatError
        It is no JSON, or describes no project.
    """
    name = os.fspath(path)
    try:
        content = read_config_bytes(name)
    except FileNotFoundError:
        shown = redact_url(name)
        raise NotFoundError(f"There is no configuration at {shown}; check the path.", path=shown) from None
    return parse_text(content, path=name, allow_protocols=allow_protocols)


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


def from_file(path: str | os.PathLike[str], *, allow_protocols: Iterable[str] = ()) -> CopickRootFS:
    """The project that a configuration file describes, as ``copick.from_file``.

    Parameters
    ----------
    path : str or path
        A JSON file on disk.
    allow_protocols : iterable of str
        As for :func:`from_string`.
    """
    return from_config(read_file(path, allow_protocols))


def new_config(
    config: str | os.PathLike[str],
    overlay_root: str | os.PathLike[str],
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
        Where the project lies: a path, or a URL.
    proj_name, proj_description : str
        Of the project.
    pickable_objects : sequence of PickableObject, optional
        Its objects.
    """
    root = os.fspath(overlay_root)
    content = CopickConfigFSSpec(
        name=proj_name,
        description=proj_description,
        version=__version__,
        pickable_objects=[PickableObject.model_validate(item.model_dump()) for item in pickable_objects or ()],
        overlay_root=root if "://" in root else f"local://{root}",
        overlay_fs_args={} if "://" in root else {"auto_mkdir": True},
    )
    Path(config).parent.mkdir(parents=True, exist_ok=True)
    Path(config).write_text(content.to_json(), encoding="utf-8")
    return from_file(config)
