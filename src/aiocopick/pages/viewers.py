"""A viewer of volumes that runs in the browser and is served from this machine: neuroglancer, from PyPI.

Its page expects the server of neuroglancer's Python package. It takes from that server what to show, as one event, and
tells it what the user does, which is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

HOW = "To open volumes in a viewer, install neuroglancer: pip install 'aiocopick[viewer]'"

POLICY = (
    "default-src 'self' blob: data:; script-src 'self' blob: 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
"""Nothing that the viewer loads comes from, or goes to, another place."""


def installed_viewer() -> Path | None:
    """Return the folder of the viewer's page; None if it is not installed. The package is not imported."""
    spec = find_spec("neuroglancer")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "static" / "client"
    return folder if (folder / "index.html").is_file() else None


def viewer_event(layers: Sequence[tuple[str, str]], contrast: tuple[float, float]) -> str:
    """Return the event that says what is shown: names and addresses of a tomogram and of segmentations.

    Parameters
    ----------
    layers : sequence of (str, str)
        The tomogram is the first one.
    contrast : tuple of float
        Its values that become black and white.
    """
    shown = [{"type": "segmentation", "source": f"zarr://{address}/", "name": name} for name, address in layers]
    shown[0] |= {"type": "image", "shaderControls": {"normalized": {"range": contrast}}}  # type: ignore[dict-item]
    state = {"layers": shown, "layout": "4panel"}
    return f"data: {json.dumps({'k': 's', 's': state, 'g': '1'})}\n\n"
