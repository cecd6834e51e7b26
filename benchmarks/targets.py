"""Where a project lies: a temporary folder, moto, MinIO, a late store, or a URL of the user's; and how it gets there
quickly.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

from tests.servers.process import Server
from tests.servers.programs import PROGRAMS
from tests.servers.s3 import MinioServer, MotoServer, S3Server
from tests.servers.toxiproxy import ToxiproxyServer

from benchmarks.datasets import Content, Dataset
from benchmarks.late_store import BUCKET, LateStore

RUNS = "ExperimentRuns"


class Target(ABC):
    """A place for projects; a context manager that leaves nothing behind.

    Parameters
    ----------
    latencies : iterable of int
        Milliseconds by which answers are to be held up, where that can be done.

    Attributes
    ----------
    kind : str
        ``disk``, ``moto``, ``minio``, ``late`` or ``url``.
    latencies : tuple of int
        Those that can be had.
    """

    kind: str

    def __init__(self, latencies: Iterable[int] = (0,)) -> None:
        self.latencies: tuple[int, ...] = (0,)
        self._stack = ExitStack()
        self._start(tuple(latencies))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def seed(self, dataset: Dataset) -> dict[str, str]:
        """Write a project and return its addresses: ``url``, and ``static_url`` of the one below it."""
        addresses = {"url": self._seed(uuid.uuid4().hex[:12], dataset)}
        if dataset.below is not None:
            addresses["static_url"] = self._seed(uuid.uuid4().hex[:12], dataset.below)
        return addresses

    def reach(self, addresses: Mapping[str, str], latency: int) -> dict[str, Any]:
        """What a sample has to know to get at a seeded project: :class:`benchmarks.child.Bench`."""
        return {**addresses, "fs_args": {}}

    @abstractmethod
    def remove(self, addresses: Mapping[str, str]) -> None:
        """Delete a seeded project."""

    @abstractmethod
    def about(self) -> str:
        """Name and version for readers."""

    @abstractmethod
    def _start(self, latencies: tuple[int, ...]) -> None: ...

    @abstractmethod
    def _seed(self, name: str, dataset: Dataset) -> str: ...


class DiskTarget(Target):
    """A temporary folder."""

    kind = "disk"

    def _start(self, latencies: tuple[int, ...]) -> None:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))

    def about(self) -> str:
        return "a temporary folder"

    def _seed(self, name: str, dataset: Dataset) -> str:
        folder = self._folder / name
        folder.mkdir()
        for key, content in dataset.files.items():
            (folder / key).write_bytes(_read(content))
        runs = [folder / RUNS / run for run in dataset.names]
        for key, content in dataset.run.items():
            path = runs[0] / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_read(content))
        for run in runs[1:]:
            # A link is a file like any other, and takes no room: nothing changes these files in place.
            _link(runs[0], run)
        return str(folder)

    def remove(self, addresses: Mapping[str, str]) -> None:
        for folder in addresses.values():
            shutil.rmtree(folder)


class S3Target(Target):
    """A bucket on a server of our own; samples pass a proxy that holds answers up, where there is one."""

    server: S3Server

    def _start(self, latencies: tuple[int, ...]) -> None:
        self._stack.enter_context(self.server)
        self._bucket = self.server.new_bucket("benchmarks")
        self._ways = {0: self.server.url}
        if ToxiproxyServer.missing() is None:
            proxies = self._stack.enter_context(ToxiproxyServer())
            for latency in latencies:
                proxy = self._stack.enter_context(proxies.proxy(self.server.url))
                if latency:
                    proxy.latency(latency)
                self._ways[latency] = proxy.url
        self.latencies = tuple(latency for latency in latencies if latency in self._ways)

    def reach(self, addresses: Mapping[str, str], latency: int) -> dict[str, Any]:
        fs_args = self.server.fs_args()
        fs_args["client_kwargs"]["endpoint_url"] = self._ways[latency]
        counted = {"name": self.server.name, "port": self.server.port}
        return {**addresses, "fs_args": fs_args, "server": counted}

    def remove(self, addresses: Mapping[str, str]) -> None:
        client = self.server.client()
        for url in addresses.values():
            prefix = url.removeprefix(f"s3://{self._bucket}/")
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{prefix}/")
            for page in pages:
                if keys := [{"Key": item["Key"]} for item in page.get("Contents", ())]:
                    client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys})
        client.close()

    def _seed(self, name: str, dataset: Dataset) -> str:
        self._write(name, dataset)
        return f"s3://{self._bucket}/{name}"

    @abstractmethod
    def _write(self, name: str, dataset: Dataset) -> None: ...


class MotoTarget(S3Target):
    """moto: for counting requests, too slow for anything else."""

    kind = "moto"

    def _start(self, latencies: tuple[int, ...]) -> None:
        self.server = MotoServer()
        self._seeding = threading.Lock()
        super()._start(latencies)

    def about(self) -> str:
        from importlib.metadata import version

        return f"moto {version('moto')} in server mode"

    def _seed(self, name: str, dataset: Dataset) -> str:
        # moto goes through all keys of a bucket for each page, and takes hours to delete those of 10,000 runs.
        with self._seeding:
            self._bucket = self.server.new_bucket("benchmarks")
            return super()._seed(name, dataset)

    def remove(self, addresses: Mapping[str, str]) -> None:
        for url in addresses.values():
            self.server.drop(url.split("/")[2])

    def _write(self, name: str, dataset: Dataset) -> None:
        for batch in _batches(_objects(name, dataset)):
            self.server.seed(self._bucket, batch)


class MinioTarget(S3Target):
    """MinIO with one drive."""

    kind = "minio"

    def _start(self, latencies: tuple[int, ...]) -> None:
        self.server = MinioServer()
        super()._start(latencies)
        # The floor's listings are not signed.
        allowed = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{self._bucket}",
        }
        client = self.server.client()
        client.put_bucket_policy(
            Bucket=self._bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        )
        client.close()

    def about(self) -> str:
        return f"MinIO {PROGRAMS['minio'].version}, one drive"

    def remove(self, addresses: Mapping[str, str]) -> None:
        """Move a project out of MinIO's sight; its files go with the server's, as removing them would disturb samples."""
        removed = self.server.folder / "removed"
        removed.mkdir(exist_ok=True)
        for url in addresses.values():
            name = url.rpartition("/")[2]
            with contextlib.suppress(FileNotFoundError):
                self._folder(name).rename(removed / name)

    def _write(self, name: str, dataset: Dataset) -> None:
        """Send the first run through MinIO and link its files for the others.

        A run of ten entities has some forty objects: ten thousand runs take half an hour by request, a minute by link.
        MinIO keeps an object's metadata in a file that does not hold its key, and never changes one in place.
        """
        first, *others = dataset.names or (None,)
        one = replace(dataset, names=() if first is None else (first,))
        client = self.server.client(max_pool_connections=16)

        def put(item: tuple[str, bytes]) -> None:
            client.put_object(Bucket=self._bucket, Key=item[0], Body=item[1])

        with ThreadPoolExecutor(16) as pool:
            for _ in pool.map(put, _objects(name, one)):
                pass
        client.close()
        runs = self._folder(name) / RUNS
        for other in others:
            _link(runs / str(first), runs / other)

    def _folder(self, name: str) -> Path:
        return self.server.folder / "data" / self._bucket / name


class LateTarget(Target):
    """A store in this process that answers each request late, any number at a time."""

    kind = "late"

    def _start(self, latencies: tuple[int, ...]) -> None:
        self.latencies = latencies
        self._store = self._stack.enter_context(LateStore(latencies))

    def about(self) -> str:
        return "a store that answers each request late, any number at a time, and collapses volumes as Amazon S3 does"

    def reach(self, addresses: Mapping[str, str], latency: int) -> dict[str, Any]:
        port = self._store.ports[latency]
        client = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
        fs_args = {"key": BUCKET, "secret": BUCKET, "client_kwargs": client}
        return {**addresses, "fs_args": fs_args, "server": {"name": "late", "port": port}}

    def _seed(self, name: str, dataset: Dataset) -> str:
        self._store.add(name, dataset.names, {**dataset.run, **dataset.filling})
        return f"s3://{BUCKET}/{name}"

    def remove(self, addresses: Mapping[str, str]) -> None:
        for url in addresses.values():
            self._store.remove(url.rpartition("/")[2])


class UrlTarget(Target):
    """A bucket or folder of the user's, reached with the credentials of the environment; requests are not counted."""

    kind = "url"

    def __init__(self, url: str, latencies: Iterable[int] = (0,)) -> None:
        self._url = url.rstrip("/")
        super().__init__((0,))

    def _start(self, latencies: tuple[int, ...]) -> None:
        import fsspec

        self._filesystem, self._path = fsspec.url_to_fs(self._url)

    def about(self) -> str:
        return f"a {self._url.partition('://')[0]} store given by URL"

    def remove(self, addresses: Mapping[str, str]) -> None:
        for url in addresses.values():
            name = url.rpartition("/")[2]
            if self._filesystem.exists(f"{self._path}/{name}"):
                self._filesystem.rm(f"{self._path}/{name}", recursive=True)

    def _seed(self, name: str, dataset: Dataset) -> str:
        for batch in _batches(_objects(name, dataset)):
            self._filesystem.pipe({f"{self._path}/{key}": content for key, content in batch.items()})
        return f"{self._url}/{name}"


TARGETS: dict[str, type[Target]] = {target.kind: target for target in (DiskTarget, MotoTarget, MinioTarget, LateTarget)}


def missing(kind: str) -> str | None:
    """Say what a kind of target lacks on this machine, None when it can be had."""
    servers: dict[str, type[Server]] = {"moto": MotoServer, "minio": MinioServer}
    server = servers.get(kind)
    return None if server is None else server.missing()


def _link(folder: Path, other: Path) -> None:
    """Give a folder's files second names in another folder."""
    if sys.platform == "linux":
        subprocess.run(["cp", "--recursive", "--link", "--no-dereference", folder, other], check=True)
    else:
        shutil.copytree(folder, other, copy_function=os.link)


def _read(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _objects(name: str, dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    for key, content in dataset.files.items():
        yield f"{name}/{key}", _read(content)
    for run in dataset.names:
        for key, content in {**dataset.run, **dataset.filling}.items():
            yield f"{name}/{RUNS}/{run}/{key}", _read(content)


def _batches(objects: Iterator[tuple[str, bytes]], size: int = 10_000) -> Iterator[dict[str, bytes]]:
    while batch := dict(islice(objects, size)):
        yield batch
