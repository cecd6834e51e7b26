"""The synchronous filesystem that ``CopickConfigFS.fs()`` gives."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from aiocopick.errors import ReadOnlyError
from aiocopick.storage import filesystem
from aiocopick.storage.filesystem import make_filesystem
from aiocopick.storage.settings import Settings
from tests.servers.s3 import MotoServer

CHANGES = [
    lambda fs, path: fs.pipe_file(path, b"x"),
    lambda fs, path: fs.pipe({path: b"x"}),
    lambda fs, path: fs.write_bytes(path, b"x"),
    lambda fs, path: fs.write_text(path, "x"),
    lambda fs, path: fs.open(path, "wb"),
    lambda fs, path: fs.open(path, "ab"),
    lambda fs, path: fs.open(path, mode="r+b"),
    lambda fs, path: fs.touch(path),
    lambda fs, path: fs.rm(path),
    lambda fs, path: fs.rm_file(path),
    lambda fs, path: fs.delete(path),
    lambda fs, path: fs.mv(path, f"{path}2"),
    lambda fs, path: fs.move(path, f"{path}2"),
    lambda fs, path: fs.rename(path, f"{path}2"),
    lambda fs, path: fs.cp_file(path, f"{path}2"),
    lambda fs, path: fs.copy(path, f"{path}2"),
    lambda fs, path: fs.cp(path, f"{path}2"),
    lambda fs, path: fs.put_file(__file__, path),
    lambda fs, path: fs.put(__file__, path),
    lambda fs, path: fs.upload(__file__, path),
    lambda fs, path: fs.mkdir(f"{path}3"),
    lambda fs, path: fs.makedirs(f"{path}3/4"),
    lambda fs, path: fs.makedir(f"{path}3"),
    lambda fs, path: fs.rmdir(path),
    lambda fs, path: fs.get_mapper(f"{path}4", create=True),
    lambda fs, path: fs.get_mapper(path).update({"b": b"x"}),
]


@pytest.fixture(params=["file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    if request.param == "file":
        return str(tmp_path), {}
    if request.param == "memory":
        return f"memory://{tmp_path.name}", {}
    server: MotoServer = request.getfixturevalue("moto_server")
    return f"s3://{server.new_bucket()}", server.fs_args()


def test_it_reads_and_writes(place: tuple[str, dict[str, Any]]) -> None:
    root, arguments = place
    fs = make_filesystem(Settings(root=root, fs_args=arguments))
    fs.makedirs(f"{root}/a", exist_ok=True)
    fs.pipe_file(f"{root}/a/b", b"content")
    assert fs.cat_file(f"{root}/a/b") == b"content"
    assert [name.rpartition("/")[2] for name in fs.ls(f"{root}/a", detail=False)] == ["b"]


def test_it_is_one_and_is_kept(place: tuple[str, dict[str, Any]]) -> None:
    root, arguments = place
    first = make_filesystem(Settings(root=root, fs_args=arguments))
    assert make_filesystem(Settings(root=root, fs_args=dict(arguments))) is first
    assert make_filesystem(Settings(root=root, fs_args=arguments, read_only=True)) is not first


def test_it_works_inside_a_running_loop(place: tuple[str, dict[str, Any]]) -> None:
    root, arguments = place

    async def main() -> bytes:
        fs = make_filesystem(Settings(root=root, fs_args=arguments))
        fs.pipe_file(f"{root}/a", b"content")
        return bytes(fs.cat_file(f"{root}/a"))

    assert asyncio.run(main()) == b"content"


def test_it_sees_what_others_write(place: tuple[str, dict[str, Any]]) -> None:
    root, arguments = place
    fs = make_filesystem(Settings(root=root, fs_args=arguments))
    other = make_filesystem(Settings(root=root, fs_args=arguments, read_only=True))
    fs.pipe_file(f"{root}/a", b"1")
    assert len(other.ls(root)) == 1
    fs.pipe_file(f"{root}/b", b"2")
    assert len(other.ls(root)) == 2


@pytest.fixture(scope="module", params=["file", "memory", "s3"])
def kept_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A root with one object, which nothing may change: the filesystems of a root are made once."""
    root, arguments = str(tmp_path_factory.mktemp("kept")), {}
    if request.param == "memory":
        root = f"memory://{uuid.uuid4().hex}"
    elif request.param == "s3":
        server: MotoServer = request.getfixturevalue("moto_server")
        root, arguments = f"s3://{server.new_bucket()}", server.fs_args()
    make_filesystem(Settings(root=root, fs_args=arguments)).pipe_file(f"{root}/a", b"content")
    return root, arguments


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_read_only_refuses_every_change(kept_place: tuple[str, dict[str, Any]], number: int) -> None:
    root, arguments = kept_place
    fs = make_filesystem(Settings(root=root, fs_args=arguments, read_only=True))
    with pytest.raises(ReadOnlyError):
        CHANGES[number](fs, f"{root}/a")
    assert fs.cat_file(f"{root}/a") == b"content"
    assert len(fs.ls(root)) == 1
    with fs.open(f"{root}/a", "rb") as file:
        assert file.read() == b"content"


