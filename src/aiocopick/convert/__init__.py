"""Other programs' files into a project, and out of it: MRC and TIFF volumes, RELION's STAR tables.

Needs the extra ``convert``.
"""

from aiocopick.convert.add import add
from aiocopick.convert.export import export
from aiocopick.convert.report import ConvertReport

__all__ = ["ConvertReport", "add", "export"]
