"""Names and refs for property tests."""

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

_LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters='<>:"/\\|?*_')

clean_names = (
    st.text(_LETTERS, min_size=1, max_size=20)
    .map(lambda text: text.strip("-"))
    .filter(lambda text: text and not text.startswith(".") and not text.endswith("-multilabel"))
)
run_names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=40
).filter(lambda text: not text.startswith("."))
voxel_sizes = st.floats(min_value=0.001, max_value=1e6, allow_nan=False)
_annotation = {"run": run_names, "user_id": clean_names, "session_id": clean_names, "object_name": clean_names}
_spacing = {"run": run_names, "voxel_size": voxel_sizes}


def _segmentation(type_: str, fields: dict[str, object]) -> SegmentationRef:
    flags = {} if type_ == "binary" else {f"is_{type_}": True}
    return SegmentationRef(**fields, **flags)  # type: ignore[arg-type]


refs: st.SearchStrategy[Ref] = st.one_of(
    st.builds(RunRef, run=run_names),
    st.builds(VoxelSpacingRef, **_spacing),
    st.builds(TomogramRef, **_spacing, tomo_type=clean_names),
    st.builds(FeaturesRef, **_spacing, tomo_type=clean_names, feature_type=clean_names),
    st.builds(PicksRef, **_annotation),
    st.builds(MeshRef, **_annotation),
    st.builds(FilamentsRef, **_annotation),
    st.builds(
        _segmentation,
        st.sampled_from(["binary", "multilabel", "instance", "panoptic"]),
        st.fixed_dictionaries(_spacing | {"user_id": clean_names, "session_id": clean_names, "name": clean_names}),
    ),
    st.builds(ObjectRef, name=clean_names),
)