S3_DOORS = [
    lambda fs, bucket: fs.call_s3("put_object", Bucket=bucket, Key="b", Body=b"x"),
    lambda fs, bucket: asyncio.run(fs._call_s3("delete_object", Bucket=bucket, Key="a")),
    lambda fs, bucket: fs.make_bucket_versioned(bucket, True),
    lambda fs, bucket: fs.put_tags(f"{bucket}/a", {"b": "c"}),
    lambda fs, bucket: fs.chmod(f"{bucket}/a", "public-read"),
    lambda fs, bucket: fs.merge(f"{bucket}/b", [f"{bucket}/a"]),
    lambda fs, bucket: fs.url(f"{bucket}/a", client_method="put_object"),
    lambda fs, bucket: fs.sign(f"{bucket}/a", 60, client_method="put_object"),
]


@pytest.mark.parametrize("door", S3_DOORS)
def test_read_only_refuses_what_only_s3_offers(moto_server: MotoServer, door: Callable[[Any, str], object]) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"a": b"content"})
    fs = make_filesystem(Settings(root=f"s3://{bucket}", fs_args=moto_server.fs_args(), read_only=True))
    with pytest.raises(ReadOnlyError):
        door(fs, bucket)
    assert moto_server.keys(bucket) == ["a"]
    assert fs.url(f"{bucket}/a").startswith("http")


@pytest.mark.parametrize("protocol", ["file", "memory", "s3", "gs", "az", "http", "sftp", "zip", "reference"])
def test_read_only_offers_nothing_that_is_not_known_to_read(protocol: str) -> None:
    kind = filesystem._read_only(fsspec.get_filesystem_class(protocol))
    allowed = filesystem._READING | filesystem._OPENING | filesystem._SIGNING
    inherited = {
        name
        for name in dir(kind)
        if not name.startswith("_") and name not in allowed and callable(getattr(kind, name)) and name not in vars(kind)
    }
    assert {name for name in inherited if not isinstance(getattr(kind, name), type)} == set()


def test_read_only_reads_in_every_common_way() -> None:
    folder = f"/{uuid.uuid4().hex}"
    fsspec.filesystem("memory").pipe(f"{folder}/a", b"content")
    fs = make_filesystem(Settings(root=f"memory:/{folder}", read_only=True))
    path = f"{folder}/a"
    for name in ("cat", "cat_file", "read_bytes"):
        assert getattr(fs, name)(path) == b"content"
    for name in ("exists", "isfile", "lexists"):
        assert getattr(fs, name)(path) is True
    for name in ("info", "stat"):
        assert getattr(fs, name)(path)["size"] == 7
    for name in ("ls", "listdir", "find", "expand_path", "glob"):
        assert getattr(fs, name)(f"{folder}/*" if name == "glob" else folder)
    for name in ("checksum", "created", "modified", "ukey", "unstrip_protocol"):
        assert getattr(fs, name)(path)
    assert (fs.size(path), fs.sizes([path]), fs.du(folder)) == (7, [7], 7)
    assert (fs.head(path, 2), fs.tail(path, 2), fs.read_block(path, 1, 2)) == (b"co", b"nt", b"on")
    assert (fs.read_text(path), dict(fs.get_mapper(folder))) == ("content", {"a": b"content"})
    assert fs.isdir(folder)
    assert list(fs.walk(folder))
    assert fs.tree(folder)
    assert fs.to_json()
    assert fs.to_dict()
