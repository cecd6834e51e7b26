"""Points behave as copick's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pydantic import ValidationError

from aiocopick.models import CopickLocation, CopickPicksFile, CopickPoint


def point() -> CopickPoint:
    return CopickPoint(location=CopickLocation(x=1, y=2, z=3))


def test_defaults() -> None:
    assert point().model_dump() == {
        "location": {"x": 1.0, "y": 2.0, "z": 3.0},
        "transformation_": np.eye(4).tolist(),
        "instance_id": 0,
        "score": 1.0,
    }


def test_the_transformation_is_an_array_and_can_be_set() -> None:
    changed, other = point(), point()
    matrix = np.eye(4)
    matrix[:3] = np.arange(12).reshape(3, 4)
    changed.transformation = matrix
    assert isinstance(changed.transformation, np.ndarray)
    assert np.array_equal(changed.transformation, matrix)
    assert changed.transformation_ == matrix.tolist()
    assert other.transformation_ == np.eye(4).tolist()


def test_a_null_transformation_is_the_identity() -> None:
    assert np.array_equal(
        CopickPoint(location=point().location, transformation_=None).transformation,  # type: ignore[arg-type]
        np.eye(4),
    )


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "4x4 matrix"),
        (np.zeros((4, 4)), "Last element"),
        (np.vstack([np.eye(4)[:3], [[1, 0, 0, 1]]]), "Last row"),
    ],
)
def test_what_is_no_transformation(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CopickPoint(location=point().location, transformation_=matrix.tolist())
    with pytest.raises(ValueError, match=message):
        point().transformation = matrix


def test_unknown_keys_are_kept() -> None:
    data = {"location": {"x": 1.0, "y": 2.0, "z": 3.0, "frame": 1}, "colour": "red"}
    dump = CopickPoint.model_validate(data).model_dump()
    assert dump["colour"] == "red"
    assert dump["location"]["frame"] == 1
    file = {"pickable_object_name": "o", "user_id": "u", "session_id": "0", "software": "x"}
    assert CopickPicksFile.model_validate(file).model_dump()["software"] == "x"


def test_a_file_may_have_null_points() -> None:
    file = CopickPicksFile(pickable_object_name="o", user_id="u", session_id="0", points=None)
    assert file.points is None
    assert file.unit == "angstrom"
    assert file.trust_orientation is True


def test_the_first_use_may_be_in_many_threads() -> None:
    together = threading.Barrier(8)

    def use(kind: type[CopickPicksFile]) -> list[object]:
        together.wait()
        return [item.location.x for item in kind.model_validate(PICKS).points or ()]

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            # Its validator is not made yet.
            fresh = type("Fresh", (CopickPicksFile,), {"__module__": __name__})
            assert list(pool.map(use, [fresh] * 8)) == [[1.0]] * 8


PICKS = {
    "pickable_object_name": "ribosome",
    "user_id": "user",
    "session_id": "1",
    "points": [{"location": {"x": 1, "y": 2, "z": 3}}],
}
