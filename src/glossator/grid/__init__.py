"""Grids of studies: explainer x simulator x subject x language model, each cell a study on the same units and text."""

from glossator.grid.results import GridResults, grid_results
from glossator.grid.runner import run_grid
from glossator.grid.spec import GridSpec, load_grid

__all__ = ["GridResults", "GridSpec", "grid_results", "load_grid", "run_grid"]
