"""Locations of entities: keys from refs, and refs from keys.

Keys are relative to the root of a project, ``/``-separated, without a ``/`` at either end. This is the only module that
knows the folder and file names of a CoPick project; `listing` builds on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from aiocopick.errors import InvalidNameError
from aiocopick.layout.names import MULTILABEL_SUFFIX, check_segment
from aiocopick.layout.refs import (
    FeaturesRef,
    FilamentsRef,
    MeshRef,
    ObjectRef,
    PicksRef,
    Ref,
    RunRef,
    SegmentationRef,
    TomogramRef,
    VoxelSpacingRef,
)
from aiocopick.models.file_sizes import FileKind

RUNS = "ExperimentRuns"
OBJECTS = "Objects"
META = ".meta"
LEASE = ".lease"
VOXEL_SPACING = "VoxelSpacing"
ZARR = ".zarr"
FEATURES = "_features"

ANNOTATION_FOLDERS: dict[str, tuple[type[PicksRef] | type[MeshRef] | type[FilamentsRef], str]] = {
    "Picks": (PicksRef, ".json"),
    "Meshes": (MeshRef, ".glb"),
    "Filaments": (FilamentsRef, ".json"),
}
"""Folders of a run that hold one file per entity: the type of ref, and the end of the file name."""

SEGMENTATION_FOLDERS: dict[str, str] = {
    "Segmentations": "binary",
    "InstanceSegmentations": "instance",
    "PanopticSegmentations": "panoptic",
}
"""Folders of a run that hold segmentations, and their type (binary and multilabel segmentations share a folder)."""

_ZARR_DOCUMENTS = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})
_KIND_OF_FOLDER: dict[str, FileKind] = {"Picks": "picks", "Meshes": "meshes", "Filaments": "filaments"}

_FOLDER_OF_KIND = {reference.kind: folder for folder, (reference, _) in ANNOTATION_FOLDERS.items()}
_SUFFIX_OF_KIND = {reference.kind: suffix for reference, suffix in ANNOTATION_FOLDERS.values()}
_FOLDER_OF_TYPE = {"multilabel": "Segmentations"} | {type_: folder for folder, type_ in SEGMENTATION_FOLDERS.items()}

# float() accepts more than CoPick writes: "1_0", "nan", "1e3", digits of other scripts.
_SIZE = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def file_kind(key: str) -> FileKind:
    """Return the kind of a file, for the limits of its size; chunks are of the kind of all files that are not CoPick's."""
    folder, _, name = key.rpartition("/")
    if name == META or name in _ZARR_DOCUMENTS or name.endswith(LEASE):
        return "metadata"
    if name.endswith((".json", ".glb")):
        return _KIND_OF_FOLDER.get(folder.rpartition("/")[2], "chunks") if folder else "configs"
    return "tables" if name.endswith(".parquet") else "chunks"


def run_key(name: str) -> str:
    """Return the key of a run's directory."""
    check_segment(name, f"The run name {name!r}")
    _check_visible(name)
    return f"{RUNS}/{name}"


def key_of(ref: Ref) -> str:
    """Return the key under which an entity is written.

    Parameters
    ----------
    ref : Ref
        Any ref. A listed entity may have another key (``VoxelSpacing5/``): use the key from the listing.

    Raises
    ------
    InvalidNameError
        A name in the ref cannot be part of a path, or the path would be read as another entity.
    """
    return _KEY_MAKERS[type(ref)](ref)


def directory_of(ref: RunRef | VoxelSpacingRef, kind: str, *, segmentation_type: str = "binary") -> str:
    """Return the key of the directory that holds the entities of a kind below a run or voxel spacing.

    Parameters
    ----------
    ref : RunRef or VoxelSpacingRef
        The parent.
    kind : str
        Kind of the children; ``"tomogram"`` and ``"features"`` are below a voxel spacing, the others below a run.
    segmentation_type : str
        Type of the segmentations.
    """
    if kind in ("voxel_spacing", "tomogram", "features"):
        return key_of(ref)
    folder = _FOLDER_OF_TYPE[segmentation_type] if kind == "segmentation" else _FOLDER_OF_KIND[kind]
    return f"{run_key(ref.run)}/{folder}"


def segmentation_folder(segmentation_type: str) -> str:
    """Name of the folder of a run that holds segmentations of a type."""
    return _FOLDER_OF_TYPE[segmentation_type]


