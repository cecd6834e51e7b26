"""`aiocopick gallery` and `aiocopick show`."""

from __future__ import annotations

import io
import socket
from pathlib import Path

from PIL import Image

from tests.cli.running import aiocopick


def test_a_gallery_is_written_and_gone_on_with(sample_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "gallery.html"
    said = aiocopick("gallery", sample_folder / "copick_config.json", "ribosome", "--out", out, "--runs", "TS_00[12]")
    assert (said.code, said.out) == (0, f"2 runs are in {out}\n")
    assert out.read_text(encoding="utf-8").count('<li class="card"') == 2
    said = aiocopick(
        "gallery", sample_folder / "copick_config.json", "ribosome", "--out", out, "--since", out, "--json"
    )
    assert said.json == {"out": str(out), "runs": 3, "reused": 2, "errors": {}}


def test_runs_without_a_picture_are_told_of(sample_folder: Path, tmp_path: Path) -> None:
    said = aiocopick("gallery", sample_folder, "--out", tmp_path / "out.html", "--tomogram", "denoised@10")
    assert said.code == 3
    assert said.err.count("has no tomogram denoised@10 to show; its tomograms: wbp@10.0.") == 3


def test_a_gallery_of_nothing_is_refused(tmp_path: Path) -> None:
    aiocopick("gallery", tmp_path / "nothing", "--out", tmp_path / "out.html").fails_with("There is no project")
    assert not (tmp_path / "out.html").exists()


def test_one_picture_is_shown(sample_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "TS_002.png"
    said = aiocopick("show", sample_folder, "wbp@10", "--runs", "TS_002", "--out", out)
    assert (said.code, said.out) == (0, f"TS_002 is in {out}\n")
    assert Image.open(io.BytesIO(out.read_bytes())).width == 640
    said = aiocopick("show", sample_folder, "ribosome:curator/*", "--size", "100", "--out", tmp_path / "small.png")
    assert said.out.startswith("TS_001 is in ")
    assert Image.open(io.BytesIO((tmp_path / "small.png").read_bytes())).format == "PNG"


def test_what_cannot_be_shown_is_one_line(sample_folder: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out.png"]
    aiocopick("show", sample_folder, "wbp@99", *out).fails_with("No run of", "wbp@99")
    aiocopick("show", sample_folder, "wbp@10:gradient", *out).fails_with("picks and segmentations can be drawn")
    aiocopick("show", sample_folder, "virus", *out).fails_with("No run of", "virus")
    assert not (tmp_path / "out.png").exists()


def test_a_server_that_cannot_be_started_is_one_line(sample_folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        aiocopick("serve", sample_folder, "--port", port).fails_with(f"port {port} is taken")
    aiocopick("serve", tmp_path / "nothing").fails_with("There is no project")
    aiocopick("serve", sample_folder, "--allow-origin", "https://viewer.example").fails_with("viewer on this machine")
    aiocopick("serve", sample_folder, "wbp@10").fails_with("picks and segmentations can be drawn")
