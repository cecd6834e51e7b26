"""Promises are about what the suite takes, and are judged by it."""

from __future__ import annotations

import pytest
from benchmarks.profiles import PROFILES
from benchmarks.promises import PROMISES, Promise, judged, of_before

from tests.benchmarks.test_results import cell, run, sample

EVERYTHING = run(
    *(
        cell(
            subject,
            sample(0, 1.0, cpu=0.5, requests={"ListObjectsV2": 1}, notes={"stored_bytes": 1, "seconds_each": 1e-6}),
            experiment=experiment.name,
            work=experiment.work,
            parameters=parameters,
            target=target,
            latency=latency,
        )
        for experiment in PROFILES["published"]
        for parameters in experiment.sizes()
        for target in experiment.targets
        for latency in experiment.latencies_among({"minio": (0, 20), "late": (0, 20, 50)}.get(target, (0,)))
        for subject in experiment.subjects_at(parameters)
    )
)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.about)
def test_the_suite_takes_what_a_promise_is_judged_by(promise: Promise) -> None:
    assert promise.value(EVERYTHING.cells) is not None


def test_promises_differ() -> None:
    assert len({promise.about for promise in PROMISES}) == len(PROMISES)


def test_a_promise_is_kept_up_to_its_bound() -> None:
    promise = Promise(about="times faster", value=lambda cells: None, at_least=8)
    assert promise.is_kept(8)
    assert not promise.is_kept(7.9)
    assert promise.bound == "at least 8"


def test_a_ratio_is_of_rounds_of_one_experiment() -> None:
    place = {"target": "minio", "latency": 20, "parameters": {"runs": 60}}
    found = run(
        cell("aiocopick", sample(0, 0.5), experiment="crawl-latency", **place),
        cell("aiocopick", sample(0, 1.0), experiment="crawl", **place),
        cell("floor", sample(0, 0.5), experiment="crawl", **place),
    )
    figures = {promise.about: value for promise, value in judged(found)}
    [multiple] = [
        value for about, value in figures.items() if about.endswith("a multiple of unsigned requests by hand")
    ]
    assert multiple == 2


def test_promises_are_judged_for_the_other_checkout_too() -> None:
    place = {"work": "blocking_call", "target": "disk", "latency": 0, "parameters": {"calls": 5000}}
    then, now = (
        cell(name, sample(0, 1.0, notes={"seconds_each": each}), **place)
        for name, each in (("aiocopick-facade-before", 2e-6), ("aiocopick-facade", 1e-6))
    )
    assert of_before(run(now)) is None
    before = of_before(run(now, then))
    assert before is not None
    assert [round(value, 9) for _, value in judged(before)] == [2]
    assert [round(value, 9) for _, value in judged(run(now, then))] == [1]


def test_a_ratio_takes_the_best_of_those_it_is_compared_with() -> None:
    found = run(
        *(
            cell(name, sample(0, wall), target="minio", latency=20, parameters={"runs": 200})
            for name, wall in (("aiocopick", 3.0), ("s3fs-flat", 2.0), ("s3fs-runs", 4.0))
        )
    )
    figures = {promise.about: value for promise, value in judged(found)}
    assert figures["List 200 runs, 20 ms: wall time as a multiple of the best by hand on s3fs"] == 1.5
