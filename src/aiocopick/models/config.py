"""The configuration of a project: one filesystem, CoPick's overlay and static pair, or a stack of layers.

Secrets are in ``fs_args``: they are written to the file that the user saves, and are not shown anywhere. All forms share
their fields and are told apart in one place, and half of the lines are the documentation of fields: the file is long.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import FormatError, LayerError
from aiocopick.models.base import DEFERRED, FIRST_ERROR
from aiocopick.models.file_sizes import LARGEST, FileSizes, parse_bytes, read_config_bytes
from aiocopick.models.naming import did_you_mean, refuse_misspelt, require_clean
from aiocopick.models.objects import FilamentSpec, PickableObject
from aiocopick.models.place import arguments_of, is_place, text_of
from aiocopick.models.protocols import check_protocols
from aiocopick.models.redaction import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LayerT = TypeVar("LayerT", bound="CopickConfig")
ConfigT = TypeVar("ConfigT", bound="CopickConfig")

MIB = 1024 * 1024
GIB = 1024 * MIB
CACHE_BYTES = 50_000_000_000
"""Bytes that a cache keeps unless told otherwise."""

# One filesystem per config, stored outside of it: the config is compared, copied and pickled without it.
_filesystems: dict[int, AbstractFileSystem] = {}
_filesystems_lock = Lock()


class CopickConfig(BaseModel):
    """Common fields of every configuration.

    Parameters
    ----------
    name : str, optional
        Name of the project.
    description : str, optional
        Description of the project.
    version : str, optional
        Version of the CoPick API it was written for.
    pickable_objects : list of PickableObject
        The objects of the project. Live: appended objects are valid at once.
    user_id, session_id : str, optional
        Default ids of new entities. Settable, live.
    runs : list of str, optional
        Restricts the project to these runs.
    voxel_spacings : list of float, optional
        Index of voxel spacings, in angstrom.
    tomograms : dict of float to list of str, optional
        Index of tomogram types by voxel spacing.
    """

    # Unknown keys are other programs', unless they look like ours. Inputs stay out of error messages: fs_args may be among them.
    model_config = ConfigDict(
        extra="allow", hide_input_in_errors=True, ser_json_inf_nan="constants", defer_build=DEFERRED
    )

    name: str | None = "CoPick"
    description: str | None = "Let's CoPick!"
    version: str | None = "0.2.0"
    pickable_objects: Annotated[list[PickableObject], FIRST_ERROR]
    user_id: str | None = None
    session_id: str | None = None
    runs: Annotated[list[str], FIRST_ERROR] | None = None
    voxel_spacings: Annotated[list[float], FIRST_ERROR] | None = None
    tomograms: dict[float, list[str]] | None = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        _refuse_misspelt(data, cls.model_fields)
        given = dict(data)
        for name in given.keys() & _PLACES.keys():
            # A UPath brings the arguments of its filesystem.
            if (arguments := arguments_of(given[name])) and given.get(_PLACES[name]) is None:
                given[_PLACES[name]] = arguments
        return given

    @field_validator("user_id", "session_id")
    @classmethod
    def _clean(cls, value: str | None, info: Any) -> str | None:
        return None if value is None else require_clean(value, info.field_name)

    @classmethod
    def from_file(
        cls,
        filename: str | os.PathLike[str],
        *,
        allow_protocols: Iterable[str] = (),
        max_file_bytes: FileSizes | None = None,
    ) -> Self:
        """Read the configuration in a JSON file; blocks.

        Parameters
        ----------
        filename : str or path
            A JSON file on disk.
        allow_protocols : iterable of str
            Protocols that the file may name besides the usual ones (:mod:`aiocopick.models.protocols`).
        max_file_bytes : int or dict of str to int, optional
            Replaces the field of that name, and bounds the file itself (kind ``"configs"``).

        Raises
        ------
        FormatError
            The file names a protocol that is not allowed, or is larger than the limit.
        """
        document = json.loads(read_config_bytes(filename, max_file_bytes).decode())
        if isinstance(document, dict):
            check_protocols(document, allow_protocols, path=os.fspath(filename))
            document |= {} if max_file_bytes is None else {"max_file_bytes": max_file_bytes}
        return cls.model_validate(document)

    def to_json(self, indent: int | None = 4) -> str:
        """The configuration as :func:`parse_config` reads it again, secrets included: it goes into the user's file.

        Keys that a file has, null and unknown ones included, are kept, and so are fields that were set; default values
        are not written, so that the next reader uses its own.
        """
        return json.dumps(self.to_dict(), indent=indent)

    def to_dict(self) -> dict[str, Any]:
        """Return the content that :meth:`to_json` writes, as plain data."""
        objects = {index: _untouched(item) for index, item in enumerate(self.pickable_objects)}
        exclude: dict[str, Any] = dict.fromkeys(_untouched(self) - {"config_type", "pickable_objects"}, True)
        return self.model_dump(mode="json", exclude=exclude | {"pickable_objects": objects})

    def display(self) -> dict[str, Any]:
        """Return the configuration as plain data without secrets, and without credentials in URLs."""
        shown: dict[str, Any] = redact(self.model_dump(mode="json"))
        return shown

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if isinstance(value, dict | str | list):
                yield name, redact(value, key=name or "")
            else:
                yield name, value


def _untouched(model: BaseModel) -> set[str]:
    """Return the fields that were not given and have their default; a default that was changed in place is not
    included.
    """
    return {
        name
        for name, field in type(model).model_fields.items()
        if name not in model.model_fields_set
        and getattr(model, name) == field.get_default(call_default_factory=True, validated_data={})
    }


class StorageOptions(BaseModel, defer_build=DEFERRED):
    """The limits and rules of storage that every form of configuration takes; they hold for each of its layers.

    Parameters
    ----------
    max_concurrency : int
        Requests in flight.
    max_bytes_in_flight : int
        Bytes of them.
    timeout : float
        Seconds for one operation, retries included.
    retries : int
        Number of repetitions of a failed request.
    max_array_bytes : int
        The largest array that is read in one piece.
    max_file_bytes : int or dict of str to int
        The largest file that is read, for all kinds of files or by kind: ``"metadata"`` (``.meta`` and the documents of
        zarr; 16 MiB), ``"picks"``, ``"filaments"``, ``"meshes"`` (2 GiB each), ``"configs"`` (16 MiB), ``"tables"``
        (Parquet; 2 GiB), ``"chunks"`` (while they are copied; 2 GiB. Otherwise the metadata of the array gives their
        limit). Kinds that a dict does not name keep their limits. A larger or endless file is refused before it is in memory.
    zarr_format : {2, 3}
        The zarr format of new volumes.
    require_meta : bool
        If true, a directory is a run only if it has a ``.meta`` file.
    follow_symlinks : bool
        If true, links that leave the root of a local project are followed.
    forbidden_is_absent : bool
        If true, a 403 answer means that the object does not exist. S3 without the right to list and some web servers
        answer this way. A chunk that is absent reads as the fill value, so a chunk that is denied then does, too.
    read_only : bool
        If true, every change is refused.
    cache : str, path or False, optional
        Folder on local disk in which contents of other storages are kept (``"~/.cache/aiocopick"``). None is what the
        environment variable ``AIOCOPICK_CACHE`` names; False is no cache. Local disk is not cached.
    cache_bytes : int or str
        Bytes to keep in it, ``"50 GB"`` for example; the least recently used contents are removed.
    cache_policy : {"volume", "always", "never"}
        When the server is asked if a kept chunk is current: by one listing for each opened volume, by one request
        for each chunk, or not at all, for data that never changes.
    read_ahead : float
        Seconds for which what was seen ahead may be used (``docs/coming-from-copick.md``): files that the facade read
        ahead, and the listing that showed that a run exists. 0 switches both off.
    engine : {"auto", "s3fs", "obstore"}
        Library that transfers the contents of objects in S3. obstore takes a fraction of the processor time and needs
        the extra ``fast``. ``"auto"`` uses it if it is installed and ``fs_args`` say nothing that only s3fs can do, and
        s3fs otherwise and in forked processes; ``root.stats.engine`` says which. ``"obstore"`` is an error where it
        cannot be used. Other S3 operations and other storages are not affected.
    endpoint_url : str, optional
        Address of the server of S3 or Google Cloud, if it is not their own: ``https://minio.example.org:9000``. An
        endpoint in ``fs_args`` takes precedence.
    """

    max_concurrency: int = Field(default=64, ge=1)
    max_bytes_in_flight: int = Field(default=512 * MIB, ge=1)
    timeout: float = Field(default=60, gt=0)
    retries: int = Field(default=4, ge=0)
    max_array_bytes: int = Field(default=64 * GIB, ge=1)
    max_file_bytes: FileSizes = Field(default_factory=lambda: dict(LARGEST))
    zarr_format: Literal[2, 3] = 2
    require_meta: bool = False
    follow_symlinks: bool = True
    forbidden_is_absent: bool = False
    read_only: bool = False
    cache: str | Literal[False] | None = None
    cache_bytes: Annotated[int, Field(ge=1)] = CACHE_BYTES
    cache_policy: Literal["volume", "always", "never"] = "volume"
    read_ahead: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    engine: Literal["auto", "s3fs", "obstore"] = "auto"
    endpoint_url: str | None = None

    @field_validator("endpoint_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.lower().startswith(("http://", "https://")):
            raise ValueError("it is not an address that begins with http:// or https://")
        return value

    @field_validator("cache", mode="before")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("cache_bytes", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        return parse_bytes(value) if isinstance(value, str) else value

    def chosen_options(self) -> dict[str, Any]:
        """Return the options that were given, without those left at their defaults."""
        return {name: getattr(self, name) for name in StorageOptions.model_fields if name in self.model_fields_set}


class CopickConfigFS(CopickConfig, StorageOptions):
    """A project on one filesystem.

    Parameters
    ----------
    root : str
        URL or path of the project (``s3://bucket/project``, ``/data/project``).
    fs_args : dict
        Arguments of the fsspec filesystem; None is {}. They replace the library's own settings. Never shown.
    layer_name : str
        Name in a stack of layers.
    priority : int
        A higher priority is seen first in a stack.
    """

    config_type: Literal["filesystem"] = "filesystem"
    pickable_objects: Annotated[list[PickableObject], FIRST_ERROR] = Field(default_factory=list)
    root: str
    fs_args: dict[str, Any] = Field(default_factory=dict, repr=False)
    layer_name: str = "filesystem"
    priority: int = 0

    @field_validator("fs_args", mode="before")
    @classmethod
    def _no_arguments(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("root", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return _place(value)

    @model_validator(mode="after")
    def _has_endpoint(self) -> Self:
        if self.endpoint_url is not None and not _takes_endpoint(self.root):
            raise ValueError(
                "endpoint_url is for projects on S3 and Google Cloud; another root names its server itself"
            )
        return self

    def fs(self) -> AbstractFileSystem:
        """Return the fsspec filesystem of this configuration, the same each time, usable synchronously.

        It is read-only when the configuration is.
        """
        key = id(self)
        with _filesystems_lock:
            if key not in _filesystems:
                from aiocopick.storage.filesystem import make_filesystem

                _filesystems[key] = make_filesystem(self)
                weakref.finalize(self, _filesystems.pop, key, None).atexit = False
            return _filesystems[key]


class CopickConfigFSSpec(CopickConfig, StorageOptions):
    """CoPick's own form: a writable overlay above an optional static project that is only read.

    Parameters
    ----------
    overlay_root : str
        URL or path of the overlay.
    static_root : str, optional
        URL or path of the static project; None if there is only the overlay.
    overlay_fs_args, static_fs_args : dict
        Arguments of the two filesystems; None is {}. Never shown.
    """

    config_type: Literal["filesystem"] = "filesystem"
    pickable_objects: Annotated[list[PickableObject], FIRST_ERROR] = Field(default_factory=list)
    overlay_root: str
    static_root: str | None = None
    overlay_fs_args: dict[str, Any] = Field(default_factory=dict, repr=False)
    static_fs_args: dict[str, Any] = Field(default_factory=dict, repr=False)

    @field_validator("overlay_fs_args", "static_fs_args", mode="before")
    @classmethod
    def _no_arguments(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("overlay_root", "static_root", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return _place(value)

    def layer_configs(self) -> list[CopickConfigFS]:
        """Return the layers of the configuration, the highest priority first."""
        shared = self.chosen_options()
        layers = [
            CopickConfigFS(
                root=self.overlay_root,
                fs_args=self.overlay_fs_args,
                layer_name="overlay",
                priority=1,
                **_fitting(shared, self.overlay_root),
            )
        ]
        # CoPick allows the same location for both roots.
        same = (
            self.static_root is not None
            and self.static_root.rstrip("/") == self.overlay_root.rstrip("/")
            and self.static_fs_args in ({}, self.overlay_fs_args)
        )
        if self.static_root is not None and not same:
            static = _fitting(shared, self.static_root) | {"read_only": True}
            layers.append(
                CopickConfigFS(root=self.static_root, fs_args=self.static_fs_args, layer_name="static", **static)
            )
        return [_share_project(self, layer) for layer in layers]


class CopickConfigForeign(CopickConfig, StorageOptions):
    """A layer that is accessed through the abstract API.

    Data portal and croissant projects are opened by an installed copick, read-only; their own fields are kept as given.
    ``"object"`` stands for a root that is given as an object; a file cannot name one.

    Parameters
    ----------
    layer_name : str
        Name in a stack of layers.
    priority : int
        A higher priority is seen first in a stack.
    """

    config_type: Literal["cryoet_data_portal", "mlcroissant", "object"]
    pickable_objects: Annotated[list[PickableObject], FIRST_ERROR] = Field(default_factory=list)
    layer_name: str = "copick"
    priority: int = 0


class CopickConfigMultilayer(CopickConfig, StorageOptions):
    """A stack of layers; its storage options apply to each layer that does not set them.

    Parameters
    ----------
    layers : list
        Configurations (or dicts, or URLs) of the layers. Their names are unique; a layer without one is numbered.
    default_write_layer : str, optional
        Name of the layer that gets new entities and changes; by default the writable layer of the highest priority.
    on_layer_error : {"raise", "skip"}
        Handling of a layer that cannot be listed: raise its error, or leave the layer out with a warning
        and record it in ``skipped_layers`` of the root.

    Raises
    ------
    LayerError
        There is no layer, or two have one name.
    """

    config_type: Literal["multilayer"] = "multilayer"
    pickable_objects: Annotated[list[PickableObject], FIRST_ERROR] = Field(default_factory=list)
    layers: list[SerializeAsAny[CopickConfig]] = Field(default_factory=list)
    default_write_layer: str | None = None
    on_layer_error: Literal["raise", "skip"] = "raise"

    @field_validator("layers", mode="before")
    @classmethod
    def _parse_layers(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [_as_layer(item) for item in value]

    @model_validator(mode="after")
    def _name_layers(self) -> Self:
        if not self.layers:
            raise LayerError("A multilayer configuration needs at least one layer: add it to 'layers'.")
        taken: set[str] = set()
        for layer in self.layers:
            if not isinstance(layer, CopickConfigFS | CopickConfigForeign):
                raise LayerError(
                    f"A {type(layer).__name__} cannot be a layer: give the filesystems it stands for one by one."
                )
            if "layer_name" in layer.model_fields_set:
                if layer.layer_name in taken:
                    raise LayerError(f"Two layers are called {layer.layer_name!r}: give each a layer_name of its own.")
                taken.add(layer.layer_name)
        for layer in self.layers:
            if isinstance(layer, CopickConfigFS | CopickConfigForeign) and "layer_name" not in layer.model_fields_set:
                base, number = layer.layer_name, 1
                while layer.layer_name in taken:
                    layer.layer_name = f"{base}-{number}"
                    number += 1
                taken.add(layer.layer_name)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain data like every configuration; a layer shows only its own options, so that the rest still comes
        from the
        stack.
        """
        layers = [
            {"config_type": layer.config_type} | layer.model_dump(mode="json", exclude_unset=True)
            for layer in self.layers
            if isinstance(layer, CopickConfigFS | CopickConfigForeign)
        ]
        return super().to_dict() | {"layers": layers}

    def layer_configs(self) -> list[CopickConfigFS | CopickConfigForeign]:
        """Return the layers, the highest priority first, ties in the order of the list, options filled in from the
        stack.
        """
        shared = self.chosen_options()
        layers = []
        for layer in self.layers:
            assert isinstance(layer, CopickConfigFS | CopickConfigForeign)
            fitting = _fitting(shared, getattr(layer, "root", ""))
            missing = {name: value for name, value in fitting.items() if name not in layer.model_fields_set}
            if shared.get("read_only"):
                missing["read_only"] = True
            layers.append(_share_project(self, layer.model_copy(update=missing)))
        return sorted(layers, key=lambda layer: -layer.priority)


def parse_config(data: Mapping[str, Any]) -> CopickConfig:
    """Return the configuration that a dict (from a config JSON) describes.

    Parameters
    ----------
    data : mapping
        With ``config_type`` ``"filesystem"`` (also when it is missing) and ``root`` or ``overlay_root``,
        ``"multilayer"``, or one of the types that an installed copick opens.

    Returns
    -------
    CopickConfigFS, CopickConfigFSSpec, CopickConfigMultilayer or CopickConfigForeign

    Raises
    ------
    FormatError
        The type is unknown or a field is missing or wrong; the message names the fields, never their values.
    LayerError
        A stack has no layer, or two of one name.
    """
    try:
        _refuse_misspelt(data)
    except ValueError as error:
        raise FormatError(f"The configuration is invalid: {error}") from None
    kind = data.get("config_type", "multilayer" if "layers" in data else "filesystem")
    model: type[CopickConfig]
    if kind == "filesystem":
        if "root" not in data and "overlay_root" not in data:
            raise FormatError(
                "The configuration has neither 'root' nor 'overlay_root': name the location of the project."
            )
        model = CopickConfigFS if "root" in data else CopickConfigFSSpec
    elif kind == "multilayer":
        model = CopickConfigMultilayer
    elif kind in ("cryoet_data_portal", "mlcroissant"):
        model = CopickConfigForeign
    else:
        raise FormatError(
            f"Unknown config_type {kind!r}; use 'filesystem', 'multilayer', 'cryoet_data_portal' or 'mlcroissant'."
        )
    try:
        return model.model_validate({**data, "config_type": kind})
    except ValidationError as error:
        raise FormatError(f"The configuration is invalid: {_problems(error)}.") from error


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'configuration'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    )


