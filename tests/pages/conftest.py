"""Projects with something to see."""

from __future__ import annotations

from tests.entities.conftest import config, counted, no_blocking_calls, place, root

__all__ = ["config", "counted", "no_blocking_calls", "place", "root"]
