"""Bytes to objects and back, on the CPU only: picks, meshes, filaments, metadata, tables.

What comes from outside is parsed with bounded memory and depth; what cannot be understood raises
:class:`~aiocopick.errors.FormatError` with the path it was given. Nothing here reads or writes files.
"""
