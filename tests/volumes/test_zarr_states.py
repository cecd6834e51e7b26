"""zarr's state machines on our store: random operations against a model. StoreTests alone pass too easily."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from zarr.testing.stateful import ZarrHierarchyStateMachine, ZarrStoreStateMachine

from aiocopick.storage.zarr_store import StorageStore
from tests.volumes.places import Place

pytestmark = pytest.mark.slow

# A server answers some hundred requests a second, and each step lists and reads everything again.
STEPS = {"local": (15, 25), "memory": (25, 25), "moto": (6, 12), "minio": (8, 15)}


def few(kind: str) -> settings:
    examples, steps = STEPS[kind]
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        # A failure is told as it was found: making it smaller takes minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def new_store(place: Place) -> StorageStore:
    return StorageStore(place.storage(), f"Segmentations/{uuid.uuid4().hex}.zarr")


def close(stores: list[StorageStore]) -> None:
    # The machines run on zarr's own loop, and what was opened there is closed there.
    from zarr.core.sync import sync

    for store in stores:
        sync(store.storage.aclose())


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_the_store_state_machine(place: Place) -> None:
    stores: list[StorageStore] = []

    def machine() -> ZarrStoreStateMachine:
        stores.append(new_store(place))
        return ZarrStoreStateMachine(stores[-1])

    run_state_machine_as_test(machine, settings=few(place.kind))
    close(stores)
    assert stores


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::zarr.errors.ZarrUserWarning")
def test_the_hierarchy_state_machine(place: Place) -> None:
    stores: list[StorageStore] = []

    def machine() -> ZarrHierarchyStateMachine:
        stores.append(new_store(place))
        return ZarrHierarchyStateMachine(stores[-1])

    run_state_machine_as_test(machine, settings=few(place.kind))
    close(stores)
    assert stores
