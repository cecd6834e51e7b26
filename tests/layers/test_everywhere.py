"""However a project is listed, and wherever it lies, the same is found in it."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from aiocopick.errors import CopickError
from aiocopick.layers import flat
from aiocopick.layers.copying import without_parts
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layout.listing import Listing, Located, parse_run
from aiocopick.layout.paths import key_of
from aiocopick.layout.refs import RunRef
from aiocopick.models import CopickConfigFS
from aiocopick.storage import Entry, Storage, open_storage
from aiocopick.storage.backends.base import Page
from aiocopick.storage.backends.memory import MemoryBackend
from aiocopick.storage.managed import ManagedStorage
from aiocopick.storage.settings import Settings
from tests.servers.listings import ListingServer

Contents = Mapping[str, bytes]

INSIDE = (
    ".meta",
    "VoxelSpacing10.000/.meta",
    "VoxelSpacing10.000/wbp.zarr/.zgroup",
    "VoxelSpacing10.000/wbp.zarr/0/0/0/0",
    "VoxelSpacing10.000/.wbp.zarr.copying",
    "VoxelSpacing10.000/wbp_sobel_features.zarr/0/0/0/0",
    "VoxelSpacing5/odd.zarr/.zattrs",
    "Picks/u_1_ribosome.json",
    "Picks/u_1_ribosome.json.bak",
    "Picks/unparsable.json",
    "Meshes/u_1_membrane.glb",
    "Filaments/u_1_actin.json",
    "Segmentations/10.000_u_1_all-multilabel.zarr/.zgroup",
    "Segmentations/10.000_u_1_all-multilabel.zarr/0/0",
    "PanopticSegmentations/10.000_u_1_all.zarr/.zgroup",
    "frames/0001.tif",
    "frames.zarr/0",
    "note.txt",
)

_LARGE = "TS_5/VoxelSpacing10.000/wbp.zarr"

FIXED: Contents = {
    # A volume of more chunks than a page has keys.
    **{f"ExperimentRuns/{_LARGE}/0/{chunk:04}": b"x" for chunk in range(1001)},
    f"ExperimentRuns/{_LARGE}/.zattrs": b"{}",
    "ExperimentRuns/TS_5/Picks/u_1_ribosome.json": b"[]",
    "ExperimentRuns/TS_5/Segmentations/10.000_u_1_all.zarr/.zgroup": b"{}",
    # Pages that are mostly not ours.
    **{f"ExperimentRuns/raw/frames/{number:04}.tif": b"x" for number in range(600)},
    "ExperimentRuns/raw/Picks/u_1_ribosome.json": b"[1]",
    # A run that looks like a volume.
    "ExperimentRuns/TS_7.zarr/Picks/u_1_ribosome.json": b"[12]",
    "ExperimentRuns/TS_7.zarr/VoxelSpacing10.000/wbp.zarr/0/0": b"x",
}
"""What every project holds beside what is drawn."""

NAMES = st.text(st.sampled_from("abTS_01-. é!~"), min_size=1, max_size=6).filter(
    lambda name: not name.startswith(".") and not name.endswith(".") and name.strip() == name
)
RUNS = st.dictionaries(
    st.one_of(NAMES, NAMES.map(lambda name: f"{name}.zarr")),
    st.lists(st.sampled_from(INSIDE), min_size=1, unique=True),
    min_size=4,
    max_size=12,
)


# --- places -----------------------------------------------------------------------------------------------------------


class Place:
    """Keeps a project; what is drawn replaces what was drawn before."""

    def __init__(self, config: CopickConfigFS, put: Callable[[Contents], None]) -> None:
        self.config = config
        self._put = put
        self._drawn: list[str] = []
        put(FIXED)

    async def hold(self, runs: Mapping[str, Iterable[str]]) -> Contents:
        """Replace the runs that were drawn before; returns all that is there."""
        storage = self.storage()
        for name in self._drawn:
            await storage.delete_tree(f"ExperimentRuns/{name}")
        await storage.aclose()
        self._drawn = list(runs)
        drawn = drawn_contents(runs)
        self._put(drawn)
        return {**FIXED, **drawn}

    def storage(self) -> Storage:
        return open_storage(self.config)


@pytest.fixture(
    scope="module",
    params=[
        "disk",
        # Each lists the drawn projects in eight ways, by requests.
        pytest.param("moto", marks=pytest.mark.slow),
        pytest.param("minio", marks=pytest.mark.minio),
        pytest.param("gcs", marks=[pytest.mark.gcs, pytest.mark.slow]),
        pytest.param("azure", marks=pytest.mark.azure),
    ],
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "disk":
        folder = tmp_path_factory.mktemp("everywhere")
        yield Place(CopickConfigFS(root=str(folder)), lambda contents: _write(folder, contents))
        shutil.rmtree(folder)
        return
    server = request.getfixturevalue(f"{request.param}_server")
    bucket = server.new_bucket("everywhere")
    scheme = {"gcs": "gs", "azure": "az"}.get(request.param, "s3")
    config = CopickConfigFS(root=f"{scheme}://{bucket}/p", fs_args=server.fs_args())
    yield Place(config, lambda contents: server.seed(bucket, {f"p/{key}": data for key, data in contents.items()}))


def _write(folder: Path, contents: Contents) -> None:
    for key, content in contents.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# --- ways -------------------------------------------------------------------------------------------------------------


def located(names: Iterable[str]) -> list[Located]:
    return [Located(RunRef(run=name), key_of(RunRef(run=name))) for name in names]


def drawn_contents(runs: Mapping[str, Iterable[str]]) -> Contents:
    return {f"ExperimentRuns/{name}/{inside}": b"{}" for name, insides in runs.items() for inside in insides}


def names_in(contents: Contents) -> list[str]:
    return sorted({key.split("/")[1] for key in contents})


def expected(contents: Contents, names: Iterable[str]) -> dict[str, Listing]:
    """What is there, out of the keys alone."""
    found = {}
    for name in names:
        base = f"ExperimentRuns/{name}/"
        entries = [Entry(key, size=len(data)) for key, data in contents.items() if key.startswith(base)]
        found[name] = without_parts(parse_run(RunRef(run=name), entries))
    return found


def plain(listing: Listing | CopickError) -> Listing:
    """A listing without what only the place knows."""
    assert isinstance(listing, Listing)
    return Listing(tuple(item._replace(etag=None, modified=None) for item in listing.located), listing.skipped)


async def every_way(storage: Storage, config: CopickConfigFS, names: list[str]) -> dict[str, dict[str, Any]]:
    """Listings by run, for each way to get them."""
    slashes = open_storage(config) if type(storage) is not OddStorage else storage.twin()
    slashes._core.capabilities = dataclasses.replace(slashes.capabilities, delimiter=False)  # type: ignore[attr-defined]
    ways: dict[str, dict[str, Any]] = {}
    for name, below in (("collapsing", storage), ("walking", slashes)):
        layer = FilesystemLayer(config, below)
        ways[f"{name}, run by run"] = {run.ref.run: await layer.list_run(run) for run in located(names)}  # type: ignore[attr-defined]
        for size in (3, flat.BLOCK):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(flat, "BLOCK", size)
                patch.setattr(flat, "FEW", 2)
                scan = flat.scan_ranges(below, located(names), layer.list_run, layer._understood, limit=4)
                async with scan as answers:
                    ways[f"{name}, {size} runs a range"] = {run.ref.run: found async for run, found in answers}  # type: ignore[attr-defined]
        async with layer.scan(located(names)) as answers:
            ways[f"{name}, as the layer likes"] = {run.ref.run: found async for run, found in answers}  # type: ignore[attr-defined]
    await slashes.aclose()
    return ways


async def check(storage: Storage, config: CopickConfigFS, contents: Contents, names: list[str]) -> None:
    truth = expected(contents, names)
    layer = FilesystemLayer(config, storage)
    assert [run.ref.run for run in (await layer.list_runs()).located] == names_in(contents)  # type: ignore[attr-defined]
    first: dict[str, Any] | None = None
    for way, found in (await every_way(storage, config, names)).items():
        assert {name: plain(listing) for name, listing in found.items()} == truth, way
        assert list(found) == names, way
        # Sizes, versions and times are the same as well.
        first = first or found
        assert found == first, way


# --- on real servers --------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.timeout(600)
@settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(runs=RUNS, data=st.data())
async def test_a_project_is_the_same_however_it_is_listed(
    place: Place, runs: dict[str, list[str]], data: st.DataObject
) -> None:
    contents = await place.hold(runs)
    everything = names_in(contents)
    left_out = data.draw(st.sets(st.sampled_from(everything), max_size=3))
    storage = place.storage()
    await check(storage, place.config, contents, [name for name in everything if name not in left_out])
    await storage.aclose()


# --- on servers with faults -------------------------------------------------------------------------------------------


class OddStorage(ManagedStorage):
    """Objects in memory, listed by a server with faults."""

    __slots__ = ("kind", "resumes", "size")

    @classmethod
    def over(cls, config: CopickConfigFS, kind: str, size: int, resumes: bool) -> OddStorage:
        class OddBackend(MemoryBackend):
            counts_keys = kind == "raw"

            async def list_page(
                self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
            ) -> Page:
                return await self.server.fetch(prefix, delimiter, start_after, token)

            @functools.cached_property
            def server(self) -> ListingServer:
                # Nothing is written any more when the first page is asked for.
                keys = [path[len(self._base) :] for path in self._store if path.startswith(self._base)]
                return ListingServer(keys, kind, size)

        OddBackend.resumes = resumes
        storage = cls.make(Settings.of(config), OddBackend)
        assert isinstance(storage, cls)
        storage.kind, storage.size, storage.resumes = kind, size, resumes
        return storage

    def twin(self) -> OddStorage:
        return self.over(CopickConfigFS(root=self._settings.root), self.kind, self.size, self.resumes)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["good", "raw", "deaf", "blind", "twice", "cutting", "stuck"])
@settings(max_examples=4, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(runs=RUNS, size=st.sampled_from([60, 1000]), by_key=st.booleans())
async def test_faults_of_a_server_hide_and_invent_nothing(
    kind: str, runs: dict[str, list[str]], size: int, by_key: bool
) -> None:
    config = CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project")
    contents = dict.fromkeys({**FIXED, **drawn_contents(runs)}, b"x")
    # A server whose token does not advance has to be asked by key.
    storage = OddStorage.over(config, kind, size, by_key or kind == "raw")
    await storage.write_many(contents.items())
    await check(storage, config, contents, names_in(contents))
    await storage.delete_many(contents)
