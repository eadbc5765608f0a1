"""Running a program on the inputs that it reads, whichever they are: windows of tokens, or images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import MissingPower
from glossator.inputs import Grid, Inputs, token_windows
from glossator.programs import executor
from glossator.programs.base import Test
from glossator.programs.language import Clause, Program

if TYPE_CHECKING:
    from glossator.programs.lexicon import Lexicon

READS = {"tokens": "windows of tokens", "scene": "images"}


def run(program: Program, inputs: Inputs, grid: Grid | None, lexicon: Lexicon | None) -> np.ndarray:
    """The program's value at every place of a grid: (n, places) float32, at least 0, 0 where a place does not count.

    grid: None for the tokens of windows; lexicon: needed for tokens alone. A program without clauses runs on anything.
    Raises `MissingPower` for inputs that the program does not read.
    """
    if inputs.kind == "images" and grid is not None:
        from glossator.programs.scene.content import execute

        _check(program, inputs)
        return execute(program, inputs, grid)
    windows = token_windows(inputs, grid)
    _check(program, inputs)
    if lexicon is None:
        raise MissingPower("executing programs needs a lexicon, which is missing", value=str(program)[:60])
    return executor.execute(program, windows, lexicon)


def truths(test: Test, inputs: Inputs, grid: Grid, lexicon: Lexicon | None) -> np.ndarray:
    """The truth of a test at every place (n, places), as `run` reads the inputs; padding is not masked."""
    if inputs.kind == "images":
        from glossator.programs.scene.content import truth

        _check(Program(0.0, (Clause(1.0, test),)), inputs)
        return truth(test, inputs, grid)
    windows = token_windows(inputs, grid)
    if lexicon is None:
        raise MissingPower("executing programs needs a lexicon, which is missing", value=str(test)[:60])
    return executor.truth(test, windows, lexicon)


def _check(program: Program, inputs: Inputs) -> None:
    reads = program.language
    if reads is not None and (reads == "scene") != (inputs.kind == "images"):
        raise MissingPower(f"this program reads {READS[reads]}", value=inputs.kind)
