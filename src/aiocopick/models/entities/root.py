"""A project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocopick.models.config import CopickConfig
    from aiocopick.models.entities.object import CopickObject
    from aiocopick.models.entities.run import CopickRun
    from aiocopick.models.metadata import CopickRunMeta
    from aiocopick.models.objects import FilamentSpec, PickableObject


class CopickRoot:
    """A project: its runs and its objects.

    Parameters
    ----------
    config : CopickConfig
        Its configuration, live.
    """

    config: CopickConfig

    def __init__(self, config: CopickConfig) -> None:
        self.config = config

    @property
    def user_id(self) -> str | None:
        """Default user id; settable, live."""
        raise NotImplementedError

    @user_id.setter
    def user_id(self, value: str | None) -> None:
        raise NotImplementedError

    @property
    def session_id(self) -> str | None:
        """Default session id; settable, live."""
        raise NotImplementedError

    @session_id.setter
    def session_id(self, value: str | None) -> None:
        raise NotImplementedError

    @property
    def runs(self) -> list[CopickRun]:
        """The runs, listed once and kept."""
        raise NotImplementedError

    @property
    def pickable_objects(self) -> list[CopickObject]:
        """The objects of the configuration."""
        raise NotImplementedError

    def query(self) -> list[CopickRun]:
        """List the runs anew."""
        raise NotImplementedError

    def get_run(self, name: str, **kwargs: Any) -> CopickRun | None:
        """The run of that name, or None."""
        raise NotImplementedError

    def new_run(self, name: str, exist_ok: bool = False, **kwargs: Any) -> CopickRun:
        """Create a run.

        Parameters
        ----------
        name : str
            Kept as it is; it has to be a legal directory name.
        exist_ok : bool
            Give the run of that name when there is one.
        **kwargs
            Further metadata of the run.

        Raises
        ------
        AlreadyExistsError
            The name is taken, and `exist_ok` is not set.
        InvalidNameError
            The name cannot be stored.
        ReadOnlyError
            The project is read-only.
        """
        raise NotImplementedError

    def delete_run(self, name: str) -> None:
        """Delete a run and all that is in it; nothing happens when there is none."""
        raise NotImplementedError

    def get_object(self, name: str) -> CopickObject | None:
        """The object of that name, or None."""
        raise NotImplementedError

    def new_object(
        self,
        name: str,
        is_particle: bool,
        label: int | None = None,
        color: tuple[int, int, int, int] | None = None,
        emdb_id: str | None = None,
        pdb_id: str | None = None,
        identifier: str | None = None,
        map_threshold: float | None = None,
        radius: float | None = None,
        metadata: dict[str, Any] | None = None,
        exist_ok: bool = False,
        filament: FilamentSpec | dict[str, Any] | None = None,
    ) -> CopickObject:
        """Add an object to the configuration.

        Parameters
        ----------
        name : str
            Its name; it must be clean.
        is_particle : bool
            Whether it is represented by points.
        label : int, optional
            Value in multilabel segmentations; the next free one when None.
        color : tuple of int, optional
            RGBA.
        emdb_id, pdb_id, identifier : str, optional
            Ids elsewhere.
        map_threshold : float, optional
            Threshold at which its map is drawn.
        radius : float, optional
            Angstrom.
        metadata : dict, optional
            Anything else.
        exist_ok : bool
            Update the object of that name in place when there is one.
        filament : FilamentSpec or dict, optional
            Declares it a filament.

        Raises
        ------
        AlreadyExistsError
            Name or label are taken.
        ValueError
            A value is not allowed; nothing is changed then.
        """
        raise NotImplementedError

    def refresh(self) -> None:
        """List the runs anew; the objects are made anew when they are asked for."""
        raise NotImplementedError

    def reconnect(self) -> None:
        """Connect to storage again, and forget what was listed."""
        raise NotImplementedError

    def save_config(self, config_path: str) -> None:
        """Write the configuration to a JSON file that opens this project again, secrets included."""
        raise NotImplementedError

    def _run_factory(self) -> tuple[type[CopickRun], type[CopickRunMeta]]:
        """Classes that runs and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _object_factory(self) -> tuple[type[CopickObject], type[PickableObject]]:
        """Classes that objects and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _query_objects(self) -> None:
        """Make the objects of the configuration."""
        raise NotImplementedError

    def _invalidate_all_caches(self) -> None:
        """Forget all that was listed."""
        raise NotImplementedError
