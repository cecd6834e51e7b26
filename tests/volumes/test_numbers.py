"""Pyramids, labels and selections, held against plain numpy."""

from __future__ import annotations

import tracemalloc
from itertools import islice, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

from aiocopick.volumes.chunk_plan import blocks, count_pieces, pieces, select, shape_of
from aiocopick.volumes.labels import cast_labels, check_panoptic, label_dtype, value_range
from aiocopick.volumes.pyramid import (
    coarse_block,
    coarser_shape,
    downsample_mean,
    downsample_nearest,
    even_edges,
    factors_between,
    level_shapes,
)

SHAPES = st.tuples(*[st.integers(1, 7)] * 3)


def mean_by_loop(data: Any) -> Any:
    """The local mean over the voxels that exist, as slowly as it is said."""
    result = np.zeros(coarser_shape(data.shape), np.float64)
    for index in np.ndindex(result.shape):
        result[index] = data[tuple(slice(2 * at, 2 * at + 2) for at in index)].astype(np.float64).mean()
    return result


@given(npst.arrays(np.float32, SHAPES, elements=st.floats(-1e3, 1e3, width=32)))
def test_the_mean_is_over_the_voxels_that_exist(data: Any) -> None:
    coarse = downsample_mean(data)
    assert coarse.dtype == np.float32
    np.testing.assert_allclose(coarse, mean_by_loop(data), rtol=1e-5, atol=1e-3)


@given(
    st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]).flatmap(
        lambda name: npst.arrays(name, SHAPES)
    )
)
def test_means_of_integers_are_rounded_and_never_wrap(data: Any) -> None:
    coarse = downsample_mean(data)
    assert coarse.dtype == data.dtype
    difference = np.abs(coarse.astype(np.float64) - mean_by_loop(data))
    assert difference.max() <= (0.5 if data.dtype.itemsize < 8 else 2.0**12)


def test_a_constant_stays_itself_at_the_edges() -> None:
    data = np.full((5, 7, 9), 3.0, np.float32)
    for shape in level_shapes(data.shape, 4)[1:]:
        data = downsample_mean(data)
        assert data.shape == shape
        assert (data == 3.0).all()
    assert level_shapes((5, 7, 9), 4) == [(5, 7, 9), (3, 4, 5), (2, 2, 3), (1, 1, 2)]


@pytest.mark.parametrize("dtype", ["float16", "float64", "complex64", "bool"])
def test_other_types_keep_their_type(dtype: str) -> None:
    data = np.ones((3, 4, 5), dtype)
    assert downsample_mean(data).dtype == data.dtype
    assert (downsample_mean(data) == 1).all()


def test_no_number_stays_no_number() -> None:
    data = np.zeros((4, 4, 4), np.float32)
    data[0, 0, 0] = np.nan
    coarse = downsample_mean(data)
    assert np.isnan(coarse[0, 0, 0])
    assert np.isfinite(coarse).sum() == 7


def test_labels_are_taken_not_mixed() -> None:
    data = np.arange(2 * 5 * 6 * 7).reshape(2, 5, 6, 7)
    coarse = downsample_nearest(data)
    assert coarse.shape == coarser_shape(data.shape)
    assert set(coarse.ravel()) <= set(data.ravel())
    assert (coarse == data[:, ::2, ::2, ::2]).all()


@given(SHAPES.map(lambda shape: tuple(size + 3 for size in shape)), st.tuples(*[st.integers(1, 5)] * 3))
def test_blocks_of_whole_chunks_split_no_pair(shape: Any, chunks: Any) -> None:
    data = np.random.default_rng(1).random(shape)
    edges = even_edges(chunks, shape)
    coarse = np.full(coarser_shape(shape), np.nan)
    for block in blocks(shape, edges):
        coarse[coarse_block(block)] = downsample_mean(data[block])
    np.testing.assert_allclose(coarse, downsample_mean(data))
    assert all(edge % chunk == 0 for edge, chunk in zip(edges, chunks, strict=True))


@st.composite
def selections(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], list[Any]]:
    shape = draw(st.tuples(*[st.integers(1, 20)] * 3))
    chunks = draw(st.tuples(*[st.integers(1, 8)] * 3))
    items: list[Any] = []
    for size in shape:
        bound = st.none() | st.integers(-size - 2, size + 2)
        items.append(
            draw(
                st.none() | st.integers(-size, size - 1) | st.builds(slice, bound, bound, st.none() | st.integers(1, 6))
            )
        )
    return shape, chunks, items


@settings(max_examples=300)
@given(selections())
def test_pieces_put_together_are_the_selection(drawn: Any) -> None:
    shape, chunks, items = drawn
    data = np.arange(np.prod(shape)).reshape(shape)
    selection, dropped = select(items, shape)
    out = np.full(shape_of(selection), -1)
    seen = []
    for piece in pieces(selection, shape, chunks):
        seen.append(piece.coordinates)
        corner = [at * edge for at, edge in zip(piece.coordinates, chunks, strict=True)]
        chunk = data[tuple(slice(first, first + edge) for first, edge in zip(corner, chunks, strict=True))]
        part = chunk[piece.inside]
        out[piece.target] = part
        assert piece.whole is (part.shape == chunk.shape)
    expected = data[tuple(slice(None) if item is None else item for item in items)]
    np.testing.assert_array_equal(out.squeeze(axis=dropped), expected)
    assert len(set(seen)) == len(seen) == count_pieces(selection, chunks)


