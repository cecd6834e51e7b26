"""Bytes to objects and back, on the CPU only: picks, meshes, filaments, metadata, tables.

Input is parsed with bounded memory and depth; input that cannot be parsed raises
:class:`~aiocopick.errors.FormatError` with the path it was given. Nothing here reads or writes files.
"""
