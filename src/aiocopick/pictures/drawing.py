"""Drawing of a slice: grey values by percentiles, circles, outlines, a legend. No I/O."""

from __future__ import annotations

import io
import math
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Array: TypeAlias = np.ndarray[Any, Any]
Colour: TypeAlias = tuple[int, int, int]

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_PERCENTILES = (1.0, 99.0)
_MOST_SAMPLES = 1_000_000
_SUPERSAMPLING = 2
_SMALLEST_CIRCLE = 2.5
_QUALITIES = (80, 65, 50, 35, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice of a volume.

    Parameters
    ----------
    values : ndarray, shape (Y, X)
        Its voxels.
    voxel_size : tuple of float
        Along z, y, x, in angstrom.
    index : int
        Position along z, in voxels of its level.
    uri : str
        Name of the volume.
    """

    values: Array
    voxel_size: tuple[float, float, float]
    index: int
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The picks of an object near a slice.

    Parameters
    ----------
    name : str
        Of the object.
    colour : tuple of int
        RGB.
    radius : float
        Of the object in angstrom; 0 if unknown.
    positions : ndarray, shape (N, 3)
        x, y, z in angstrom, only those near the slice.
    count : int
        All picks of the object, near or not.
    """

    name: str
    colour: Colour
    radius: float
    positions: Array
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A slice of a segmentation.

    Parameters
    ----------
    name : str
        Of the segmentation.
    values : ndarray, shape (Y, X)
        Labels; 0 is background.
    voxel_size : tuple of float
        Along y and x, in angstrom.
    colours : mapping of int to tuple of int
        RGB by label; the one of 0 is that of all other labels.
    """

    name: str
    values: Array
    voxel_size: tuple[float, float]
    colours: Mapping[int, Colour]


@dataclass(slots=True, kw_only=True)
class Scene:
    """A picture before it is drawn.

    Parameters
    ----------
    title : str
        Name of the run.
    slice : Slice, optional
        None if the volume could not be read.
    marks, outlines : list
        What is drawn on it.
    errors : list of str
        Reasons why something is missing.
    """

    title: str
    slice: Slice | None = None
    marks: list[Marks] = field(default_factory=list)
    outlines: list[Outline] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def entries(self) -> list[tuple[str, Colour, int | None]]:
        """Return name, colour and number of picks of all that is drawn; None for segmentations."""
        found: list[tuple[str, Colour, int | None]] = [(item.name, item.colour, item.count) for item in self.marks]
        outlines = {item.name: next(iter(item.colours.values())) for item in self.outlines}
        return found + [(name, colour, None) for name, colour in outlines.items()]


def default_colour(name: str) -> Colour:
    """Return a colour for an object that has none: always the same for a name."""
    return _PALETTE[zlib.crc32(name.encode(errors="replace")) % len(_PALETTE)]


def draw(scene: Scene, size: int, *, legend: bool = False) -> Image:
    """Draw a scene.

    Parameters
    ----------
    scene : Scene
        With a slice.
    size : int
        Pixels along the longer side of the slice.
    legend : bool
        Add a strip with names, numbers of picks and the length of a bar.
    """
    from PIL import Image

    view = scene.slice
    assert view is not None
    rows, columns = view.values.shape
    height, width = rows * view.voxel_size[1], columns * view.voxel_size[2]
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Reduced voxels are averaged, as their noise is; small volumes are shown smoothly.
    image = Image.fromarray(grey(view.values)).resize(shape, Image.Resampling.LANCZOS).convert("RGB")
    if scene.outlines:
        painted = np.array(image)
        for outline in scene.outlines:
            _paint_outline(painted, outline, view)
        image = Image.fromarray(painted)
    if any(len(item.positions) for item in scene.marks):
        image = _with_circles(image, scene.marks, view)
    return _with_legend(image, scene, scale) if legend else image


def contrast(values: Array) -> tuple[float, float]:
    """Return the values that become black and white: two percentiles, or the extremes if these are equal."""
    step = max(1, math.isqrt(values.size // _MOST_SAMPLES))
    sample = values[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 0.0
    # Quarters, because the difference of two large numbers may be infinite.
    low, high = np.percentile(sample / 4, _PERCENTILES) * 4
    if not high > low:
        # A few voxels differ from all others.
        low, high = sample.min(), sample.max()
    return float(low), float(high)


def grey(values: Array) -> Array:
    """Return grey values, 0 to 255, between two percentiles; a constant slice is grey, what is not finite is black."""
    low, high = contrast(values)
    numbers = values.astype(np.result_type(values.dtype, np.float32), copy=False) / 4
    with np.errstate(all="ignore"):
        if high > low:
            shades = np.nan_to_num((numbers - low / 4) / (high / 4 - low / 4) * 255, nan=0, neginf=0)
        else:
            shades = np.where(np.isfinite(numbers), 128, 0)
        return np.asarray(np.clip(shades, 0, 255)).astype(np.uint8)


def _paint_outline(image: Array, outline: Outline, view: Slice) -> None:
    """Paint the inner borders of labels into an image; labels are taken from the nearest voxel."""
    indices = []
    for axis in (0, 1):
        pixels, voxels = image.shape[axis], view.values.shape[axis]
        places = ((np.arange(pixels) + 0.5) * voxels / pixels - 0.5) * view.voxel_size[axis + 1]
        indices.append(np.rint(places / outline.voxel_size[axis]).astype(np.int64))
    inside = [(index >= 0) & (index < size) for index, size in zip(indices, outline.values.shape, strict=True)]
    rows, columns = (np.clip(index, 0, size - 1) for index, size in zip(indices, outline.values.shape, strict=True))
    labels = outline.values[np.ix_(rows, columns)] * np.outer(*inside).astype(outline.values.dtype)
    edge = np.zeros(labels.shape, dtype=bool)
    thickness = max(1, round(max(labels.shape) / 400))
    # The edge of the picture is not a border.
    padded = np.pad(labels, thickness, mode="edge")
    height, width = labels.shape
    for step in range(1, thickness + 1):
        for y, x in ((-step, 0), (step, 0), (0, -step), (0, step)):
            there = padded[thickness + y : thickness + y + height, thickness + x : thickness + x + width]
            edge |= there != labels
    edge &= labels != 0
    for label in np.unique(labels[edge]):
        image[edge & (labels == label)] = outline.colours.get(int(label), outline.colours.get(0, (255, 255, 255)))


def _with_circles(image: Image, marks: Sequence[Marks], view: Slice) -> Image:
    """Draw each pick as the circle in which the slice cuts its object."""
    from PIL import Image, ImageDraw

    factor = _SUPERSAMPLING
    overlay = Image.new("RGBA", (image.width * factor, image.height * factor))
    pen = ImageDraw.Draw(overlay)
    smallest = _SMALLEST_CIRCLE * factor * max(1.0, max(image.size) / 400)
    line = max(3, round(factor * max(image.size) / 250))
    for item in marks:
        size = np.array(view.voxel_size[::-1])
        pixels = np.array([overlay.width / view.values.shape[1], overlay.height / view.values.shape[0]])
        centres = (item.positions[:, :2] / size[:2] + 0.5) * pixels
        away = item.positions[:, 2] - view.index * view.voxel_size[0]
        radii = np.sqrt(np.maximum(item.radius**2 - away**2, 0)) / size[0] * pixels[0]
        for (x, y), radius in zip(centres.tolist(), np.maximum(radii, smallest).tolist(), strict=True):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(*item.colour, 255), width=line)
    reduced = overlay.resize(image.size, Image.Resampling.BOX)
    return Image.alpha_composite(image.convert("RGBA"), reduced).convert("RGB")


def _with_legend(image: Image, scene: Scene, scale: float) -> Image:
    """Add a strip below: what is seen, a bar of a round length, and the objects."""
    from PIL import Image, ImageDraw, ImageFont

    view = scene.slice
    assert view is not None
    font_size = max(11, min(22, round(max(image.size) / 38)))
    font = ImageFont.load_default(font_size)
    margin, line = font_size, round(font_size * 1.7)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    title = f"{_on_a_line(scene.title)}   {view.uri}   z = {view.index * view.voxel_size[0] / 10:.0f} nm"
    texts = [
        (f"{_on_a_line(name)} ({'outline' if count is None else f'{count:,}'})", colour)
        for name, colour, count in scene.entries()
    ]
    places: list[tuple[float, int]] = []
    x, row = float(margin), 1
    for text, _ in texts:
        length = ruler.textlength(text, font) + 2.6 * font_size
        if x > margin and x + length > image.width:
            x, row = float(margin), row + 1
        places.append((x, row))
        x += length
    width = max(image.width, 240)
    sheet = Image.new("RGB", (width, image.height + margin + line * (row + bool(texts))), "white")
    sheet.paste(image, ((width - image.width) // 2, 0))
    pen = ImageDraw.Draw(sheet)
    top = image.height + margin // 2
    pen.text((margin, top), title, "black", font)
    for (text, colour), (x, row) in zip(texts, places, strict=True):
        y = top + row * line
        pen.ellipse((x, y + 1, x + font_size, y + font_size + 1), fill=colour, outline=(90, 90, 90))
        pen.text((x + 1.4 * font_size, y), text, "black", font)
    _draw_bar(pen, image, scale, font_size, font)
    return sheet


def draw_message(text: str, size: int) -> Image:
    """Draw a text on an empty square, for a picture that cannot be made."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (size, size), (235, 235, 235))
    font = ImageFont.load_default(14)
    lines = textwrap.wrap(_on_a_line(text), max(10, size // 8), break_on_hyphens=False)
    ImageDraw.Draw(image).multiline_text((12, 12), "\n".join(lines), (120, 0, 20), font)
    return image


def _on_a_line(text: str) -> str:
    return " ".join(text.encode(errors="replace").decode().split())


def _draw_bar(pen: ImageDraw, image: Image, scale: float, font_size: int, font: Any) -> None:
    longest = image.width / 4 / scale / 10
    if not (math.isfinite(longest) and longest > 0):
        return
    power = 10.0 ** math.floor(math.log10(longest))
    length = next(step * power for step in (5, 2, 1) if step * power <= longest)
    right, y = image.width - font_size, image.height - font_size
    left = right - length * 10 * scale
    pen.rectangle((left - 1, y - 3, right + 1, y + 3), fill="black")
    pen.rectangle((left, y - 2, right, y + 2), fill="white")
    text = f"{length:g} nm"
    place = (right - pen.textlength(text, font), y - 1.8 * font_size)
    pen.text(place, text, "white", font, stroke_width=2, stroke_fill="black")


def encode_png(image: Image) -> bytes:
    """Return an image as PNG."""
    return _encoded(image, "PNG", compress_level=4)


def encode_thumbnail(image: Image, most: int = 15_000) -> tuple[bytes, str]:
    """Return an image in at most so many bytes, and its media type: quality is reduced first, then size."""
    from PIL import Image, features

    form = "WEBP" if features.check("webp") else "JPEG"
    while True:
        for quality in _QUALITIES:
            # Searching longer for a smaller form of noise takes three times as long, and finds none.
            data = _encoded(image, form, quality=quality, method=0)
            if len(data) <= most:
                return data, f"image/{form.lower()}"
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)), Image.Resampling.LANCZOS)


def _encoded(image: Image, form: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()
