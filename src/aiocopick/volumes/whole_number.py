"""Counts that callers pass: levels, edges, thicknesses."""

from __future__ import annotations

from operator import index
from typing import Any

from aiocopick.concurrency.lazy import numpy as np


def whole_number(value: Any, what: str, *, most: int = 2**31) -> int:
    """A count from 1, whatever type of number it comes as.

    Parameters
    ----------
    value : number
        An integer, or a float without a fraction.
    what : str
        What it counts, for the message.
    most : int
        Largest allowed value.

    Raises
    ------
    ValueError
        It is not such a number.
    """
    number = 0
    if not isinstance(value, bool | np.bool_):
        try:
            number = index(value)
        except TypeError:
            if isinstance(value, float | np.floating) and value.is_integer():
                number = int(value)
    if not 1 <= number <= most:
        upto = "" if number < 1 else f" to {most}"
        raise ValueError(f"{what} must be a whole number from 1{upto}, not {value!r}")
    return number
