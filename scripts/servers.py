"""Install the real servers and the browser that tests and benchmarks can use, or list what is there.

    python scripts/servers.py install            every server
    python scripts/servers.py install minio gcs  these servers
    python scripts/servers.py list

Needs Go (minio, toxiproxy, gcs), npm (azure, axe) and apt-get (browser); Python's standard library is enough. Exit code
1 when a server asked for could not be had; the others are installed all the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.servers.programs import PROGRAMS, InstallError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    install = commands.add_parser("install", help="install servers at their pinned versions")
    install.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(PROGRAMS)}; default: all")
    commands.add_parser("list", help="say which servers are installed, and where")
    arguments = parser.parse_args()
    names = getattr(arguments, "names", None) or list(PROGRAMS)
    if unknown := [name for name in names if name not in PROGRAMS]:
        parser.error(f"unknown server {', '.join(unknown)}: choose from {', '.join(PROGRAMS)}")
    return _install(names) if arguments.command == "install" else _list(names)


def _install(names: list[str]) -> int:
    missing = 0
    for name in names:
        program = PROGRAMS[name]
        started = time.monotonic()
        try:
            path = program.install()
        except InstallError as error:
            missing += 1
            print(f"{name:10} MISSING   {program.version}: {error}", flush=True)
        else:
            print(f"{name:10} installed {program.version} in {time.monotonic() - started:.0f} s: {path}", flush=True)
    return 1 if missing else 0


def _list(names: list[str]) -> int:
    for name in names:
        print(f"{name:10} {PROGRAMS[name].find() or 'missing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
