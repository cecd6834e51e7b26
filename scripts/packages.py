"""Build wheel and sdist into `dist/`, and try each one in a clean environment: it installs, and `aiocopick demo` runs.

    python scripts/packages.py               build and try
    python scripts/packages.py --tag v1.2.3  fail when the version is another one

Python's standard library is enough; uv makes the environments when it is there.
"""

from __future__ import annotations

import argparse
import json
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.interop.environments import make_environment

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
VERSION = runpy.run_path(str(ROOT / "src" / "aiocopick" / "_version.py"))["__version__"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="tag of the release, such as v1.2.3")
    tag = parser.parse_args().tag
    if tag not in (None, f"v{VERSION}"):
        parser.error(f"the tag {tag} is not the version {VERSION}")
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        builder = make_environment(Path(folder, "build"), "hatchling")
        subprocess.run([builder, "-m", "hatchling", "build", "--directory", str(DIST)], cwd=ROOT, check=True)
        built = sorted(DIST.iterdir())
        if [path.name for path in built] != [f"aiocopick-{VERSION}{end}" for end in ("-py3-none-any.whl", ".tar.gz")]:
            print("built something else:", *built)
            return 1
        for package in built:
            python = make_environment(Path(folder, package.name), "-c", str(ROOT / "constraints.txt"), str(package))
            # From the folder: the sources would be found in a clone.
            demo = [str(python.with_name("aiocopick")), "demo", "--json", "--runs", "1"]
            done = subprocess.run(demo, cwd=folder, stdout=subprocess.PIPE, check=True)
            print(f"{package.name}: {json.loads(done.stdout)['entities']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
