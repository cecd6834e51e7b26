"""``aiocopick demo``: show the library on a project that the command writes itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiocopick.cli.options import AsJson
from aiocopick.cli.printing import print_json, print_table, progress
from aiocopick.cli.running import execute

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRun

RUNS = 4
CONFIG_NAME = "copick_config.json"


def demo(
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Keep the project in this new or empty folder."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Number of runs to write.")] = RUNS,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random numbers.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a small realistic project, crawl it, load its picks, and print its content.

    The command needs no network, data or configuration. Without --output the project goes into a temporary folder
    that is removed at the end.
    """
    if output is None:
        with tempfile.TemporaryDirectory(prefix="aiocopick-demo-") as temporary:
            execute(lambda: _demo(Path(temporary), runs, seed, as_json, kept=False))
        return
    try:
        taken = output.exists() and (not output.is_dir() or any(output.iterdir()))
        if not taken:
            output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be used: {error.strerror}", param_hint="--output") from None
    if taken:
        raise typer.BadParameter(f"{output} is not an empty folder", param_hint="--output")
    folder = output.resolve()
    execute(lambda: _demo(folder, runs, seed, as_json, kept=True))


async def _demo(folder: Path, runs: int, seed: int, as_json: bool, *, kept: bool) -> int:
    import aiocopick
    from aiocopick.cli.survey import Survey, print_result
    from aiocopick.concurrency.threads import in_thread
    from aiocopick.sample import sample_config, write_sample
    from aiocopick.storage.single_files import replace_file

    config = sample_config(folder)
    async with aiocopick.open(config) as root:
        with progress("writing", runs) as advance:
            await write_sample(root, runs=runs, seed=seed, progress=advance)
    # The project is opened again, so that nothing is cached.
    async with aiocopick.open(config) as root:
        survey = Survey(root.url)
        picked: list[dict[str, Any]] = []
        volumes: list[dict[str, Any]] = []
        with progress("crawling", runs) as advance:
            async with root.crawl(load={"picks"}, progress=advance) as found:
                async for run in found:
                    await survey.add(run, frozenset({"picks"}))
                    picked += await _picks_of(run)
                    volumes += await _volumes_of(run)
        result = survey.result(root)
    if kept:
        await in_thread(replace_file, folder / CONFIG_NAME, config.to_json().encode())
    if as_json:
        print_json(result | {"picks": picked, "volumes": volumes})
        return 0
    print_result(result)
    columns = ["run", "object", "user/session", "points", "mean score", "extent x y z (angstrom)"]
    print_table("Picks", columns, [tuple(row.values()) for row in picked])
    columns = ["run", "tomogram", "voxels z y x", "levels", "density at ribosomes", "density anywhere"]
    print_table("Volumes", columns, [tuple(row.values()) for row in volumes])
    if kept:
        typer.echo(f"The project stays in {folder}; go on with: aiocopick crawl {folder / CONFIG_NAME}")
    return 0


async def _picks_of(run: AsyncRun) -> list[dict[str, Any]]:
    rows = []
    for picks in await run.picks():
        positions, scores = await picks.to_numpy()
        extent = positions.max(axis=0) - positions.min(axis=0)
        rows.append(
            {
                "run": run.name,
                "object": picks.pickable_object_name,
                "by": f"{picks.user_id}/{picks.session_id}",
                "points": len(positions),
                "mean score": None if scores is None else round(float(scores.mean()), 3),
                "extent": " ".join(f"{length:.0f}" for length in extent),
            }
        )
    return rows


async def _volumes_of(run: AsyncRun) -> list[dict[str, Any]]:
    """Return the tomograms, and how dark they are in the middle of the ribosomes that were picked by hand."""
    rows = []
    picked = await run.get_picks("ribosome", user_id="curator")
    for spacing in await run.voxel_spacings():
        for tomogram in await spacing.tomograms():
            levels = await tomogram.levels()
            coarsest = await tomogram.numpy(levels[-1].path)
            row: dict[str, Any] = {
                "run": run.name,
                "tomogram": tomogram.uri,
                "voxels": " ".join(map(str, levels[0].shape)),
                "levels": len(levels),
            }
            for picks in picked:
                positions, _ = await picks.numpy()
                boxes = await tomogram.extract(positions, 3)
                row["density at ribosomes"] = round(float(boxes.mean()), 2)
            rows.append(row | {"density": round(float(coarsest.mean()), 2)})
    return rows


__all__ = ["CONFIG_NAME", "demo"]
