"""Print the N-th fenced ``bash`` block of the README, so that CI runs what the README says and nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def bash_blocks(text: str) -> list[str]:
    """Bodies of the fenced ``bash`` blocks, in order."""
    return re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    print(bash_blocks(README.read_text(encoding="utf-8"))[int(sys.argv[1]) - 1], end="")
