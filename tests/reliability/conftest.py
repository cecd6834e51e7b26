"""The places and the measuring of the scoreboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiocopick.storage import retries
from tests.reliability.places import Place, make_place

Measured = Callable[[str], None]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place of the kind that the test is parametrized with, indirectly."""
    with make_place(request.param, request, tmp_path) as made:
        request.node.user_properties.append(("backend", made.kind))
        yield made


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Say what was measured: it stands in the scoreboard."""
    return lambda text: request.node.user_properties.append(("measured", text))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat failed requests at once."""
    monkeypatch.setattr(retries, "pause", lambda attempt: 0.0)