def meta_key(key: str) -> str:
    """Key of the metadata file of a run or voxel spacing at `key`."""
    return f"{key}/{META}"


def format_size(voxel_size: float) -> str:
    """A voxel size in angstrom as it appears in paths.

    Raises
    ------
    InvalidNameError
        It is not a positive number when rounded to three decimals.
    """
    text = f"{voxel_size:.3f}"
    if not 0 < voxel_size < float("inf") or text == "0.000":
        raise InvalidNameError(
            f"The voxel size {voxel_size!r} cannot be stored; it must be positive, in angstrom, and at least 0.001.",
            path=text,
        )
    return text


@lru_cache(maxsize=4096)
def parse_size(text: str) -> float | None:
    """Return the voxel size in angstrom in a path, at three decimals; None if the text is not a positive number."""
    if not _SIZE.fullmatch(text):
        return None
    size = round(float(text), 3)
    return size if 0 < size < float("inf") else None


def parse_key(key: str) -> Ref | None:
    """Return the ref of the entity at a key; None if no entity can have that key.

    The tomogram type of a feature map ends at the first ``_``, as in all names that CoPick writes; where other types
    exist, :func:`~aiocopick.layout.listing.parse_run` decides by them.
    """
    parts = key.split("/")
    if parts[0] == OBJECTS and len(parts) == 2:
        return parse_object(parts[1])
    if parts[0] != RUNS or not 2 <= len(parts) <= 4 or not parts[1] or parts[1].startswith("."):
        return None
    run = parts[1]
    if parts[1] in (".", ".."):
        return None
    if len(parts) == 2:
        return RunRef(run=run)
    if len(parts) == 3:
        size = parse_voxel_spacing(parts[2])
        return None if size is None else VoxelSpacingRef(run=run, voxel_size=size)
    return _parse_child(run, parts[2], parts[3])


def parse_object(name: str) -> ObjectRef | None:
    """The object whose map is called `name`."""
    if not name.endswith(ZARR) or name.startswith(".") or len(name) == len(ZARR):
        return None
    return ObjectRef(name=name[: -len(ZARR)])


def parse_voxel_spacing(name: str) -> float | None:
    """Voxel size in angstrom of the voxel spacing whose directory is called `name`."""
    return parse_size(name[len(VOXEL_SPACING) :]) if name.startswith(VOXEL_SPACING) else None


def parse_annotation(run: str, folder: str, name: str) -> PicksRef | MeshRef | FilamentsRef | None:
    """The picks, mesh or filaments whose file in `folder` is called `name`."""
    reference, suffix = ANNOTATION_FOLDERS[folder]
    if not name.endswith(suffix) or name.startswith("."):
        return None
    user, _, rest = name[: -len(suffix)].partition("_")
    session, _, object_name = rest.partition("_")
    if not (user and session and object_name):
        return None
    return reference(run=run, user_id=user, session_id=session, object_name=object_name)


def parse_segmentation(run: str, folder: str, name: str) -> SegmentationRef | None:
    """The segmentation whose store in `folder` is called `name`."""
    if not name.endswith(ZARR):
        return None
    parts = name[: -len(ZARR)].split("_", 3)
    size = parse_size(parts[0])
    if size is None or len(parts) < 4:
        return None
    _, user, session, label = parts
    kind = SEGMENTATION_FOLDERS[folder]
    # Only the folder that several types share marks one of them in the name.
    is_multilabel = kind == "binary" and label.endswith(MULTILABEL_SUFFIX)
    if is_multilabel:
        label = label[: -len(MULTILABEL_SUFFIX)]
    if not (user and session and label):
        return None
    return SegmentationRef(
        run=run,
        voxel_size=size,
        user_id=user,
        session_id=session,
        name=label,
        is_multilabel=is_multilabel,
        is_instance=kind == "instance",
        is_panoptic=kind == "panoptic",
    )


def _parse_child(run: str, folder: str, name: str) -> Ref | None:
    if folder in ANNOTATION_FOLDERS:
        return parse_annotation(run, folder, name)
    if folder in SEGMENTATION_FOLDERS:
        return parse_segmentation(run, folder, name)
    size = parse_voxel_spacing(folder)
    if size is None or not name.endswith(ZARR) or name.startswith(".") or len(name) == len(ZARR):
        return None
    stem = name[: -len(ZARR)]
    if not stem.endswith(FEATURES):
        return TomogramRef(run=run, voxel_size=size, tomo_type=stem)
    tomo_type, _, feature_type = stem[: -len(FEATURES)].partition("_")
    if not (tomo_type and feature_type):
        return None
    return FeaturesRef(run=run, voxel_size=size, tomo_type=tomo_type, feature_type=feature_type)


