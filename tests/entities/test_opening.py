from __future__ import annotations

import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from aiocopick import opening
from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError, InvalidNameError, LayerError, NotFoundError, ReadOnlyError
from aiocopick.models import CopickConfigFS, CopickConfigFSSpec, CopickConfigMultilayer
from tests.entities.projects import write_run

SECRET = "correct-horse-battery-staple"


@pytest.mark.asyncio
async def test_a_url_sends_nothing(root: AsyncRoot) -> None:
    url, arguments = root.config.root, root.config.fs_args
    async with aiocopick.open(url, fs_args=arguments, user_id="someone") as opened:
        assert opened == root
        assert opened.user_id == "someone"
        assert opened.stats.total == 0
        assert await opened.query() == []
    again = await aiocopick.open(f"{url}/", fs_args=arguments)
    assert again.url == opened.url
    await again.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["a path", "a dict", "a file"])
async def test_the_models_of_configs_are_built_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"root": str(tmp_path)}))
    places: list[bool] = []
    parse = opening.parse_config

    def noted(data: Any) -> Any:
        places.append(threading.current_thread() is threading.main_thread())
        return parse(data)

    monkeypatch.setattr(opening, "parse_config", noted)
    for is_built in (False, True):
        # As it is in a new process.
        monkeypatch.setattr(CopickConfigFS, "__pydantic_complete__", is_built)
        await aiocopick.open({"a path": tmp_path, "a dict": {"root": str(tmp_path)}, "a file": path}[form])
    assert places == [False, True]


@pytest.mark.asyncio
async def test_every_form_of_a_local_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "my project"
    async with aiocopick.open(project, user_id="someone") as root:
        await write_run(root, volumes=False)
    monkeypatch.chdir(tmp_path)
    for source in (project, str(project), f"file://{project}", f"local://{project}", f"{project}/", "my project"):
        async with aiocopick.open(source) as root:
            assert [run.name for run in await root.query()] == ["TS_1"]


@pytest.mark.asyncio
async def test_a_config_file(root: AsyncRoot, tmp_path: Path) -> None:
    async with root:
        await write_run(root, volumes=False)
        path = tmp_path / "copick_config.json"
        path.write_text(root.config.to_json())
        for source in (path, str(path)):
            async with aiocopick.open(source, session_id="9", read_only=True) as opened:
                assert (opened.session_id, opened.read_only, opened.user_id) == ("9", True, "someone")
                assert await opened.query() == await root.query()


@pytest.mark.asyncio
async def test_a_config_by_url_is_one_request(moto_server) -> None:
    bucket, arguments = moto_server.new_bucket(), moto_server.fs_args()
    config = CopickConfigFS(root=f"s3://{bucket}/project", fs_args=arguments, user_id="someone")
    moto_server.seed(bucket, {"configs/mine.json": config.to_json().encode()})
    with moto_server.counting() as counts:
        async with aiocopick.open(f"s3://{bucket}/configs/mine.json", fs_args=arguments) as root:
            assert root.user_id == "someone"
            assert root.url == f"s3://{bucket}/project"
    assert counts == {"GetObject": 1}
    with pytest.raises(NotFoundError, match=r"other\.json"):
        await aiocopick.open(f"s3://{bucket}/configs/other.json", fs_args=arguments)


@pytest.mark.asyncio
async def test_a_dict_and_a_config_object(config: CopickConfigFS) -> None:
    root = await aiocopick.open({"root": config.root}, user_id="me")
    assert (root.url, root.user_id) == (config.root, "me")
    assert (await aiocopick.open(config)).config is config
    changed = await aiocopick.open(config, read_only=True)
    assert changed.read_only
    assert not config.read_only
    assert changed.config.pickable_objects is not None
    assert AsyncRoot(config) == await aiocopick.open(config.model_dump())


@pytest.mark.asyncio
async def test_configs_of_several_layers(tmp_path: Path) -> None:
    base = f"memory://{uuid.uuid4().hex}"
    spec = {"config_type": "filesystem", "overlay_root": f"{base}/o", "static_root": f"{base}/s"}
    root = await aiocopick.open(spec, timeout=7, zarr_format=3)
    assert isinstance(root.config, CopickConfigFSSpec)
    assert [(layer.name, layer.read_only) for layer in root.layers] == [("overlay", False), ("static", True)]
    assert {(layer.config.timeout, layer.config.zarr_format) for layer in root.layers} == {(7, 3)}
    many = {"config_type": "multilayer", "layers": [f"{base}/o", f"{base}/s"]}
    root = await aiocopick.open(many)
    assert isinstance(root.config, CopickConfigMultilayer)
    assert [layer.name for layer in root.layers] == ["filesystem", "filesystem-1"]
    with pytest.raises(LayerError, match="copick"):
        await aiocopick.open({"config_type": "cryoet_data_portal", "dataset_ids": [1]})


@pytest.mark.asyncio
async def test_a_project_that_must_exist(root: AsyncRoot) -> None:
    async with root:
        options = {"fs_args": root.config.fs_args, "must_exist": True}
        with pytest.raises(NotFoundError, match="ExperimentRuns"):
            await aiocopick.open(root.config.root, **options)
        with pytest.raises(FileNotFoundError):
            async with aiocopick.open(root.config.root, **options):
                pass
        await root.ensure(create=True)
        async with aiocopick.open(root.config.root, **options) as opened:
            assert await opened.query() == []


@pytest.mark.asyncio
async def test_files_that_are_no_project(tmp_path: Path) -> None:
    for name, content in (("image.mrc", b"\x00\x01"), ("broken.json", b"{"), ("list.json", b"[1]"), ("a.json", b"{}")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FormatError, match=name):
            await aiocopick.open(path)
    with pytest.raises(NotFoundError, match="none"):
        await aiocopick.open(tmp_path / "none.json")
    with pytest.raises(FormatError, match="neither"):
        await aiocopick.open({"config_type": "filesystem"})
    with pytest.raises(FormatError, match="timeout"):
        await aiocopick.open({"root": str(tmp_path)}, timeout="soon")
    with pytest.raises(FormatError, match="mystery"):
        await aiocopick.open({"config_type": "mystery"})
    with pytest.raises(InvalidNameError):
        await aiocopick.open("")
    with pytest.raises(InvalidNameError):
        await aiocopick.open("simplecache::s3://bucket/project")


@pytest.mark.asyncio
async def test_secrets_are_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"root": "s3://bucket/p", "fs_args": {"secret": SECRET}, "timeout": "never"}))
    with pytest.raises(FormatError) as raised:
        await aiocopick.open(path)
    root = await aiocopick.open("s3://bucket/p", fs_args={"secret": SECRET})
    shown = [str(raised.value), repr(raised.value), repr(root), repr(root.config), repr(root.layers), root.url]
    shown += [repr(await aiocopick.open(f"https://user:{SECRET}@127.0.0.1/p?token={SECRET}"))]
    assert SECRET not in "".join(shown) + caplog.text


@pytest.mark.asyncio
async def test_http_projects_are_read_only(web_server, tmp_path: Path) -> None:
    server = web_server(tmp_path)
    async with aiocopick.open(server.url) as root:
        assert root.read_only
        with pytest.raises(ReadOnlyError):
            await root.new_run("TS_1")
