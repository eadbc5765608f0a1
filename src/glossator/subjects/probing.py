"""What a short forward pass reveals about sites and the module tree does not: whether a module has values for each
token, in which order of dimensions, and whether they depend on the rest of the batch.

One window is run in a batch of others, padded, and once more alone. A site whose values differ is rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from glossator.errors import UserError
from glossator.subjects.hooks import by_window, watch
from glossator.subjects.sites import Layout, SiteInfo

LAYOUTS: tuple[Layout, ...] = ("batch", "flat", "positions", "channels")
ROWS, LONG, SHORT = 3, 6, 4
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.06, torch.float16: 0.02}
"""Largest median over tokens of the difference at a token, relative to the size of its values."""


class Windows(NamedTuple):
    tokens: np.ndarray
    lengths: np.ndarray


class Probed(Protocol):
    """The part of a subject that probing uses, see `glossator.subjects.Subject`."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> Any: ...

    @property
    def tokenizer(self) -> Any: ...

    @property
    def prefix(self) -> Sequence[int]: ...

    @property
    def suffix(self) -> Sequence[int]: ...

    @property
    def causal(self) -> bool: ...

    @property
    def max_width(self) -> int | None: ...

    @property
    def runs_by_length(self) -> bool: ...

    def pass_inputs(self, tokens: np.ndarray, lengths: np.ndarray, *, padded: bool = False) -> dict[str, Any]: ...


def probe_windows(subject: Probed) -> tuple[Windows, Windows]:
    """Three windows of which the second is shorter than the others, and that one alone."""
    long = LONG if subject.max_width is None else min(LONG, subject.max_width)
    short = max(1, min(SHORT, long - 1))
    special = subject.tokenizer.vocabulary.special
    size = min(len(subject.tokenizer.vocabulary), len(subject.model.get_input_embeddings().weight))
    plain = [i for i in range(size) if i not in special] or list(range(size))
    tokens = np.random.default_rng(0).choice(plain, (ROWS, long)).astype(np.int32)
    lengths = np.array([long, short, long], np.int32)
    return Windows(tokens, lengths), Windows(tokens[1:2, :short], lengths[1:2])


def unpadded(windows: Windows) -> Windows:
    """The windows cut to the length of the shortest."""
    short = int(windows.lengths.min())
    return Windows(windows.tokens[:, :short], np.full(len(windows.tokens), short, np.int32))


def padding_matters(subject: Probed) -> bool:
    """Whether a window's outputs change when it is padded, behind its mask or behind the text of a causal model.

    Raises `UserError` for a model that is run as a causal one and is none.
    """
    together, alone = probe_windows(subject)
    with torch.inference_mode():
        many, one = (subject.model(**subject.pass_inputs(*w, padded=True))[0] for w in (together, alone))
    matters = _differ(many[1, : one.shape[1] - len(subject.suffix)], one[0, : one.shape[1] - len(subject.suffix)])
    if matters and subject.causal:
        raise UserError(
            "this is not a causal language model: its output at a token depends on later tokens",
            value=subject.name,
            fix="To study it as an encoder, save it as a masked language model or without its head",
        )
    return matters


def measured(subject: Probed, sites: Sequence[SiteInfo]) -> dict[str, SiteInfo | UserError]:
    """Each site with its width and layout, or why it gives no numbers that are a token's own."""
    together, alone = probe_windows(subject)
    if subject.runs_by_length:
        together = unpadded(together)
    raw = [replace(site, layout="batch", scale=None) for site in sites]
    many, one = _calls(subject, together, raw), _calls(subject, alone, raw)
    before, length = len(subject.prefix), int(alone.lengths[0])
    around = before + len(subject.suffix)
    shapes = (ROWS, around + together.tokens.shape[1]), (1, around + length)
    found: dict[str, SiteInfo | UserError] = {}
    for site in sites:
        here, there = many[site.name], one[site.name]
        if len(here) != 1 or len(there) != 1:
            times = f"{len(here)} times in a pass" if here else "in no pass over text"
            found[site.name] = _refused(site, f"it runs {times}, for no one layer")
            continue
        layout = layout_of(here[0], there[0], *shapes)
        if layout is None:
            found[site.name] = _refused(site, f"it gives {_shape(here[0])} for {shapes[0][0]} x {shapes[0][1]} tokens")
            continue
        values = by_window(here[0], layout, shapes[0])[1, before : before + length]
        expected = by_window(there[0], layout, shapes[1])[0, before : before + length]
        if _differ(values, expected):
            found[site.name] = _refused(site, "what it gives for a token changes with what else is in the batch")
        else:
            found[site.name] = replace(site, width=int(values.shape[-1]), layout=layout)
    return found


def layout_of(here: Any, there: Any, many: tuple[int, int], one: tuple[int, int]) -> Layout | None:
    """The order of dimensions in which a module's tensors of two passes over (rows, positions) tokens hold one vector
    of the same width for each token; longer than the positions where a model pads them itself."""
    if not (isinstance(here, torch.Tensor) and isinstance(there, torch.Tensor)) or not here.is_floating_point():
        return None
    for layout in LAYOUTS:
        wanted = 2 if layout == "flat" else 3
        if here.ndim != wanted or there.ndim != wanted:
            continue
        if layout == "flat" and (len(here) != many[0] * many[1] or len(there) != one[0] * one[1]):
            continue
        a, b = by_window(here, layout, many), by_window(there, layout, one)
        rows = a.shape[0] == many[0] and b.shape[0] == one[0]
        if rows and a.shape[1] >= many[1] and b.shape[1] >= one[1] and a.shape[2] == b.shape[2]:
            return layout
    return None


def _calls(subject: Probed, windows: Windows, sites: Sequence[SiteInfo]) -> dict[str, list[Any]]:
    """What each site had at each call in one whole pass, as it was then."""
    found: dict[str, list[Any]] = {site.name: [] for site in sites}

    def see(name: str, value: Any) -> None:
        found[name].append(value.clone() if isinstance(value, torch.Tensor) else value)

    inputs = subject.pass_inputs(*windows)
    with torch.inference_mode(), watch(subject.model, sites, see):
        subject.model(**inputs)
    return found


def _differ(values: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether most tokens have other values; the median, since a token may stand at a tie of a router.

    What is not a number in both is the same.
    """
    allowed = TOLERANCE.get(expected.dtype, 1e-3)
    known = torch.isfinite(expected) | torch.isfinite(values)
    values, expected = values.double().where(known, 0), expected.double().where(known, 0)
    difference = (values - expected).abs().amax(-1)
    size = expected.abs().amax(-1)
    return not bool((difference / size.clamp(min=size.median()).clamp(min=1e-300)).median() <= allowed)


def _shape(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "no tensor"


def _refused(site: SiteInfo, why: str) -> UserError:
    fix = f"{why[0].upper()}{why[1:]}; choose another module"
    return UserError("this module has no values per token", value=site.name, fix=fix)
