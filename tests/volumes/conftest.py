"""Places for volumes, and projects in them."""

from __future__ import annotations

import pytest

from tests.volumes.places import PLACES, Place, make_place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """A root of each kind of storage in turn."""
    return make_place(request.param, request)


@pytest.fixture
def local(request: pytest.FixtureRequest) -> Place:
    """A root on local disk."""
    return make_place("local", request)


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Place:
    """A root in memory."""
    return make_place("memory", request)


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Place:
    """A root in a bucket, where requests are counted."""
    return make_place("moto", request)
