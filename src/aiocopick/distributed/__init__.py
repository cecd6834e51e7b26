"""The same work spread over Dask workers.

A worker gets the configuration of a project and names of runs, never a connection, and returns
Arrow tables. Each worker crawls its runs on an event loop of its own. Needs the extra ``dask``.
"""

from aiocopick.distributed.crawl import crawl
from aiocopick.distributed.mapping import MappedRuns, map_runs

__all__ = ["MappedRuns", "crawl", "map_runs"]
