"""Loops that are compiled for this machine, where one pass over values replaces a dozen operations on arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


def compiled(function: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """The function, compiled as it is first called with arguments of given types, which takes a second or some.

    It is kept beside its file or in the user's cache until that file changes, not when constants of others do. Sums
    are made in the order in which the function makes them. It does not hold Python's lock.
    """
    lock, made = threading.Lock(), list[Callable[..., ResultT]]()

    @wraps(function)
    def call(*args: Any) -> ResultT:
        with lock:
            if not made:
                made.append(_compile(function))
        return made[0](*args)

    return call


def _compile(function: Callable[..., ResultT]) -> Callable[..., ResultT]:
    import numba  # which takes a while

    try:
        made: Callable[..., ResultT] = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # nothing can be written to either place
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return made
