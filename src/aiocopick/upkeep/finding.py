"""Problems of a project."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem.

    Parameters
    ----------
    problem : str
        ``"unreadable run"``, ``"unreadable folder"``, ``"unparsable name"``, ``"leftover temporary file"``, ``"broken file"``,
        ``"broken metadata"``, ``"unfinished volume"``, ``"broken volume"``, ``"nonsense in metadata"``,
        ``"contradicting metadata"``, ``"missing level"``, ``"features without tomogram"``, ``"unknown object"``,
        ``"not finite"`` or ``"outside tomogram"``.
    run : str, optional
        Name of the run; None for a problem of the project.
    path : str
        Full path of the file or directory, without secrets.
    detail : str
        Details of the problem.
    """

    problem: str
    run: str | None
    path: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)


__all__ = ["Finding"]
