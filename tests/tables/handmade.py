"""Catalogues made by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from aiocopick.layout.listing import Located
from aiocopick.layout.paths import key_of
from aiocopick.layout.refs import PicksRef, Ref, RunRef
from aiocopick.tables.rows import TableBuilder, row_of
from aiocopick.tables.schema import catalog_columns
from aiocopick.tables.scope import Scope


def run_ref(name: str = "a") -> RunRef:
    return RunRef(run=name)


def picks_ref(run: str = "a", user: str = "u") -> PicksRef:
    return PicksRef(run=run, user_id=user, session_id="1", object_name="ribosome")


def table_of(
    *items: Ref | tuple[Ref, dict[str, Any]],
    runs: Any = None,
    kinds: Any = None,
    errors: dict[str, str] | None = None,
) -> pa.Table:
    """A catalogue of refs; a pair gives size, etag and modified as well. `errors` are of runs."""
    builder = TableBuilder(catalog_columns())
    for item in items:
        ref, version = item if isinstance(item, tuple) else (item, {})
        error = (errors or {}).get(getattr(ref, "run", "")) if ref.kind == "run" else None
        builder.add(row_of(Located(ref, key_of(ref), **version), "filesystem", error=error))
    return builder.table(Scope.of(runs, kinds).to_metadata())
