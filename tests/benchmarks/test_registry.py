"""The tables of works, subjects and experiments fit each other."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
from benchmarks.profiles import PROFILES
from benchmarks.subjects import SUBJECTS, Subject
from benchmarks.works import WORKS

EXPERIMENTS = [experiment for profile in PROFILES.values() for experiment in profile]


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_subjects_module_has_a_function_for_each_of_its_works(subject: Subject) -> None:
    # Read, not imported: copick's modules are in other environments.
    spec = importlib.util.find_spec(subject.module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert subject.works - functions <= {"import_library", "first_use"}
    assert subject.works <= set(WORKS)


def test_a_subject_that_is_imported_says_what() -> None:
    assert all("import" in subject.options for subject in SUBJECTS.values() if "import_library" in subject.works)


@pytest.mark.parametrize("profile", PROFILES)
def test_experiments_of_a_profile_have_names_of_their_own(profile: str) -> None:
    names = [experiment.name for experiment in PROFILES[profile]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_an_experiment_asks_what_exists_of_somebody_who_does_it(experiment) -> None:
    assert experiment.work in WORKS
    assert set(experiment.subjects) <= set(SUBJECTS)
    assert not {name for name in experiment.subjects if name.endswith("-before")}
    for parameters in experiment.sizes():
        for target in experiment.targets:
            assert any(SUBJECTS[name].does(experiment.work, parameters, target) for name in experiment.subjects)


def test_the_tiny_profile_does_every_work_by_both_of_ours() -> None:
    done = {(experiment.work, subject) for experiment in PROFILES["tiny"] for subject in experiment.subjects}
    wanted = {(work, name) for name in ("aiocopick", "aiocopick-facade") for work in SUBJECTS[name].works}
    assert wanted <= done


def test_a_subject_is_not_asked_for_more_runs_than_anybody_waits_for() -> None:
    [experiment] = [one for one in PROFILES["full"] if one.name == "crawl"]
    assert "copick-1.31.0" in experiment.subjects_at({"runs": 200})
    assert "copick-1.31.0" not in experiment.subjects_at({"runs": 1000})
    assert "aiocopick" in experiment.subjects_at({"runs": 1000})
