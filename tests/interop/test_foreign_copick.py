"""copick's own roots as layers of ours, in copick's environment."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

# copick's environment has no pytest: that of this environment is put behind everything of its own.
RUN = """
import sys
sys.path.append(sys.argv[1])
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["foreign_contract", "foreign_configs"])
def test_copicks_roots_are_layers(copick2_python: Path, tmp_path: Path, name: str) -> None:
    run_there(copick2_python, tmp_path, name)


@pytest.mark.timeout(900)
def test_roots_of_copick_1_are_layers_but_for_their_volumes(copick1_python: Path, tmp_path: Path) -> None:
    run_there(copick1_python, tmp_path, "foreign_old")


def run_there(python: Path, folder: Path, name: str) -> None:
    """Run the tests of a file in an environment of copick."""
    spec = find_spec("pytest")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parents[1]
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n")
    done = subprocess.run(
        [
            *(str(python), "-c", RUN, str(packages)),
            *(str(HERE / f"{name}.py"), "-c", str(settings), "--noconftest", "-q", "-p", "pytest_asyncio.plugin"),
            *("-p", "no:cacheprovider", "--basetemp", str(folder / "temporary")),
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
