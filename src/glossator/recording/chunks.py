"""What becomes of a few inputs' values at one site on their way into a shard: maxima, exponents, float16, power sums.

Of the time that a recording takes beside the model's forward pass this is most. On a processor each value is therefore
read twice from the cache by a compiled loop, and not once by each of a dozen operations. Accelerators, and models that
give a unit's places side by side, have the same in operations of torch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from glossator.engines import compiled
from glossator.recording.keys import LARGEST_SMALL, LEAST, TOP, exponents_of, powers

CHUNK_VALUES = 1 << 18
"""Worked on at a time: they stay in the cache."""
_IN_LINE = 32  # float16 in a cache line
_SMALL, _ZERO, _INFINITY = np.float32(LARGEST_SMALL), np.float32(0), np.float32(np.inf)


class Target(NamedTuple):
    """Where the parts of a chunk go: raw float16 (n, units, places); maxima float32 (2, n, units), of both polarities,
    -inf for an input without a valid place; exponents int16 (n, units), the powers of two of raw."""

    raw: torch.Tensor
    maxima: torch.Tensor
    exponents: torch.Tensor


class Bench:
    """A worker's own buffers, used again for every chunk."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.device], torch.Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A contiguous tensor of this shape whose content is left over."""
        size = int(np.prod(shape))
        buffer = self._buffers.get((name, device))
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name, device] = torch.empty(size, dtype=dtype, device=device)
        return buffer[:size].view(shape)


def take_in(
    values: torch.Tensor,
    valid: np.ndarray,
    chosen: torch.Tensor | None,
    begun: np.ndarray,
    target: Target,
    bench: Bench,
) -> np.ndarray | None:
    """Put values (n, places, units) where they go, and return the sums of x, x^2, x^3, x^4, float64 (4, units); None if
    a value that counts is not finite, with the target undefined.

    valid: bool (n, places), values elsewhere may be anything; chosen: which units, None for all; begun: int16, the
    exponents that these have at least.
    """
    # Models whose channels come first give a unit's places side by side, as they are stored.
    side_by_side = bool(valid.all()) and not values.is_contiguous() and values.transpose(1, 2).is_contiguous()
    if values.device.type == "cpu" and not side_by_side:
        x = values if chosen is None else values.index_select(2, chosen)
        return _compiled(x.float().contiguous(), valid, begun, target, bench)
    x = values.transpose(1, 2) if side_by_side else values
    if chosen is not None:
        x = x.index_select(1 if side_by_side else 2, chosen)
    return _by_torch(x, valid, begun, target, bench, side_by_side)


def _compiled(x: torch.Tensor, valid: np.ndarray, begun: np.ndarray, target: Target, bench: Bench) -> np.ndarray | None:
    n, _, units = x.shape
    stored = bench.get("stored", tuple(x.shape), torch.float32, x.device)
    maxima = bench.get("maxima", (2, n, units), torch.float32, x.device)
    exponents = bench.get("exponents", (n, units), torch.int16, x.device)
    sums = np.zeros((4, units))
    # All of these arrays are contiguous and may be written to: the loop is compiled for one layout.
    valid, begun = np.require(valid, bool, ["C", "W"]), np.require(begun, np.int16, ["C", "W"])
    if not _measure(x.numpy(), valid, begun, stored.numpy(), maxima.numpy(), exponents.numpy(), sums):
        return None
    target.maxima.copy_(maxima)
    target.exponents.copy_(exponents)
    _turn(stored, target, bench)
    return sums


@compiled
def _measure(
    x: np.ndarray,
    valid: np.ndarray,
    begun: np.ndarray,
    stored: np.ndarray,
    maxima: np.ndarray,
    exponents: np.ndarray,
    sums: np.ndarray,
) -> bool:
    """As `take_in`, with values to be stored as float16 in `stored`; adds to the sums.

    Every inner loop goes over the units, in arrays of its own, so that it becomes vector instructions; sums are added
    place by place and thus have the same bits on every processor.
    """
    n, places, units = x.shape
    high, low = np.empty(units, np.float32), np.empty(units, np.float32)
    factor = np.empty(units, np.float32)
    bits = factor.view(np.int32)
    first, second = np.empty(units, np.float32), np.empty(units, np.float32)
    third, fourth = np.empty(units, np.float32), np.empty(units, np.float32)
    for i in range(n):
        high[:], low[:] = -_INFINITY, -_INFINITY
        for place in range(places):
            if valid[i, place]:
                row = x[i, place]
                for j in range(units):
                    high[j] = row[j] if row[j] > high[j] else high[j]
                    low[j] = -row[j] if -row[j] > low[j] else low[j]
        finite = True
        for j in range(units):
            maxima[0, i, j], maxima[1, i, j] = high[j], low[j]
            factor[j] = high[j] if high[j] > low[j] else low[j]
            finite &= factor[j] < _INFINITY
            # as `exponents_of`, from the bits of a positive number
            exponent = max((bits[j] >> 23) - 126, LEAST) - TOP if bits[j] > 0 else LEAST - TOP
            exponent = max(exponent, begun[j])
            exponents[i, j] = exponent
            bits[j] = (127 - exponent) << 23  # two to the power of -exponent
        first[:], second[:], third[:], fourth[:] = 0, 0, 0, 0
        for place in range(places):
            out = stored[i, place]
            if valid[i, place]:
                row = x[i, place]
                for j in range(units):
                    value = row[j] * factor[j]
                    square = value * value
                    out[j] = value if abs(value) > _SMALL else _ZERO  # 0 for what would lack digits
                    first[j] += value
                    second[j] += square
                    third[j] += value * square
                    fourth[j] += square * square
            else:
                out[:] = 0
        for j in range(units):
            finite &= first[j] == first[j]  # comparisons pass over what is no number
            power = 2.0 ** float(exponents[i, j])
            sums[0, j] += first[j] * power
            sums[1, j] += second[j] * power**2
            sums[2, j] += third[j] * power**3
            sums[3, j] += fourth[j] * power**4
        if not finite:
            return False
    return True


