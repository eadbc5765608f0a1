"""One intervention: a site, a part, a change and the positions it applies to; and edits as forward hooks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from glossator.causal.changes import Change, Splice
from glossator.errors import MissingPower, UserError
from glossator.inputs.tokens import TokenWindows
from glossator.readouts.parts import Part, read_from, seeing
from glossator.subjects.base import Power, check_power

if TYPE_CHECKING:
    import torch

    from glossator.subjects.base import Subject
    from glossator.subjects.transformer import TransformerSubject


@dataclass(frozen=True, eq=False)
class Edit:
    """One change of the activations at a site, in force for a run.

    where: bool (n, w), the window positions that are changed, None for all tokens of each window (padding is never
    changed); borders: the prefix and suffix that a subject puts around windows are changed too, which needs `where`
    None and a change that is the same at every position.
    """

    site: str
    part: Part
    change: Change
    where: np.ndarray | None = None
    borders: bool = False


@dataclass(frozen=True, eq=False)
class BoundEdit:
    """An edit checked against its subject and windows; `site` is resolved, and so is `source`, the site that its part
    is read from, None where it is the same."""

    site: Any
    part: Part
    change: Change
    where: np.ndarray
    borders: bool
    source: Any = None

    @property
    def sites(self) -> list[Any]:
        """The sites whose values the edit needs in a pass."""
        return [self.site] if self.source is None else [self.source, self.site]

    def hook(
        self, rows: np.ndarray, before: int, seen: Mapping[str, torch.Tensor] | None = None
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """What the edit does to the site's tensor (b, positions, width) in a pass over these rows of the windows; seen:
        what the pass has had at the source."""
        import torch

        def on_windows(tensor: torch.Tensor) -> torch.Tensor:
            # A batch of short windows may be cut to its longest one.
            width = min(self.where.shape[1], tensor.shape[1] - before)
            inside = tensor[:, before : before + width]
            part = self.part_at(seen, slice(before, before + width))
            old = part.read(inside)
            full = _cut(self.change, width).apply(old, rows)
            mask = torch.from_numpy(self.where[rows, :width]).to(old.device).unsqueeze(-1)
            changed = tensor.clone()
            changed[:, before : before + width] = part.write(inside, torch.where(mask, full, old))
            return changed

        def everywhere(tensor: torch.Tensor) -> torch.Tensor:
            part = self.part_at(seen, slice(None))
            return part.write(tensor, self.change.apply(part.read(tensor), rows))

        return everywhere if self.borders else on_windows

    def part_at(self, seen: Mapping[str, torch.Tensor] | None, positions: slice) -> Part:
        """The part at these positions of a pass that has had `seen` at the source."""
        if self.source is None:
            return self.part
        assert seen is not None
        return seeing(self.part, seen[self.source.name][:, positions])


def _cut(change: Change, width: int) -> Change:
    if isinstance(change, Splice) and change.values.shape[1] > width:
        return Splice(change.values[:, :width])
    return change


def bind(subject: TransformerSubject, edits: Sequence[Edit], windows: TokenWindows) -> list[BoundEdit]:
    """Check edits against a subject and windows; raises `MissingPower` for a subject that cannot be intervened on,
    `UserError` for the rest."""
    check_intervene(subject)
    return bind_places(subject, edits, np.arange(windows.width) < windows.lengths[:, None])


def bind_places(subject: Subject, edits: Sequence[Edit], real: np.ndarray) -> list[BoundEdit]:
    """The same for inputs of any kind: real (n, places), the places that are no padding."""
    check_power(subject, Power.INTERVENE, "an edit")
    return [_bound(subject, edit, real) for edit in edits]


def _bound(subject: Any, edit: Edit, real: np.ndarray) -> BoundEdit:
    site = subject.site(edit.site)
    part = edit.part.bound(site)
    if edit.where is not None and np.shape(edit.where) != real.shape:
        raise UserError("the edit's `where` does not have the shape of the windows", value=np.shape(edit.where),
                        allowed=str(real.shape))  # fmt: skip
    if edit.borders and (edit.where is not None or isinstance(edit.change, Splice)):
        raise UserError(
            "an edit with borders must change every position in the same way", value=type(edit.change).__name__
        )
    where = real if edit.where is None else real & np.asarray(edit.where, bool)
    if isinstance(edit.change, Splice):
        wanted = (*real.shape, part.size)
        if edit.change.values.shape != wanted:
            raise UserError("spliced values have the wrong shape", value=edit.change.values.shape, allowed=str(wanted))
        if lacking := int(np.isnan(edit.change.values[where]).any(axis=-1).sum()):
            raise UserError(f"spliced values are missing (NaN) at {lacking} of {int(where.sum())} edited tokens")
    source = read_from(part)
    return BoundEdit(site, part, edit.change, where, edit.borders, None if source is None else subject.site(source))


def check_intervene(subject: Subject) -> TransformerSubject:
    """The subject, a model that can be intervened on; raises `MissingPower` for any other."""
    if Power.INTERVENE not in subject.powers:
        raise MissingPower(
            "this subject cannot be intervened on: it is not a model with sites",
            value=subject.name,
            fix="Use a subject from load_subject",
        )
    if subject.takes != "tokens":
        raise MissingPower(
            f"this intervenes on tokens, and the subject takes {subject.takes}",
            value=subject.name,
            allowed="a language model or encoder; for image models see glossator.causal.images",
        )
    return cast("TransformerSubject", subject)


def check_outputs(subject: Subject) -> TransformerSubject:
    """The subject, a model with next-token distributions; raises `MissingPower` for any other (an encoder, a model
    without its head)."""
    model = check_intervene(subject)
    if Power.OUTPUTS not in subject.powers:
        raise MissingPower(
            "this model has no next-token distribution, so effects on outputs cannot be measured",
            value=subject.name,
            allowed="a causal language model",
        )
    return model


@contextlib.contextmanager
def editing(subject: TransformerSubject, edits: Sequence[BoundEdit], rows: np.ndarray) -> Iterator[None]:
    """A context in which these edits apply, in this order, to passes over these rows (b,) of the windows they were
    bound to.

    Passes that other threads run through the model meanwhile are not changed.
    """
    from glossator.subjects.hooks import edit

    mine = threading.get_ident()

    def of_this_thread(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda tensor: change(tensor) if threading.get_ident() == mine else tensor

    seen: dict[str, torch.Tensor] = {}
    with contextlib.ExitStack() as stack:
        for one in edits:
            changing = of_this_thread(one.hook(rows, len(subject.prefix), seen))
            stack.enter_context(edit(subject.model, one.site, changing))
        stack.enter_context(seeing_sources(subject, edits, seen))
        yield


@contextlib.contextmanager
def seeing_sources(
    subject: TransformerSubject, edits: Sequence[BoundEdit], seen: dict[str, torch.Tensor]
) -> Iterator[None]:
    """Keep in `seen` what passes have at the sites that parts of edits are read from; entered after the edits' own
    hooks, so that what they change there is seen."""
    from glossator.subjects.hooks import keeping, watch

    sources = {one.source.name: one.source for one in edits if one.source is not None}
    with watch(subject.model, list(sources.values()), keeping(seen)) if sources else contextlib.nullcontext():
        yield
