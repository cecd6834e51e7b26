"""Layers: the sources that entities read and write, and the view of several layers as one.

A layer knows storage, layout and formats; it knows neither entities nor other layers. The merge of several layers is a
pure function over their listings.
"""

from aiocopick.layers.base import Layer, Loaded, Nouns, Payload, Source
from aiocopick.layers.merge import Found, Merged, Placed, by_priority, merge
from aiocopick.layers.stack import Stack

__all__ = [
    "Found",
    "Layer",
    "Loaded",
    "Merged",
    "Nouns",
    "Payload",
    "Placed",
    "Source",
    "Stack",
    "by_priority",
    "merge",
]