_SHARED = frozenset(
    {
        "config_type", "root", "fs_args", "overlay_root", "overlay_fs_args", "static_root", "static_fs_args", "layers",
        "default_write_layer", "on_layer_error", "follow_symlinks", "forbidden_is_absent", "engine", "endpoint_url",
        "cache", "cache_bytes", "cache_policy",
    }
)  # fmt: skip
"""Fields of a project and its connections, which all views of it share."""


def viewed_config(config: ConfigT, changes: Mapping[str, Any]) -> ConfigT:
    """Return the configuration of a view that has other limits.

    Raises
    ------
    TypeError
        It has no such field, or views share it.
    FormatError
        A value is wrong.
    """
    fields = type(config).model_fields
    for name in sorted(changes):
        if name in _SHARED:
            raise TypeError(
                f"options() cannot change {name!r}, which all views of a project share; open the project with {name}=..."
            )
        if name not in fields:
            raise TypeError(
                f"There is no option {name!r}; options are fields of the config.{did_you_mean(name, fields)}"
            )
    view = config.model_copy()
    for name, value in changes.items():
        try:
            type(config).__pydantic_validator__.validate_assignment(view, name, value)
        except ValidationError as error:
            raise FormatError(f"options() has a wrong value: {_problems(error)}.") from error
    return view


