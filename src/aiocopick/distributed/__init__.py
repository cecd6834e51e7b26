"""The same work spread over Dask workers.

What travels to a worker is the configuration of a project and names of runs, never a connection; what comes back are
Arrow tables. Each worker crawls its runs on an event loop of its own. Needs the extra ``dask``.
"""

from aiocopick.distributed.crawl import crawl
from aiocopick.distributed.mapping import MappedRuns, map_runs

__all__ = ["MappedRuns", "crawl", "map_runs"]
