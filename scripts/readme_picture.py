"""Draw `docs/picture.png`, which the README and the page about pictures show: a run of the demo's project.

python scripts/readme_picture.py
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path

from PIL import Image

import aiocopick
from aiocopick.sample import sample_config, write_sample

TARGET = Path(__file__).resolve().parents[1] / "docs" / "picture.png"


async def draw() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        async with aiocopick.open(sample_config(folder)) as root:
            await write_sample(root, runs=2)
            run = await root.get_run("TS_002")
            assert run is not None
            return await run.picture(size=480)


def main() -> None:
    # A palette makes the file a third as large.
    image = Image.open(io.BytesIO(asyncio.run(draw()))).quantize(64)
    image.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