def _check_visible(name: str) -> None:
    if name.startswith("."):
        raise InvalidNameError(f"The name {name!r} begins with '.', so listings would hide it.", path=name)


def _segment(stem: str, suffix: str, *ids: str) -> str:
    """A file or store name; `ids` are the parts of it that must not contain the separator."""
    name = stem + suffix
    check_segment(name, f"The name {name!r}")
    _check_visible(name)
    for part in ids:
        if not part or "_" in part:
            raise InvalidNameError(
                f"The name {part!r} in {name!r} is empty or contains '_', which separates the parts of a file name.",
                path=name,
            )
    return name


def _voxel_spacing_key(ref: VoxelSpacingRef | TomogramRef | FeaturesRef) -> str:
    return f"{run_key(ref.run)}/{VOXEL_SPACING}{format_size(ref.voxel_size)}"


def _tomogram_key(ref: TomogramRef) -> str:
    if not ref.tomo_type or ref.tomo_type.endswith(FEATURES):
        raise InvalidNameError(
            f"The tomogram type {ref.tomo_type!r} is empty or ends in {FEATURES!r}, which marks feature maps.",
            path=ref.tomo_type,
        )
    return f"{_voxel_spacing_key(ref)}/{_segment(ref.tomo_type, ZARR)}"


def _features_key(ref: FeaturesRef) -> str:
    if not ref.tomo_type or not ref.feature_type:
        raise InvalidNameError("A feature map needs a tomogram type and a feature type.", path=ref.feature_type)
    return f"{_voxel_spacing_key(ref)}/{_segment(f'{ref.tomo_type}_{ref.feature_type}{FEATURES}', ZARR)}"


def _annotation_key(ref: PicksRef | MeshRef | FilamentsRef) -> str:
    if not ref.object_name:
        raise InvalidNameError(f"The {ref.kind} of {ref.user_id!r} need the name of an object.", path=ref.user_id)
    stem = f"{ref.user_id}_{ref.session_id}_{ref.object_name}"
    name = _segment(stem, _SUFFIX_OF_KIND[ref.kind], ref.user_id, ref.session_id)
    return f"{run_key(ref.run)}/{_FOLDER_OF_KIND[ref.kind]}/{name}"


def _segmentation_key(ref: SegmentationRef) -> str:
    type_ = ref.segmentation_type
    if not ref.name or (type_ == "binary" and ref.name.endswith(MULTILABEL_SUFFIX)):
        raise InvalidNameError(
            f"The segmentation name {ref.name!r} is empty, or ends in {MULTILABEL_SUFFIX!r}, which marks multilabel "
            "segmentations.",
            path=ref.name,
        )
    stem = f"{format_size(ref.voxel_size)}_{ref.user_id}_{ref.session_id}_{ref.name}"
    suffix = (MULTILABEL_SUFFIX if ref.is_multilabel else "") + ZARR
    return f"{run_key(ref.run)}/{_FOLDER_OF_TYPE[type_]}/{_segment(stem, suffix, ref.user_id, ref.session_id)}"


def _object_key(ref: ObjectRef) -> str:
    if not ref.name:
        raise InvalidNameError("An object needs a name.", path=ref.name)
    return f"{OBJECTS}/{_segment(ref.name, ZARR)}"


_KEY_MAKERS: dict[type[Ref], Callable[..., str]] = {
    RunRef: lambda ref: run_key(ref.run),
    VoxelSpacingRef: _voxel_spacing_key,
    TomogramRef: _tomogram_key,
    FeaturesRef: _features_key,
    PicksRef: _annotation_key,
    MeshRef: _annotation_key,
    FilamentsRef: _annotation_key,
    SegmentationRef: _segmentation_key,
    ObjectRef: _object_key,
}

__all__ = [
    "META",
    "OBJECTS",
    "RUNS",
    "directory_of",
    "format_size",
    "key_of",
    "meta_key",
    "parse_key",
    "run_key",
    "segmentation_folder",
]
