"""Read pip's logs (`PIP_LOG=FILE`), and fail when pip tried releases in vain before it found ones that fit together.

python scripts/pip_log.py FILE...
"""

from __future__ import annotations

import sys
from pathlib import Path

# What pip says once it rejects a release; `--quiet` hides it, the log has it.
SIGNS = ("looking at multiple versions of", "will try a different candidate")


def steps_back(log: str) -> list[str]:
    """Lines that say that pip went back to an older release."""
    return [line.strip() for line in log.splitlines() if any(sign in line.lower() for sign in SIGNS)]


def main(names: list[str]) -> int:
    steps = [step for name in names for step in steps_back(Path(name).read_text(encoding="utf-8"))]
    if steps:
        print("pip tried releases in vain; renew constraints.txt (scripts/constraints.py):", *steps, sep="\n  ")
    return bool(steps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
