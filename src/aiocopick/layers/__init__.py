"""Layers: the sources that entities read and write, and the view of several layers as one.

A layer knows storage, layout and formats; it knows neither entities nor other layers. The merge of several layers is a
pure function over their listings.

From a key to what an entity is made from:

* `Entry` (storage): a key that a storage lists.
* `Located` (layout): an entity, and its key in one layer; a `Listing` has many, and what could not be listed.
* `Source`: a layer, and what is located in it.
* `Merged`: an entity, and its sources in all layers, the one that is seen first.
* `Placed`: either; in a project of one layer, entities are made from `Located`, without a wrapper for each of thousands.
* `Found`: the answer of a stack, many `Merged` or `Placed`, and the layers that were left out.

A kind is singular (``mesh``), a noun is the plural by which lists and folders go (``meshes``).
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
