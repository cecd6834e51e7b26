"""Names and paths of a CoPick project, both ways: pure functions over strings, no I/O.

Rules for names (`names`), identity of entities (`refs`), their keys (`paths`), interpretation of listings (`listing`)
and CoPick's URIs (`uris`). Sources of the format: copick 1.31.0 and 2.0.0a6 as they write it.
"""
