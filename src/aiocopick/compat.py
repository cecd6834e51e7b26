"""Use of tools written for copick with our projects: import ``aiocopick.compat`` before them.

Importing this module changes two things in the process, and nothing else of copick's:

- Our facade classes and file models inherit from copick's as well, so that ``isinstance(run, copick.models.CopickRun)`` holds,
  for objects that exist already too.
- ``copick.from_file`` and ``copick.from_string`` open projects with aiocopick. Configurations that only copick understands
  (``cryoet_data_portal``, ``mlcroissant``) still give copick's own roots.

``python -m aiocopick.compat ...`` is the ``copick`` command line on our roots.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from aiocopick import models, sync
from aiocopick.formats.json_bytes import parse_json
from aiocopick.models.file_sizes import FileSizes, read_config_bytes
from aiocopick.sync.volumes import Volume

_NEEDED = "install one that can be used with: pip install --pre 'aiocopick[copick]'"

try:
    import copick
    import copick.models as theirs
    import copick.ops.open as opening
except Exception as error:
    # Old releases fail in many ways with the other installed packages.
    raise ImportError(
        f"aiocopick.compat puts aiocopick under an installed copick 2, and none can be imported ({error}): {_NEEDED}."
    ) from error

_ENTITIES = (
    "Root",
    "Run",
    "VoxelSpacing",
    "Tomogram",
    "Features",
    "Picks",
    "Mesh",
    "Segmentation",
    "Filaments",
    "Object",
)
_MODELS = (
    "CopickFeaturesMeta",
    "CopickFilament",
    "CopickFilamentCurve",
    "CopickFilamentsFile",
    "CopickLocation",
    "CopickMeshMeta",
    "CopickPicksFile",
    "CopickPoint",
    "CopickRunMeta",
    "CopickSegmentationMeta",
    "CopickTomogramMeta",
    "CopickVoxelSpacingMeta",
    "FilamentSpec",
    "PickableObject",
)

_lacking = [
    *(f"Copick{kind}" for kind in _ENTITIES if not hasattr(theirs, f"Copick{kind}")),
    *(name for name in _MODELS if not hasattr(theirs, name)),
]
if _lacking:
    raise ImportError(
        f"aiocopick.compat puts aiocopick under an installed copick 2, and the one in {theirs.__file__} lacks "
        f"{', '.join(_lacking)}: {_NEEDED}."
    )

_from_file = opening.from_file
_from_string = opening.from_string


def from_string(data: str) -> Any:
    """Open like :func:`aiocopick.from_string`; configurations that only copick supports are opened by copick."""
    return _from_string(data) if _is_copicks_own(data.encode()) else sync.from_string(data)


def from_file(path: str | os.PathLike[str], *, max_file_bytes: FileSizes | None = None) -> Any:
    """Open like :func:`aiocopick.from_file`; configurations that only copick supports are opened by copick."""
    name = os.fspath(path)
    if os.path.isfile(name) and _is_copicks_own(read_config_bytes(name, max_file_bytes)):
        return _from_file(name)
    return sync.from_file(name, max_file_bytes=max_file_bytes)


def _is_copicks_own(data: bytes) -> bool:
    content = parse_json(data, path="the configuration")
    return isinstance(content, dict) and content.get("config_type") in ("cryoet_data_portal", "mlcroissant")


def _inherit(ours: type, base: type) -> None:
    """Make a class of ours inherit from one of copick's, behind everything it has itself."""
    if not issubclass(ours, base):
        ours.__bases__ = (*ours.__bases__, base)


def enable() -> None:
    """Do what importing this module does; once is enough."""
    for kind in _ENTITIES:
        _inherit(getattr(sync, f"Copick{kind}FS"), getattr(theirs, f"Copick{kind}"))
    for name in _MODELS:
        _inherit(getattr(models, name), getattr(theirs, name))
    # copick.ops.open as well: copick's own modules import the functions from there.
    for module in (copick, opening):
        module.from_file = from_file
        module.from_string = from_string
    Volume.ignores_shards = True


def disable() -> None:
    """Give ``copick.from_file`` and ``copick.from_string`` back; our classes go on inheriting."""
    for module in (copick, opening):
        module.from_file = _from_file
        module.from_string = _from_string
    Volume.ignores_shards = False


enable()

if __name__ == "__main__":
    from copick.cli.cli import main

    sys.exit(main())
