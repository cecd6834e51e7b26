"""Names and paths of a CoPick project, both ways: pure functions over strings, no I/O.

Which names may be written (`names`), what entities are called (`refs`), where they lie (`paths`), what a listing means
(`listing`) and CoPick's URIs (`uris`). Sources of the format: copick 1.31.0 and 2.0.0a6 as they write it.
"""
