"""Write `constraints.txt`: the versions that the project is developed with, for every supported Python and system.

    python scripts/constraints.py            add what pyproject.toml asks for and the file lacks, keep the rest
    python scripts/constraints.py --upgrade  renew every version

Needs uv (`pip install uv`), which resolves for all Pythons at once; pip alone reads the file.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
# What contributors and CI install. `copick` is left to copick's own pins.
EXTRAS = ("dev", "docs", "bench", "viewer")
HEADER = """\
# The versions this project is developed with, on every supported Python and system: pip finds them at once.
# Written by scripts/constraints.py; users of the library need none of it.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="renew every version")
    command = ["uv", "pip", "compile", "pyproject.toml", "--output-file", str(CONSTRAINTS), "--quiet"]
    # Names and versions only: no address of a registry, and nothing that changes with the machine.
    command += ["--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links"]
    command += [argument for extra in EXTRAS for argument in ("--extra", extra)]
    command += ["--upgrade"] if parser.parse_args().upgrade else []
    subprocess.run(command, cwd=ROOT, check=True)
    CONSTRAINTS.write_text(HEADER + CONSTRAINTS.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main()
