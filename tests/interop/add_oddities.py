"""Leave in a project what people, other tools and operating systems leave in real ones.

    python add_oddities.py FOLDER

FOLDER/project is a project. Every oddity gets a run of its own, so that one which copick cannot list hides nothing
else; each function below says what it leaves, and what copick 1.31 makes of it where that differs from what we read.
FOLDER/elsewhere is what a link leads to. Empty folders exist on disk only: an object store has none. Standard library
only.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POINT = {"location": {"x": 1.0, "y": 2.0, "z": 3.0}}
SHAPE = (3, 4, 5)
MAC_JUNK = b"\x00\x00\x00\x01Bud1"


def main(folder: Path) -> None:
    runs = folder / "project" / "ExperimentRuns"
    for name, leave in ODDITIES.items():
        run = runs / name
        run.mkdir()
        (run / ".meta").write_text("meta")
        leave(run)
    beside_the_runs(runs)
    a_linked_run(runs, folder / "elsewhere" / "deposited")


def beside_the_runs(runs: Path) -> None:
    """Hidden entries and a plain file where only runs should be: none of them is a run."""
    (runs / ".DS_Store").write_bytes(MAC_JUNK)
    (runs / ".ipynb_checkpoints" / "Picks").mkdir(parents=True)
    write_picks(runs / ".ipynb_checkpoints" / "Picks" / "alice_1_ribosome.json", [POINT])
    (runs / "README.txt").write_text("Collected in June.\n")


def a_linked_run(runs: Path, target: Path) -> None:
    """A run that is a link to a folder outside of the project, as copick's own deposit makes them."""
    write_picks(target / "Picks" / "alice_1_ribosome.json", [POINT])
    (target / ".meta").write_text("meta")
    (runs / "odd-link").symlink_to(Path("../../elsewhere") / target.name, target_is_directory=True)


def unparsable_picks(run: Path) -> None:
    """Names that are no `user_session_object`, beside one that is. copick 1.31 fails on the whole folder."""
    for name in ("notes", "alice_1", "alice_1_", "_1_ribosome", "alice__ribosome", "alice_1_ribosome"):
        write_picks(run / "Picks" / f"{name}.json", [POINT])
    (run / "Picks" / "readme.txt").write_text("not picks")


def underscored_names(run: Path) -> None:
    """Underscores in the object name. Of picks and meshes copick 1.31 takes the part before the next one for it."""
    write_picks(run / "Picks" / "alice_1_large_ribosome_60S.json", [POINT])
    mesh = next((run.parent / "TS_001" / "Meshes").glob("*.glb")).read_bytes()
    write(run / "Meshes" / "alice_1_inner_membrane.glb", mesh)
    write_volume(run / "Segmentations" / "10.000_alice_1_inner_membrane.zarr")


def picks_of_every_form(run: Path) -> None:
    """Contents that others write: the bare list, flat points, no points, NaN, unknown keys, half a file, no object."""
    envelope = {"pickable_object_name": "ribosome", "user_id": "alice", "session_id": "1"}
    contents = {
        "bare-list": json.dumps([POINT, POINT]),
        "flat-list": json.dumps([{"x": 1.0, "y": 2.0, "z": 3.0, "score": 0.5}]),
        "no-points": json.dumps(envelope | {"points": None}),
        "nan-score": json.dumps(envelope | {"points": [POINT | {"score": float("nan")}]}),
        "unknown-keys": json.dumps(
            envelope | {"points": [POINT | {"class": 3}], "software": {"name": "tool"}, "trust_orientation": False}
        ),
        "number-session": json.dumps(envelope | {"session_id": 7, "points": [POINT]}),
        "truncated": json.dumps(envelope | {"points": [POINT] * 3})[:-40],
        "nothing": "",
    }
    for session, text in contents.items():
        write(run / "Picks" / f"alice_{session}_ribosome.json", text.encode())


def unparsable_meshes(run: Path) -> None:
    """Names that are no `user_session_object` and a file that is no GLB. copick 1.31 fails on the whole folder."""
    for name in ("surface", "alice_1", "alice_1_membrane"):
        write(run / "Meshes" / f"{name}.glb", b"glTF but not really")


