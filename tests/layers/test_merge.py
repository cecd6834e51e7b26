from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, strategies as st

from aiocopick.layers.merge import by_priority, merge
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.refs import PicksRef, Ref, RunRef, SegmentationRef, TomogramRef, VoxelSpacingRef


@dataclass(frozen=True)
class Named:
    """As much of a layer as a merge looks at."""

    name: str
    priority: int


names = st.sampled_from("abc")
sizes = st.sampled_from([5.0, 10.0, 10.0004])
refs: st.SearchStrategy[Ref] = st.one_of(
    st.builds(RunRef, run=names),
    st.builds(VoxelSpacingRef, run=names, voxel_size=sizes),
    st.builds(TomogramRef, run=names, voxel_size=sizes, tomo_type=names),
    st.builds(PicksRef, run=names, user_id=names, session_id=names, object_name=names),
    st.builds(
        SegmentationRef,
        run=names,
        voxel_size=sizes,
        user_id=names,
        session_id=names,
        name=names,
        is_multilabel=st.booleans(),
    ),
)
listings = st.lists(refs, unique=True, max_size=12).map(
    lambda found: Listing(tuple(Located(ref, f"key/{index}") for index, ref in enumerate(sorted(found))))
)
stacks = st.lists(st.tuples(st.integers(-1, 1), listings), min_size=1, max_size=4).map(
    lambda parts: [(Named(f"layer-{index}", priority), listing) for index, (priority, listing) in enumerate(parts)]
)


@given(stacks)
def test_every_entity_is_seen_once_in_order(stack) -> None:
    merged = merge(stack)
    refs = [item.ref for item in merged]
    assert refs == sorted(set(refs))
    assert set(refs) == {located.ref for _, listing in stack for located in listing.located}


@given(stacks)
def test_each_source_is_where_its_layer_listed_it(stack) -> None:
    for item in merge(stack):
        expected = {
            layer.name: located for layer, listing in stack for located in listing.located if located.ref == item.ref
        }
        assert {source.layer.name: source.located for source in item.sources} == expected


@given(stacks)
def test_the_highest_priority_is_seen_and_ties_keep_their_order(stack) -> None:
    order = [layer.name for layer in by_priority(layer for layer, _ in stack)]
    for item in merge(stack):
        held = [source.layer.name for source in item.sources]
        assert held == sorted(held, key=order.index)
        assert item.sources[0].layer.priority == max(source.layer.priority for source in item.sources)


@given(stacks)
def test_a_layer_that_holds_nothing_changes_nothing(stack) -> None:
    assert merge([*stack, (Named("empty", 5), Listing())]) == merge(stack)


@given(st.lists(st.integers(-3, 3), max_size=8))
def test_by_priority_is_stable(priorities: list[int]) -> None:
    layers = [Named(str(index), priority) for index, priority in enumerate(priorities)]
    ordered = by_priority(layers)
    assert sorted(ordered, key=lambda layer: int(layer.name)) == layers
    assert all(
        (first.priority, -int(first.name)) > (second.priority, -int(second.name)) for first, second in pairwise(ordered)
    )