def test_as_many_chunks_as_metadata_may_claim_are_planned_one_by_one() -> None:
    shape, ones = (2, 1, 2**24), (1, 1, 1)
    tracemalloc.start()
    try:
        for plan in (pieces(tuple(range(size) for size in shape), shape, ones), blocks(shape, ones)):
            assert len(list(islice(plan, 1000))) == 1000
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    wide, edges = (3, 40_000, 2), (2, 2, 2)
    selection = (range(3), range(7, 40_000, 3), range(2))
    planned = {piece.coordinates for piece in pieces(selection, wide, edges)}
    assert len(planned) == count_pieces(selection, edges) == len(list(pieces(selection, wide, edges)))
    assert len(list(blocks(wide, edges))) == 2 * 20_000


@pytest.mark.parametrize(
    "items", [[5, None, None], [-6, None, None], [None, None], [slice(None, None, -1), None, None]]
)
def test_selections_that_cannot_be(items: list[Any]) -> None:
    with pytest.raises(IndexError):
        select(items, (5, 5, 5))


@pytest.mark.parametrize("item", [[0, 1], 1.5, "x", ..., np.array([0, 1])])
def test_axes_are_selected_by_slices_and_indices_alone(item: Any) -> None:
    with pytest.raises(TypeError, match="axis 1 is selected by a slice or an index"):
        select([0, item, None], (5, 5, 5))


@pytest.mark.parametrize(
    ("highest", "least", "expected"),
    [
        (0, "uint8", "uint8"),
        (255, "uint8", "uint8"),
        (256, "uint8", "uint16"),
        (70000, "uint8", "uint32"),
        (2**32, "uint8", "uint64"),
        (3, "uint16", "uint16"),
    ],
)
def test_the_smallest_type_that_holds_all_labels(highest: int, least: str, expected: str) -> None:
    assert label_dtype(0, highest, least=np.dtype(least)) == np.dtype(expected)


@pytest.mark.parametrize(
    ("data", "dtype", "message"),
    [
        ([-1], None, "non-negative"),
        ([0.5], None, "integers"),
        ([np.nan], None, "finite"),
        ([np.inf], None, "finite"),
        ([300], "uint8", "do not fit uint8"),
        ([-1], "uint8", "do not fit uint8"),
        ([2], "bool", "do not fit bool"),
        ([2**24 + 1], "float32", "not exact"),
        ([2**65], None, "does not fit"),
    ],
)
def test_labels_that_would_change_are_refused(data: list[Any], dtype: str | None, message: str) -> None:
    array = np.array(data, dtype=np.float64) if isinstance(data[0], float) or data[0] > 2**63 else np.array(data)

    def store() -> object:
        return label_dtype(*value_range(array)) if dtype is None else cast_labels(array, np.dtype(dtype))

    with pytest.raises(ValueError, match=message):
        store()


def test_fractions_are_found_anywhere() -> None:
    data = np.zeros((40, 50, 60), np.float32)
    for index in product((0, 39), (0, 49), (0, 59)):
        data[index] = 0.5
        with pytest.raises(ValueError, match="integers"):
            value_range(data.transpose(2, 0, 1))
        data[index] = 0


def test_panoptic_values_must_mean_something() -> None:
    labels, instances = np.array([0, 1, 2]), np.array([0, 5, 0])
    check_panoptic(labels, instances, [1, 2])
    with pytest.raises(ValueError, match=r"\[2\]"):
        check_panoptic(labels, instances, [1])
    with pytest.raises(ValueError, match="1 background voxels"):
        check_panoptic(labels, np.array([1, 5, 0]), [1, 2])


@pytest.mark.parametrize(
    ("fine", "coarse", "stated", "expected"),
    [
        ((33,) * 5, (33, 17, 16, 11, 1), None, [1, 2, 2, 3, 33]),
        ((30, 8, 8, 0), (20, 9, 0, 0), None, [None, None, None, 1]),
        ((3, 3, 3), (1, 1, 1), None, [3, 3, 3]),
        ((3, 3, 3), (1, 1, 1), (2.0, 2.0, 2.0), [2, 2, 2]),
        ((5, 15, 14), (2, 4, 4), None, [4, 4, 4]),
        ((5, 16, 16), (5, 8, 8), None, [1, 2, 2]),
        ((2, 32, 32), (1, 8, 8), None, [2, 4, 4]),
        ((1, 32, 32), (1, 16, 16), (float("inf"), float("nan"), 2.0), [1, 2, 2]),
    ],
)
def test_factors_that_rounding_explains(fine: Any, coarse: Any, stated: Any, expected: Any) -> None:
    assert factors_between(fine, coarse, stated) == expected


@pytest.mark.parametrize("factors", [(1, 2, 2), (3, 1, 4), (1, 1, 1), (2, 2, 2)])
def test_means_over_other_factors(factors: Any) -> None:
    data = np.random.default_rng(0).normal(0, 100, (7, 9, 10))
    expected = np.empty([-(-size // factor) for size, factor in zip(data.shape, factors, strict=True)])
    for index in np.ndindex(*expected.shape):
        block = tuple(slice(at * factor, (at + 1) * factor) for at, factor in zip(index, factors, strict=True))
        expected[index] = data[block].mean()
    np.testing.assert_allclose(downsample_mean(data, factors), expected, rtol=1e-4, atol=1e-3)
