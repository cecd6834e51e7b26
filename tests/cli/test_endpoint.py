"""The server of a bucket, as an option."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import aiocopick


def test_the_command_line_takes_an_endpoint(moto_server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, key in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(name, moto_server.fs_args()[key])
    monkeypatch.setenv("AWS_DEFAULT_REGION", moto_server.region)
    url, endpoint = f"s3://{moto_server.new_bucket()}", moto_server.url
    aiocopick("demo", "--output", tmp_path / "p", "--runs", 1)
    copied = aiocopick("cp", tmp_path / "p", f"{url}/p", "--target-endpoint-url", endpoint, "--kinds", "picks")
    assert copied.code == 0, copied.err
    for arguments in (["ls"], ["ls", "--json"], ["tree"], ["info"], ["points"], ["doctor"], ["crawl", "--json"]):
        said = aiocopick(*arguments, f"{url}/p", "--endpoint-url", endpoint)
        assert said.code == 0, said.err
        assert said.out
    said = aiocopick("rm", f"{url}/p", "--kinds", "picks", "--dry-run", "--endpoint-url", endpoint)
    assert said.code == 0, said.err
    catalog = aiocopick("crawl", f"{url}/p", "--endpoint-url", endpoint, "--out", f"{url}/catalog.parquet")
    assert catalog.code == 0, catalog.err
    listed = aiocopick("ls", f"{url}/p", "--endpoint-url", endpoint, "--catalog", f"{url}/catalog.parquet")
    assert listed.code == 0, listed.err
    aiocopick("ls", str(tmp_path / "p"), "--endpoint-url", endpoint).fails_with("S3 and Google Cloud")
