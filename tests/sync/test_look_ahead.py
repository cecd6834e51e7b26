"""A run by name and the first look into it are one request, also of blocking code."""

from __future__ import annotations

from aiocopick import CopickConfigFS, CopickRootFS
from tests.servers.s3 import MotoServer

FILES = {
    "p/ExperimentRuns/TS_1/Picks/u_1_ribosome.json": b"[]",
    "p/ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr/.zgroup": b"{}",
}


def test_one_listing_by_blocking_code(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, FILES)
    with CopickRootFS(CopickConfigFS(root=f"s3://{bucket}/p", fs_args=moto_server.fs_args())) as root:
        with moto_server.counting() as counts:
            run = root.get_run("TS_1")
            assert run is not None
            assert (root._runs, run._picks, run._voxel_spacings, run._segmentations) == (None,) * 4
            assert len(run.picks) == len(run.voxel_spacings) == len(run.voxel_spacings[0].tomograms) == 1
        assert counts == {"ListObjectsV2": 1}
        with moto_server.counting() as counts:
            run = root.get_run("TS_1")
            assert run is not None
            assert len(run.query_picks()) == 1
            run.refresh_picks()
        assert counts == {"ListObjectsV2": 2}
