"""Make an environment with copick itself, of which tests and benchmarks read the answers, and print its interpreter.

    python scripts/copick_env.py            both versions
    python scripts/copick_env.py 1.31.0     one version

What is there is kept. Python's standard library is enough; uv is used when it is there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.interop.environments import VERSIONS, NotMadeError, interpreter


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="version", help=f"one of {', '.join(VERSIONS)}; default: both")
    versions = parser.parse_args().versions or VERSIONS
    if unknown := [version for version in versions if version not in VERSIONS]:
        parser.error(f"unknown version {', '.join(unknown)}: choose from {', '.join(VERSIONS)}")
    try:
        for version in versions:
            print(interpreter(version), flush=True)
    except NotMadeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