def _by_torch(
    x: torch.Tensor, valid: np.ndarray, begun: np.ndarray, target: Target, bench: Bench, side_by_side: bool
) -> np.ndarray | None:
    """As `take_in`, on any device; side_by_side: x is (n, units, places), of which all count or it is not."""
    over_places, over_units = (2, 1) if side_by_side else (1, 2)
    n, places, units = len(x), x.shape[over_places], x.shape[over_units]
    holes = None if valid.all() else torch.from_numpy(np.flatnonzero(~valid)).to(x.device)
    scaled = bench.get("x", tuple(x.shape), torch.float32, x.device)
    empty = torch.from_numpy(~valid.any(1))
    if holes is not None:
        x = scaled.copy_(x)
        flat, there = x.view(-1, units), torch.from_numpy(valid.argmax(1)).to(x.device)
        first = holes // places * places + there[holes // places]
        flat.index_copy_(0, holes, flat.index_select(0, first))  # for the maxima: a value that is there anyway
        if empty.any():
            x[empty.to(x.device)] = 0
    high, low = x.amax(over_places).float(), x.amin(over_places).float().neg_()
    if not np.isfinite(max(high.max().item(), low.max().item())):
        return None
    exponents = np.maximum(exponents_of(torch.maximum(high.amax(0), low.amax(0)).cpu().numpy()), begun)
    if empty.any():
        high[empty.to(x.device)], low[empty.to(x.device)] = -torch.inf, -torch.inf
    target.maxima[0], target.maxima[1] = high, low
    target.exponents[:] = torch.from_numpy(exponents)
    if holes is not None:
        flat.index_fill_(0, holes, 0)
    factors = torch.from_numpy(powers(-exponents)).to(x.device)
    torch.mul(x, factors[:, None] if side_by_side else factors, out=scaled)
    second = bench.get("stored", tuple(x.shape), torch.float32, x.device)
    stored = torch.ops.aten.hardshrink.out(scaled, LARGEST_SMALL, out=second)  # 0 for what would lack digits
    if side_by_side:
        target.raw.copy_(stored)
        sums = _power_sums(scaled.view(-1, places), second.view(-1, places)).view(4, n, units).sum(1)
    else:
        _turn(stored, target, bench)
        sums = _power_sums(scaled.view(-1, units).t(), second.view(-1, units).t())
    return sums.numpy() * np.ldexp(1.0, np.arange(1, 5)[:, None] * exponents)


def _turn(stored: torch.Tensor, target: Target, bench: Bench) -> None:
    """Round values (n, places, units) to float16 and put each unit's side by side.

    They are turned from rows that fill an odd number of cache lines: those fall on all sets of a cache, so that it
    holds a column of them meanwhile.
    """
    n, places, units = stored.shape
    padded = (n, places, (-(-units // _IN_LINE) | 1) * _IN_LINE)
    halves = bench.get("halves", padded, torch.float16, stored.device)[..., :units].copy_(stored).mT
    target.raw.copy_(halves.contiguous() if halves.is_cuda else halves)


def _power_sums(x: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """Sums of x, x^2, x^3, x^4 over each row's few hundred values in float32, as float64 (4, rows); square: room for
    x^2.

    x is scaled so that none of these leaves the range of float32.
    """
    ones = torch.ones(x.shape[1], device=x.device)
    torch.mul(x, x, out=square)
    first, second = x.mv(ones), square.mv(ones)
    third = x.mul_(square).mv(ones)
    return torch.stack([first, second, third, square.square_().mv(ones)]).double().cpu()
