"""Build the documentation into `site/`: run the notebook, which becomes a page, then build all pages, strictly.

python scripts/site.py    needs the extra `docs`
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ["docs/notebooks/tour.ipynb", "--execute", "--to", "markdown", "--output-dir", "docs", "--log-level", "WARN"]


def main() -> None:
    python = [sys.executable, "-m"]
    subprocess.run([*python, "nbconvert", *NOTEBOOK], cwd=ROOT, check=True)
    subprocess.run([*python, "zensical", "build", "--strict", "--clean"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
