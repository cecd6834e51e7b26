"""Protocols that a configuration file may name.

A configuration comes with a project, often from another person: ``zip://`` or ``reference://`` in it, with a target
among the arguments, would open any file of this machine, and some options of SSH would run any command. A program may
name any protocol and any option.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiocopick.errors import FormatError

PLAIN = frozenset(
    {
        "file", "local", "memory", "s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "http", "https", "ssh",
        "sftp", "smb",
    }
)  # fmt: skip
"""Protocols that access one location, named by their URL; those of CoPick's documentation and ours."""

# fsspec's names for a filesystem inside another one.
_NESTED = frozenset(
    {
        "cache_storage", "fo", "fs", "ref_storage_args", "remote_options", "remote_protocol", "storage_options",
        "target_fs", "target_options", "target_protocol",
    }
)  # fmt: skip
# Options of asyncssh and botocore that run a program or load a library, name a file of options that does, or hand
# this machine's environment, agent or tickets to the server.
_POWERS = dict.fromkeys(
    (
        "agent_forwarding", "client_host_keysign", "command", "config", "gss_delegate_creds", "last_config",
        "pkcs11_provider", "proxy_command", "send_env", "x11_forwarding",
    ),
    frozenset({"ssh", "sftp"}),
) | {"session_vars": frozenset({"s3", "s3a"})}  # fmt: skip
_PLACE = re.compile(r"(?:^|_)root$|^croissant_.*url$")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*)://")
CHAINED = re.compile(r"^[\w+.\-]+::|::[\w+.\-]+://")
"""Protocols one inside the other (``zip::s3://``)."""

_LAYERS = "layers"


def check_protocols(document: Mapping[str, Any], allowed: Iterable[str] = (), *, path: str) -> None:
    """Refuse a configuration file that names a protocol that files may not name.

    Parameters
    ----------
    document : mapping
        Content of the file.
    allowed : iterable of str
        Further protocols that the caller accepts, targets of chained filesystems included; ``"ssh"`` accepts options
        of SSH that run programs as well.
    path : str
        The file, for messages.

    Raises
    ------
    FormatError
        A root names another protocol, chains protocols, or its arguments name a target inside another filesystem or an
        option that runs a program.
    """
    named = frozenset(name.lower() for name in ([allowed] if isinstance(allowed, str) else allowed))
    for field, what in _strangers(document, _Trust(named)):
        raise FormatError(
            f"{path}: {field} names {what}, which a configuration file may only do when the caller allows it: pass "
            "allow_protocols= (--allow-protocol on the command line) with the protocols that are trusted.",
            path=path,
        )


class _Trust:
    """Protocols that a file may name, and those that the caller accepts by name."""

    def __init__(self, named: frozenset[str]) -> None:
        self.named = named
        self.known = PLAIN | named
        self.nested = not named <= PLAIN


def _strangers(document: Mapping[str, Any], trust: _Trust) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, str) and _PLACE.search(name):
            yield from _of_place(name, value, trust)
        elif name.endswith("fs_args") and isinstance(value, Mapping):
            yield from _of_arguments(name, value, trust)
        elif name == _LAYERS and isinstance(value, list | tuple):
            for index, layer in enumerate(value):
                place = f"{_LAYERS}.{index}"
                if isinstance(layer, str):
                    yield from _of_place(place, layer, trust)
                elif isinstance(layer, Mapping):
                    for field, what in _strangers(layer, trust):
                        yield f"{place}.{field}", what


def _of_place(field: str, text: str, trust: _Trust) -> Iterator[tuple[str, str]]:
    if CHAINED.search(text):
        yield field, "chained protocols"
    elif (scheme := _SCHEME.match(text)) and scheme.group(1).lower() not in trust.known:
        yield field, f"the protocol {scheme.group(1)!r}"


def _of_arguments(field: str, arguments: Mapping[str, Any], trust: _Trust) -> Iterator[tuple[str, str]]:
    for name, value in arguments.items():
        place = f"{field}.{name}"
        if name in _NESTED:
            if not trust.nested:
                yield place, "a target inside another filesystem"
            elif name.endswith("protocol") and isinstance(value, str) and value.lower() not in trust.known:
                yield place, f"the protocol {value!r}"
            elif isinstance(value, str):
                yield from _of_place(place, value, trust)
        if name in _POWERS and not _POWERS[name] & trust.named:
            yield place, "an option that runs programs, or hands over what is on this machine"
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                yield from _of_arguments(place, inner, trust)
