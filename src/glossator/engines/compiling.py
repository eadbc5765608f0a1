"""Loops that are compiled for this machine, where one pass over values replaces a dozen operations on arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from pickle import UnpicklingError
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
        if not made:
            with lock:
                if not made:
                    made.append(_compile(function))
        try:
            return made[0](*args)
        except (OSError, EOFError, UnpicklingError):  # what is kept cannot be read or written
            made[0] = _compile(function, keep=False)
            return made[0](*args)

    return call


def _compile(function: Callable[..., ResultT], *, keep: bool = True) -> Callable[..., ResultT]:
    import numba  # which takes a while

    try:
        made: Callable[..., ResultT] = numba.njit(nogil=True, error_model="numpy", cache=keep)(function)
    except RuntimeError:  # there is no place for what is kept
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return made
