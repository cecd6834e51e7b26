"""R24: a secret is in no repr, text, log, error, traceback or printed config, and follows no redirect."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import pickle
import traceback
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import CopickError
from aiocopick.models import CopickConfigFS, parse_config
from aiocopick.testing import Answer, FaultServer
from tests.reliability.places import HTTP

CANARY = "canary7f3a"
KEY = (CANARY + "x" * 32)[:32]
# A secret that is sent in another form is the same secret.
FORMS = [
    CANARY,
    base64.b64encode(CANARY.encode()).decode()[:12],
    base64.b64encode(f"user:{CANARY}".encode()).decode(),
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(hashlib.md5(KEY.encode(), usedforsecurity=False).digest()).decode(),
]
FAULTS = ["403", "404", "500", "418", "reset", "short", "stall", "200", "redirect"]


def fields(kind: str, address: str) -> dict[str, Any]:
    """A config whose every secret is the canary."""
    if kind in ("s3", "obstore"):
        given: dict[str, Any] = {
            "key": f"{CANARY}-key", "secret": f"{CANARY}-secret", "token": f"{CANARY}/token+==",
            "client_kwargs": {"endpoint_url": address, "region_name": "us-east-1"},
        }  # fmt: skip
        if kind == "s3":
            given["s3_additional_kwargs"] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
        return {"root": "s3://bucket/p", "fs_args": given, "engine": "s3fs" if kind == "s3" else "obstore"}
    if kind == "gs":
        headers = {"Authorization": f"Bearer {CANARY}", "X-Key": CANARY}
        arguments = {"token": "anon", "endpoint_url": address, "session_kwargs": {"headers": headers}}
        return {"root": "gs://bucket/p", "fs_args": arguments}
    if kind == "az":
        key = base64.b64encode(CANARY.encode()).decode()
        string = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};BlobEndpoint={address}/account;"
        return {"root": "az://bucket/p", "fs_args": {"connection_string": string, "note": CANARY}}
    root = f"{address.replace('http://', f'http://user:{CANARY}@')}/p?token={CANARY}"
    return {"root": root, "fs_args": {"headers": {"Authorization": CANARY, "X-Key": CANARY}}}


def told(error: BaseException | None) -> list[str]:
    """All that can be seen of an error and of those it hangs from, shown or not."""
    if error is None:
        return []
    own = [str(error), repr(error), *traceback.format_exception(error), *getattr(error, "__notes__", ())]
    return [*own, *told(error.__cause__), *told(error.__context__)]


def leaks(texts: list[str]) -> list[str]:
    return [text for text in texts if any(form in text for form in FORMS)]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["s3", "obstore", "gs", "az", HTTP])
async def test_no_failure_shows_it(
    kind: str, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest, measured: Any
) -> None:
    request.node.user_properties.append(("backend", kind))
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    async with FaultServer() as server, FaultServer() as other:
        other.always(Answer(200, {"content-type": "text/plain", "content-length": "2"}, b"{}"))
        # obstore can be kept from other hosts, though not from other ports.
        elsewhere = other.url.replace("127.0.0.1", "localhost") if kind == "obstore" else other.url
        config = CopickConfigFS(
            user_id="user", session_id="1", retries=1, timeout=0.5, runs=["TS_1"], **fields(kind, server.url)
        )
        async with aiocopick.open(config) as root:
            storage = root.layers[0].storage  # type: ignore[attr-defined]
            texts += [repr(storage), str(storage), storage.url, storage.path_of("key"), repr(root), repr(root.layers)]
            for fault in FAULTS:
                server.always(f"redirect {elsewhere}/elsewhere 307" if fault == "redirect" else fault)
                for operation in (
                    lambda: storage.read("object"),
                    lambda: storage.read("object", (0, 2)),
                    lambda: storage.list("dir"),
                    lambda: storage.stat("object"),
                    lambda: storage.write("object", b"x"),
                    lambda: storage.write("object", b"x", create=True),
                    lambda: storage.delete_many(["object"]),
                    lambda: storage.copy("object", "other"),
                    lambda: root.query(),
                    lambda: root.ensure(),
                ):
                    try:
                        texts.append(repr(await operation()))
                    except (CopickError, ValueError) as error:
                        texts += [*told(error), repr(pickle.loads(pickle.dumps(error)))]
                async with storage.read_many(["object", "other"]) as results:
                    texts += [repr(result) async for _, result in results]
        sent = [*map(repr, server.requests)]
        carried = leaks([f"{item.target} {item.headers} {item.body!r}" for item in other.requests])
    assert leaks(sent) or kind in ("az", "obstore"), "nothing secret was sent: the test shows nothing"
    texts += [record.getMessage() for record in caplog.records]
    texts += [record.exc_text for record in caplog.records if record.exc_text]
    assert leaks(texts) == []
    assert carried == []
    measured(
        f"{len(texts)} texts of {len(FAULTS)} faults and the logs: 0 show it; {len(other.requests)} redirects: 0 carry it"
    )


@pytest.mark.parametrize("kind", ["s3", "obstore", "gs", "az", HTTP])
def test_the_facade_does_not_show_it(
    kind: str, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest, measured: Any
) -> None:
    request.node.user_properties.append(("backend", kind))
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    with FaultServer() as server:
        server.always("403")
        config = CopickConfigFS(user_id="user", session_id="1", retries=0, runs=["TS_1"], **fields(kind, server.url))
        with aiocopick.open_sync(config) as root:
            texts += [repr(root), str(root), repr(root.config), repr(root.stats)]
            for operation in (root.query, root.ensure, lambda: root.new_run("TS_1"), lambda: root.runs):
                try:
                    texts.append(repr(operation()))
                except (CopickError, ValueError) as error:
                    texts += told(error)
    texts += [record.getMessage() for record in caplog.records]
    assert leaks(texts) == []
    measured(f"facade: {len(texts)} texts, 0 show it")


@pytest.mark.parametrize("kind", ["s3", "obstore", "gs", "az", HTTP])
def test_no_config_shows_it(kind: str, request: pytest.FixtureRequest, measured: Any) -> None:
    request.node.user_properties.append(("backend", kind))
    document = {"user_id": "user", "session_id": "1", **fields(kind, "http://127.0.0.1:1")}
    place = {name: document[name] for name in ("root", "fs_args")}
    layered = {"config_type": "multilayer", "layers": [document]}
    overlay = {"overlay_root": place["root"], "overlay_fs_args": place["fs_args"], "static_root": place["root"]}
    texts: list[str] = []
    for data in (document, layered, overlay):
        config = parse_config(data)
        texts += [repr(config), str(config), f"{config}", json.dumps(config.display()), repr(config.display())]
        # It is in the file that the user keeps, and nowhere else.
        assert CANARY in config.to_json() or kind == "az"
        for wrong in ({"timeout": "soon"}, {"fs_args": CANARY}, {"read_only": [CANARY]}, {"layers": {"a": CANARY}}):
            try:
                parse_config(data | wrong)
            except (CopickError, ValueError) as error:
                texts += told(error)
    assert leaks(texts) == []
    measured(f"configs: {len(texts)} texts, 0 show it")
