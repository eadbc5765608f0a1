"""Which shard a batch goes into: shards are filled one after another, and handed on in order when all of their batches
are done. Batches of the next may run meanwhile, in another room, so that no stream waits for the others."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from glossator.recording.store import Shard

RoomT = TypeVar("RoomT")


@dataclass
class Filling(Generic[RoomT]):
    """A shard that is not complete. left: batches that may still be begun; until: when it is old; running: how many
    are; closed: whether no other will be begun."""

    shard: Shard
    room: RoomT
    left: deque[tuple[int, int]]
    until: float
    begun: int = 0
    running: int = 0
    closed: bool = False


class Batch(NamedTuple, Generic[RoomT]):
    """A batch to be run: its shard, its number in it, and its rows, from and to before."""

    filling: Filling[RoomT]
    number: int
    first: int
    end: int


@dataclass
class Shards(Generic[RoomT]):
    """The shards of some rows.

    begin, until: these rows; free: rooms, each the memory of a shard; batches: those that a shard which begins at a row
    may hold; folder: of the shard that begins at a row; restore: takes a shard of an earlier run into the state;
    hand_on: finishes one, and gives back its room; seconds: no batch is begun in a shard that is so old.
    """

    begin: int
    until: int
    free: deque[RoomT]
    batches: Callable[[int], list[tuple[int, int]]]
    folder: Callable[[int], Path]
    restore: Callable[[Path], Shard]
    hand_on: Callable[[RoomT, Shard], Future[RoomT]]
    seconds: float
    complete: list[Shard] = field(default_factory=list)
    _filling: deque[Filling[RoomT]] = field(default_factory=deque)
    _finishing: deque[Future[RoomT]] = field(default_factory=deque)

    def next(self) -> Batch[RoomT] | None:
        """The batch to begin now; None where others have to be done before, or where there is none."""
        while True:
            current = self._filling[-1] if self._filling else None
            if current is not None and not self._is_full(current):
                return self._from(current)
            self._pass_on()
            row = self._filling[-1].shard.end if self._filling else self._end
            if row >= self.until:
                return None
            earlier = (place := self.folder(row)).exists()
            if earlier and self._filling:
                return None
            while self._finishing and (earlier or not self.free):
                self.free.append(self._finishing.popleft().result())
            if earlier:
                self.complete.append(self.restore(place))
                continue
            if not self.free:
                return None
            batches = self.batches(row)
            if batches[-1][1] >= self.until:  # nothing else runs while the last shard is finished: it is a short one
                batches = batches[: max(1, len(batches) * 3 // 4)]
            until = time.monotonic() + self.seconds
            self._filling.append(Filling(Shard(place, row, row), self.free.popleft(), deque(batches), until))

    def done(self, batch: Batch[RoomT]) -> None:
        batch.filling.running -= 1
        self._pass_on()

    def finish(self) -> list[Shard]:
        """Wait until every shard is written; returns them in order."""
        for future in self._finishing:
            future.result()
        return self.complete

    @property
    def _end(self) -> int:
        return self.complete[-1].end if self.complete else self.begin

    def _is_full(self, filling: Filling[RoomT]) -> bool:
        old = filling.begun > 0 and time.monotonic() > filling.until
        filling.closed = filling.closed or not filling.left or old
        return filling.closed

    def _from(self, filling: Filling[RoomT]) -> Batch[RoomT]:
        first, end = filling.left.popleft()
        batch = Batch(filling, filling.begun, first, end)
        filling.shard = replace(filling.shard, end=end)
        filling.begun += 1
        filling.running += 1
        return batch

    def _pass_on(self) -> None:
        while self._filling and self._filling[0].closed and not self._filling[0].running:
            filling = self._filling.popleft()
            self._finishing.append(self.hand_on(filling.room, filling.shard))
            self.complete.append(filling.shard)
