"""Arrays as zarr's own strategies draw them: what zarr writes is what we read, and the other way round."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as npst
from zarr.testing.strategies import arrays, basic_indices, chunk_shapes, numpy_arrays

import aiocopick

SIZE = 10.0
NUMBERS = (
    npst.boolean_dtypes()
    | npst.integer_dtypes(endianness="=")
    | npst.unsigned_integer_dtypes(endianness="=")
    | npst.floating_dtypes(endianness="=")
    | npst.complex_number_dtypes(endianness="=")
)
SHAPES = npst.array_shapes(min_dims=3, max_dims=3, max_side=7)
VOLUMES = NUMBERS.flatmap(lambda dtype: numpy_arrays(shapes=SHAPES, dtype=dtype))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::zarr.errors.UnstableSpecificationWarning", "ignore::zarr.errors.ZarrUserWarning"
    ),
]


@pytest.fixture(scope="module", params=[2, 3])
def tomogram(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A tomogram of a project that writes one of the formats."""
    with aiocopick.open_sync(f"memory://strategies-{uuid.uuid4().hex}", zarr_format=request.param) as root:
        yield root.new_run("TS_1").new_voxel_spacing(SIZE).new_tomogram("wbp")


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_zarr_writes_is_what_we_read(tomogram: Any, data: st.DataObject) -> None:
    written = data.draw(
        arrays(stores=st.just(tomogram.zarr()), paths=st.just("/"), array_names=st.just("0"), arrays=VOLUMES)
    )
    tomogram.refresh()
    np.testing.assert_array_equal(tomogram.numpy(), written[:])
    assert tomogram.numpy().dtype == written.dtype
    [level] = tomogram.levels()
    assert (level.shape, level.chunks) == (written.shape, written.chunks)
    selection = data.draw(basic_indices(shape=written.shape, allow_ellipsis=False, min_dims=3))
    items = dict(zip("zyx", selection if isinstance(selection, tuple) else (selection,), strict=False))
    np.testing.assert_array_equal(tomogram.numpy(**items), written[:][selection])


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_we_write_is_what_zarr_reads(tomogram: Any, data: st.DataObject) -> None:
    volume = data.draw(VOLUMES)
    chunks = data.draw(chunk_shapes(shape=volume.shape))
    tomogram.from_numpy(volume, levels=1, dtype=None, chunks=chunks)
    stored = zarr.open(tomogram.zarr(), mode="r")["0"]  # type: ignore[index]
    assert (stored.shape, stored.dtype, stored.chunks) == (volume.shape, volume.dtype, chunks)  # type: ignore[union-attr]
    np.testing.assert_array_equal(stored[:], volume)  # type: ignore[index]
    tomogram.refresh()
    np.testing.assert_array_equal(tomogram.numpy(), volume)
