"""The objects of a project, which can be picked or segmented."""

from __future__ import annotations

from typing import Any, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from aiocopick.models.base import Model, null_is_empty
from aiocopick.models.naming import require_clean

NAMESPACE = "copick"
"""Key of an object's metadata that CoPick reserves for itself."""

FILAMENT = "filament"
"""Key in that namespace that declares a filament."""


class FilamentSpec(Model):
    """Declares that an object is a filament, annotated by ordered points along its axis.

    It is stored as ``metadata["copick"]["filament"]``, so that programs that do not support filaments keep it.

    Parameters
    ----------
    polar : bool, optional
        Whether the structure has a polarity; None when not stated.
    helical_rise_a : float, optional
        Axial rise per subunit in angstrom; positive.
    helical_twist_deg : float, optional
        Twist per subunit in degrees.
    """

    polar: bool | None = None
    helical_rise_a: float | None = Field(default=None, gt=0)
    helical_twist_deg: float | None = None


class PickableObject(Model):
    """An object of the project.

    Parameters
    ----------
    name : str
        Its name; clean, because file names contain it.
    is_particle : bool
        True if it is represented by points, False for segmentations.
    label : int, optional
        Its value in multilabel segmentations; 0 is reserved for background.
    color : tuple of int, optional
        RGBA, each 0 to 255.
    emdb_id, pdb_id : str, optional
        Ids in EMDB and PDB.
    identifier : str, optional
        Id in an ontology; ``go_id`` is read as this.
    map_threshold : float, optional
        Threshold at which the density map is drawn.
    radius : float, optional
        Radius in angstrom; for a filament, of the tube.
    metadata : dict
        Anything else. Null is an empty dict.
    """

    name: str
    is_particle: bool
    label: int | None = 1
    color: tuple[int, int, int, int] | None = (100, 100, 100, 255)
    emdb_id: str | None = None
    pdb_id: str | None = None
    identifier: str | None = Field(default=None, validation_alias=AliasChoices("go_id", "identifier"))
    map_threshold: float | None = None
    radius: float | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def go_id(self) -> str | None:
        """Older name of `identifier`."""
        return self.identifier

    @go_id.setter
    def go_id(self, value: str | None) -> None:
        self.identifier = value

    _no_metadata = field_validator("metadata", mode="before")(null_is_empty)

    @field_validator("name")
    @classmethod
    def _clean(cls, value: str) -> str:
        return require_clean(value, "object name")

    @field_validator("label")
    @classmethod
    def _no_background(cls, value: int | None) -> int | None:
        if value == 0:
            raise ValueError("Label 0 is reserved for background.")
        return value

    @field_validator("color")
    @classmethod
    def _in_range(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and not all(0 <= channel <= 255 for channel in value):
            raise ValueError("Color values must be in the range [0, 255].")
        return value

    @model_validator(mode="after")
    def _check_filament(self) -> Self:
        declared = self._declared_filament()
        if declared is None:
            return self
        spec = FilamentSpec.model_validate(declared)
        if not self.is_particle:
            raise ValueError(
                f"Object {self.name!r} is declared a filament, which is annotated with points, so is_particle must be "
                "True."
            )
        namespace = self.metadata[NAMESPACE] | {FILAMENT: spec.model_dump(exclude_none=True)}
        self.metadata = self.metadata | {NAMESPACE: namespace}
        return self

    def _declared_filament(self) -> Any:
        # A value that is not a dict was written before the key was reserved, and is not changed.
        namespace = self.metadata.get(NAMESPACE)
        return namespace.get(FILAMENT) if isinstance(namespace, dict) else None

    @property
    def filament(self) -> FilamentSpec | None:
        """The declaration that the object is a filament; None if there is none."""
        declared = self._declared_filament()
        return None if declared is None else FilamentSpec.model_validate(declared)

    @property
    def is_filament(self) -> bool:
        """True if the object is a filament."""
        return self._declared_filament() is not None

    def set_filament(self, filament: FilamentSpec | dict[str, Any] | None) -> None:
        """Declare the object a filament, change the declaration, or remove it (None).

        Raises
        ------
        ValueError
            The spec is invalid, the object is not a particle, or another value is stored under the reserved key.
            Nothing is changed.
        """
        metadata = metadata_with_filament(self.metadata, filament)
        self.metadata = type(self).model_validate(self.model_dump() | {"metadata": metadata}).metadata


def metadata_with_filament(
    metadata: dict[str, Any] | None, filament: FilamentSpec | dict[str, Any] | None
) -> dict[str, Any]:
    """Return a copy of an object's metadata with the declaration of a filament, or without (None).

    Raises
    ------
    ValueError
        The spec is invalid, or ``metadata["copick"]`` is not a dict.
    """
    result = dict(metadata or {})
    namespace = result.get(NAMESPACE, {})
    if not isinstance(namespace, dict):
        raise ValueError(f"metadata[{NAMESPACE!r}] is reserved for CoPick and must be a dict.")
    namespace = {key: value for key, value in namespace.items() if key != FILAMENT}
    if filament is not None:
        # Accept copick's own model as well, which is not an instance of ours.
        spec = FilamentSpec.model_validate(filament if isinstance(filament, dict) else filament.model_dump())
        namespace[FILAMENT] = spec.model_dump(exclude_none=True)
    if namespace:
        result[NAMESPACE] = namespace
    else:
        result.pop(NAMESPACE, None)
    return result


__all__ = ["FilamentSpec", "PickableObject", "metadata_with_filament"]