def _place(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty; give the URL or path of the project, or leave the field out")
    return text_of(value) if is_place(value) else value


_PLACES = {"root": "fs_args", "overlay_root": "overlay_fs_args", "static_root": "static_fs_args"}
"""Fields that name a place, and those of its arguments."""


def config_fields() -> frozenset[str]:
    """Return the names of the fields of all forms of configuration."""
    forms = (CopickConfigFS, CopickConfigFSSpec, CopickConfigForeign, CopickConfigMultilayer)
    return frozenset(name for form in forms for name in form.model_fields)


def _refuse_misspelt(data: Mapping[str, Any], more: Iterable[str] = ()) -> None:
    """Refuse keys that look like fields, of the objects too; layers are configurations of their own."""
    refuse_misspelt(data, config_fields().union(more))
    objects = data.get("pickable_objects")
    for index, item in enumerate(objects if isinstance(objects, list | tuple) else ()):
        if isinstance(item, Mapping):
            where = f"pickable_objects.{index}."
            refuse_misspelt(item, (*PickableObject.model_fields, "go_id", "filament"), where)
            if isinstance(item.get("filament"), Mapping):
                refuse_misspelt(item["filament"], FilamentSpec.model_fields, f"{where}filament.")


def _takes_endpoint(root: str) -> bool:
    return root.partition("://")[0].lower() in ("s3", "s3a", "gs", "gcs")


def _fitting(shared: dict[str, Any], root: str) -> dict[str, Any]:
    """Return the options of a stack that a layer can take: an endpoint is not for its folders on disk."""
    return {name: value for name, value in shared.items() if name != "endpoint_url" or _takes_endpoint(root)}


def _as_layer(item: Any) -> Any:
    if is_place(item):
        return CopickConfigFS.model_validate({"root": item})
    return parse_config(item) if isinstance(item, Mapping) else item


def _share_project(project: CopickConfig, layer: LayerT) -> LayerT:
    """Return the layer with the ids and objects of the project, unless it has its own; the lists are shared."""
    if "pickable_objects" not in layer.model_fields_set:
        layer.pickable_objects = project.pickable_objects
    for name in ("user_id", "session_id", "runs"):
        if getattr(layer, name) is None:
            setattr(layer, name, getattr(project, name))
    return layer


__all__ = [
    "CopickConfig",
    "CopickConfigFS",
    "CopickConfigFSSpec",
    "CopickConfigForeign",
    "CopickConfigMultilayer",
    "StorageOptions",
    "config_fields",
    "parse_config",
]