def segmentation_names(run: Path) -> None:
    """Sizes written otherwise, suffixes in the middle, and names that are no segmentation's.

    copick lists `10_u_0_x` and looks for it at `10.000_u_0_x`.
    """
    readable = ("10_u_0_x", "10.0000_alice_2_membrane", "10.000_alice_3_a-multilabel-b", "10.000_alice_4_m-multilabel")
    unreadable = ("notes", "10.000_alice_1", "ten_alice_1_membrane", "10.000_alice__membrane", "10.000_alice_1_")
    for name in readable + unreadable:
        write_volume(run / "Segmentations" / f"{name}.zarr")
    write(run / "Segmentations" / "10.000_alice_9_membrane.mrc", b"a volume of another format")


def voxel_spacing_without_decimals(run: Path) -> None:
    """`VoxelSpacing5`: readable under the name it has. copick lists it and looks for its tomograms in 5.000."""
    write_volume(run / "VoxelSpacing5" / "wbp.zarr", size=5.0)


def unparsable_voxel_spacing(run: Path) -> None:
    """A folder that begins like a voxel spacing. copick 1.31 fails on the whole run."""
    write_volume(run / "VoxelSpacing10.000" / "wbp.zarr")
    write_volume(run / "VoxelSpacing-old" / "wbp.zarr")


def ambiguous_features(run: Path) -> None:
    """Tomogram types of which one begins like the other; features without a tomogram; `features` inside a name.

    copick lists `wbp_ctf_edges_features` under both types, and `wbp-features-v2` not at all.
    """
    names = ("wbp", "wbp_ctf", "wbp_edges_features", "wbp_ctf_edges_features", "a_features", "x_y_features")
    for name in (*names, "wbp-features-v2"):
        write_volume(run / "VoxelSpacing10.000" / f"{name}.zarr")
    write(run / "VoxelSpacing10.000" / "raw.zarr", b"a file, not a folder")


def hidden_files(run: Path) -> None:
    """What operating systems and notebooks drop into every folder, each beside one real entity."""
    write_picks(run / "Picks" / "alice_1_ribosome.json", [POINT])
    write_volume(run / "VoxelSpacing10.000" / "wbp.zarr")
    write_volume(run / "Segmentations" / "10.000_alice_1_membrane.zarr")
    for folder in (run, run / "Picks", run / "VoxelSpacing10.000", run / "Segmentations"):
        write(folder / ".DS_Store", MAC_JUNK)
        write(folder / ".ipynb_checkpoints" / "alice_1_ribosome-checkpoint.json", b"{}")
    write(run / "Picks" / "._alice_1_ribosome.json", MAC_JUNK)
    write_volume(run / "VoxelSpacing10.000" / ".wbp-tmp.zarr")
    write_volume(run / "Segmentations" / ".10.000_alice_2_membrane.zarr")
    # Inside a volume as well, where it is nobody's chunk.
    write(run / "VoxelSpacing10.000" / "wbp.zarr" / ".DS_Store", MAC_JUNK)


def raw_frames(run: Path) -> None:
    """Movie frames and their metadata kept beside the annotations: many entries that are nobody's."""
    for number in range(40):
        write(run / "Frames" / f"{run.name}_{number:03}_{number * 3 - 60}.0.tif", b"II*\x00" + bytes(60))
        write(run / "Frames" / f"{run.name}_{number:03}.mdoc", b"[ZValue = 0]\n")
    write_picks(run / "Picks" / "alice_1_ribosome.json", [POINT])


def named_like_a_volume(run: Path) -> None:
    """A run called `x.zarr`: it has everything a run can have. copick does not find its features."""
    write_picks(run / "Picks" / "alice_1_ribosome.json", [POINT])
    write_volume(run / "VoxelSpacing10.000" / "wbp.zarr")
    write_volume(run / "VoxelSpacing10.000" / "wbp_edges_features.zarr")
    write_volume(run / "Segmentations" / "10.000_alice_1_membrane.zarr")


def without_metadata(run: Path) -> None:
    """No `.meta`, neither of the run nor of its voxel spacing: many datasets are so."""
    (run / ".meta").unlink()
    write_volume(run / "VoxelSpacing10.000" / "wbp.zarr")


def nothing(run: Path) -> None:
    """A run that was made and left."""


def metadata_as_json(run: Path) -> None:
    """A `.meta` that is an object, with a name that the path overrules and keys that nobody knows."""
    write(run / ".meta", json.dumps({"name": "another name", "microscope": {"kv": 300}}).encode())


def metadata_broken(run: Path) -> None:
    """A `.meta` that is half an object: an error when it is read, never when the run is listed."""
    write(run / ".meta", b'{"name": "odd-meta-bro')


