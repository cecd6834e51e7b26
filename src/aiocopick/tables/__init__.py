"""The project as tables: a row per entity, a row per point, and what changed since.

Tables are pyarrow's, in and out of Parquet; a catalogue can stand in for the listings of a project. Needs the extra
``table``.
"""

from aiocopick.tables.catalog import catalog
from aiocopick.tables.changes import changes
from aiocopick.tables.layer import CatalogLayer, catalog_layers
from aiocopick.tables.parquet import load_table, store_table
from aiocopick.tables.points import points
from aiocopick.tables.select import Selection, select

__all__ = [
    "CatalogLayer",
    "Selection",
    "catalog",
    "catalog_layers",
    "changes",
    "load_table",
    "points",
    "select",
    "store_table",
]
