"""Positions that take an attention sink: their values say nothing about their token.

A few tokens get a residual norm a hundred times that of the others from the middle layers on (Sun et al. 2024,
"Massive Activations in Large Language Models"). A prefix is meant to draw them off the windows; this checks that it
does, and finds the positions to leave out where it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.subjects.subject import Subject


def sink_positions(
    subject: Subject, tokens: np.ndarray, lengths: np.ndarray, *, site: str | None = None, factor: float = 10.0
) -> np.ndarray:
    """Where the residual norm exceeds `factor` times the median of the real positions: bool (b, w), False on padding.

    tokens (b, w), lengths (b,). site is the residual site looked at, the middle block's output by default; one forward
    pass up to it is run. Raises `UserError` for a model without residual sites.
    """
    if site is None:
        streams = [s.name for s in subject.sites() if s.name.startswith("resid.")]
        if not streams:
            raise UserError("no residual sites found in", value=subject.name, fix="Name a module as `site`")
        site = streams[len(streams) // 2]
    norms = subject.activations(tokens, lengths, [site])[site].float().norm(dim=-1).cpu().numpy()
    real = np.arange(tokens.shape[1]) < np.asarray(lengths)[:, None]
    if not real.any():
        return np.zeros_like(real)
    return real & (norms > factor * np.median(norms[real]))