def metadata_list(run: Path) -> None:
    """A `.meta` that is JSON, and no object."""
    write(run / ".meta", b"[1, 2]")


def volumes_by_others(run: Path) -> None:
    """Other level names, chunk separators and units, no OME metadata, zarr 3, both formats, and no level at all."""
    spacing = run / "VoxelSpacing10.000"
    write_volume(spacing / "level-name.zarr", level="s0")
    write_volume(spacing / "dots.zarr", separator=".")
    write_volume(spacing / "nanometers.zarr", unit="nanometer", size=1.0)
    write_volume(spacing / "no-unit.zarr", unit=None)
    write_volume(spacing / "no-ome.zarr", ome=False)
    write_volume3(spacing / "zarr3.zarr")
    write_volume(spacing / "both.zarr", first=1000)
    write_volume3(spacing / "both.zarr")
    write(spacing / "empty-group.zarr" / ".zgroup", b'{"zarr_format": 2}')
    write(spacing / "no-metadata.zarr" / "0" / "0" / "0" / "0", b"")
    (spacing / "empty-folder.zarr").mkdir()


ODDITIES: dict[str, Callable[[Path], None]] = {
    "odd-picks-names": unparsable_picks,
    "odd-picks-content": picks_of_every_form,
    "odd-underscores": underscored_names,
    "odd-mesh-names": unparsable_meshes,
    "odd-segmentation-names": segmentation_names,
    "odd-spacing": voxel_spacing_without_decimals,
    "odd-spacing-name": unparsable_voxel_spacing,
    "odd-features": ambiguous_features,
    "odd-hidden": hidden_files,
    "odd-frames": raw_frames,
    "x.zarr": named_like_a_volume,
    "odd-no-meta": without_metadata,
    "odd-empty": nothing,
    "odd-meta-json": metadata_as_json,
    "odd-meta-broken": metadata_broken,
    "odd-meta-list": metadata_list,
    "odd-volumes": volumes_by_others,
}


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_json(path: Path, value: object) -> None:
    write(path, json.dumps(value, indent=4).encode())


def write_picks(path: Path, points: Sequence[Mapping[str, object]]) -> None:
    """Picks as copick writes them, with the least that it needs."""
    user, session, name = [*path.stem.split("_", 2), "", ""][:3]
    write_json(path, {"pickable_object_name": name, "user_id": user, "session_id": session, "points": points})


def values(first: int) -> bytes:
    """The values `first`, `first` + 1, ... of a volume in C order, as little-endian 32-bit floats."""
    count = SHAPE[0] * SHAPE[1] * SHAPE[2]
    return struct.pack(f"<{count}f", *range(first, first + count))


def multiscales(level: str, unit: str | None, size: float) -> list[dict[str, object]]:
    axes = [{"name": axis, "type": "space"} | ({"unit": unit} if unit else {}) for axis in "zyx"]
    scale = {"type": "scale", "scale": [size] * 3}
    return [{"axes": axes, "datasets": [{"path": level, "coordinateTransformations": [scale]}], "version": "0.4"}]


def write_volume(
    folder: Path,
    *,
    level: str = "0",
    separator: str = "/",
    unit: str | None = "angstrom",
    size: float = 10.0,
    ome: bool = True,
    first: int = 0,
) -> None:
    """An uncompressed zarr 2 volume of one chunk, with OME 0.4 metadata unless told otherwise."""
    write_json(folder / ".zgroup", {"zarr_format": 2})
    if ome:
        write_json(folder / ".zattrs", {"multiscales": multiscales(level, unit, size)})
    array = {
        "zarr_format": 2,
        "shape": SHAPE,
        "chunks": SHAPE,
        "dtype": "<f4",
        "compressor": None,
        "filters": None,
        "fill_value": 0,
        "order": "C",
        "dimension_separator": separator,
    }
    write_json(folder / level / ".zarray", array)
    write(folder / level / separator.join("000"), values(first))


def write_volume3(folder: Path) -> None:
    """An uncompressed zarr 3 volume of one chunk with OME 0.5 metadata."""
    ome = {"version": "0.5", "multiscales": multiscales("0", "angstrom", 10.0)}
    write_json(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}})
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": SHAPE,
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": SHAPE}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "dimension_names": ["z", "y", "x"],
        "attributes": {},
    }
    write_json(folder / "0" / "zarr.json", array)
    write(folder / "0" / "c" / "0" / "0" / "0", values(0))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
