"""R17: zarr's own tests of a store, and its state machines, pass on the store that is handed out."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from zarr.core.buffer import Buffer
from zarr.core.buffer.cpu import Buffer as CpuBuffer
from zarr.testing.stateful import ZarrHierarchyStateMachine, ZarrStoreStateMachine
from zarr.testing.store import StoreTests

from aiocopick.storage import open_storage
from aiocopick.storage.zarr_store import StorageStore
from tests.reliability.places import DISK, MEMORY, OTHERS, WRITABLE, Place

PREFIX = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"


def mark_coroutines(cls: type[Any]) -> type[Any]:
    """Mark inherited coroutines: zarr's tests rely on a mode that guesses."""
    for name in dir(cls):
        function = getattr(cls, name)
        if name.startswith("test_") and inspect.iscoroutinefunction(function):
            setattr(cls, name, pytest.mark.asyncio(_copy(function)))
    return cls


def _copy(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def copy(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return copy


@mark_coroutines
@pytest.mark.parametrize("place", WRITABLE, indirect=True)
class TestStore(StoreTests[StorageStore, Buffer]):
    store_cls = StorageStore
    buffer_cls = CpuBuffer

    @pytest.fixture(autouse=True)
    def _one_line(self, place: Place, measured: Any) -> None:
        measured("zarr.testing.store.StoreTests, writable and read-only")

    async def set(self, store: StorageStore, key: str, value: Buffer) -> None:
        await store.storage.write(f"{PREFIX}/{key}", value.to_bytes())

    async def get(self, store: StorageStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes(await store.storage.read(f"{PREFIX}/{key}"))

    @pytest.fixture
    def store_kwargs(self, place: Place) -> dict[str, Any]:
        return {"storage": open_storage(place.writing), "prefix": PREFIX}

    @pytest_asyncio.fixture
    async def store(self, open_kwargs: dict[str, Any]) -> AsyncIterator[StorageStore]:
        store = await StorageStore.open(**open_kwargs)
        yield store
        await store.storage.aclose()

    @pytest_asyncio.fixture
    async def store_not_open(self, store_kwargs: dict[str, Any]) -> AsyncIterator[StorageStore]:
        yield StorageStore(**store_kwargs)
        await store_kwargs["storage"].aclose()

    def test_store_repr(self, store: StorageStore) -> None:
        assert repr(store) == f"StorageStore({store.url!r})"
        assert store.url.endswith(PREFIX)

    def test_store_supports_writes(self, store: StorageStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: StorageStore) -> None:
        assert store.supports_listing


# A server answers some hundred requests a second, and each step lists and reads everything again.
STEPS = {DISK: (15, 25), MEMORY: (25, 25)}


@pytest.mark.reliability_full
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::zarr.errors.ZarrUserWarning")
@pytest.mark.parametrize("place", [DISK, MEMORY, "s3", "obstore", *OTHERS], indirect=True)
@pytest.mark.parametrize("machine", [ZarrStoreStateMachine, ZarrHierarchyStateMachine])
def test_random_operations_agree_with_a_model(place: Place, machine: Any, measured: Any) -> None:
    from zarr.core.sync import sync

    examples, steps = STEPS.get(place.kind, (6, 12))
    stores: list[StorageStore] = []

    def new_machine() -> Any:
        stores.append(StorageStore(open_storage(place.writing), f"Segmentations/{uuid.uuid4().hex}.zarr"))
        return machine(stores[-1])

    run_state_machine_as_test(
        new_machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            # A failure is told as it was found: making it smaller takes minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    # The machines run on zarr's own loop, and what was opened there is closed there.
    for store in stores:
        sync(store.storage.aclose())
    assert stores
    measured(f"{machine.__name__}: {len(stores)} examples of up to {steps} steps")
