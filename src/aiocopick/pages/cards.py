"""HTML of the gallery: head, a card for each run, and the end. Everything from storage is escaped. No I/O."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from aiocopick.pictures.drawing import Colour

MARK = "<!-- aiocopick gallery 1 -->"
"""A line at the beginning of every page."""

_CARD = re.compile(r'<li class="card" data-run="([^"]*)" data-mark="([0-9a-f]+)"')


class Card(NamedTuple):
    """The content of a card.

    Parameters
    ----------
    run : str
        Name of the run.
    image : str
        Address of the picture, often with its content; empty if there is none.
    large : str
        Address of a larger one; empty if there is none.
    facts : sequence of str
        Lines of text.
    objects : mapping of str to (int or None, tuple of int)
        Number of points and colour by name; None for what is not counted.
    links : sequence of (str, str)
        Text and address.
    errors : sequence of str
        Reasons why something is missing.
    mark : str
        Digest of all that it was made of, hexadecimal; empty if it cannot be used again.
    """

    run: str
    image: str = ""
    large: str = ""
    facts: Iterable[str] = ()
    objects: Mapping[str, tuple[int | None, Colour]] = {}
    links: Iterable[tuple[str, str]] = ()
    errors: Iterable[str] = ()
    mark: str = ""


def escaped(text: str) -> str:
    """Return text for HTML, attributes included, on one line and without single surrogates."""
    safe = html.escape(text).encode("utf-8", errors="backslashreplace").decode()
    return safe.replace("\n", "&#10;").replace("\r", "&#13;").replace("\x00", "�")


def data_url(data: bytes, kind: str) -> str:
    """Return an address that holds its content."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def card_html(card: Card) -> str:
    """Return a card, on one line."""
    objects = {name: [count, _css(colour)] for name, (count, colour) in card.objects.items()}
    attributes = f'data-run="{escaped(card.run)}" data-mark="{card.mark}" data-objects="{escaped(json.dumps(objects))}"'
    if card.large:
        attributes += f' data-large="{escaped(card.large)}"'
    shown = '<p class="none soft">no picture</p>'
    if card.image:
        alt = escaped(f"Slice of run {card.run}" + (f" with {', '.join(card.objects)}" if card.objects else ""))
        image = f'<img src="{escaped(card.image)}" alt="{alt}" loading="lazy" decoding="async">'
        shown = f'<button type="button" aria-haspopup="dialog">{image}</button>'
    facts = "".join(f'<p class="soft">{escaped(fact)}</p>' for fact in card.facts)
    rows = "".join(
        f'<li><span class="dot" style="background:{_css(colour)}"></span><span>{escaped(name)}</span>'
        f'<span class="count">{"" if count is None else f"{count:,}"}</span></li>'
        for name, (count, colour) in card.objects.items()
    )
    links = "".join(f'<li><a href="{escaped(address)}">{escaped(text)}</a></li>' for text, address in card.links)
    lists = (f'<ul class="objects">{rows}</ul>' if rows else "") + (f'<ul class="links">{links}</ul>' if links else "")
    errors = "".join(f'<p class="error">{escaped(error)}</p>' for error in card.errors)
    return f'<li class="card" {attributes}>{shown}<h2>{escaped(card.run)}</h2>{facts}{lists}{errors}</li>\n'


def run_and_mark(line: str) -> tuple[str, str] | None:
    """Return the run and the mark of a line of a page; None if it is not a card that can be used again."""
    found = _CARD.match(line)
    return None if found is None or not line.endswith("</li>\n") else (html.unescape(found[1]), found[2])


def head_html(title: str, notes: Iterable[str]) -> str:
    """Return the beginning of a page, up to the first card."""
    lines = "".join(f'<p class="soft">{note}</p>' for note in notes)
    return (
        f'<!doctype html>\n{MARK}\n<html lang="en"><head><meta charset="utf-8"><title>{escaped(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="Content-Security-Policy" content="{content_policy()}">'
        f"<style>{_asset('page.css')}</style></head>\n<body><header><h1>{escaped(title)}</h1>{lines}"
        '<form role="search"><label for="search">Filter by run <input id="search" type="search" autocomplete="off">'
        '</label><fieldset id="objects"><legend>Show only runs with</legend></fieldset>'
        '<output id="shown" class="soft" for="search"></output></form></header>\n'
        '<main><ul class="cards" aria-label="Runs">\n'
    )


def end_html() -> str:
    """Return the end of a page, after the last card."""
    return (
        '</ul></main>\n<dialog aria-labelledby="large"><div class="bar"><h2 id="large"></h2>'
        '<button type="button" id="previous">Previous</button><button type="button" id="next">Next</button>'
        '<button type="button" id="close">Close</button></div><div class="content"></div></dialog>\n'
        f"<script>{_asset('page.js')}</script></body></html>\n"
    )


@cache
def content_policy() -> str:
    """Return the policy of the page: its own script, its own pictures, and no request to any other place."""
    digest = base64.b64encode(hashlib.sha256(_asset("page.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(name: str) -> str:
    return (files("aiocopick.pages") / "assets" / name).read_text(encoding="utf-8").strip()


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
