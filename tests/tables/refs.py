"""Refs of every kind, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from aiocopick.layout.refs import (
    FeaturesRef,
    FilamentsRef,
    MeshRef,
    ObjectRef,
    PicksRef,
    Ref,
    RunRef,
    SegmentationRef,
    TomogramRef,
    VoxelSpacingRef,
)

words = st.text("abcXYZ019-é漢 ", min_size=1, max_size=12)
sizes = st.floats(0.001, 5000, allow_nan=False)


def _annotations(kind: type[Ref]) -> st.SearchStrategy[Ref]:
    return st.builds(kind, run=words, user_id=words, session_id=words, object_name=words)


flags = st.sampled_from([{}, {"is_multilabel": True}, {"is_instance": True}, {"is_panoptic": True}])

refs: st.SearchStrategy[Ref] = st.one_of(
    st.builds(RunRef, run=words),
    st.builds(VoxelSpacingRef, run=words, voxel_size=sizes),
    st.builds(TomogramRef, run=words, voxel_size=sizes, tomo_type=words),
    st.builds(FeaturesRef, run=words, voxel_size=sizes, tomo_type=words, feature_type=words),
    _annotations(PicksRef),
    _annotations(MeshRef),
    _annotations(FilamentsRef),
    st.builds(
        lambda flag, **names: SegmentationRef(**names, **flag),
        flag=flags,
        run=words,
        voxel_size=sizes,
        user_id=words,
        session_id=words,
        name=words,
    ),
    st.builds(ObjectRef, name=words),
)
