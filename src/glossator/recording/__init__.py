"""Recordings: the activations of units over a corpus, on disk, and the evidence drawn from them.

Reading needs NumPy alone; `record` brings in torch when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glossator.recording.reader import Recording, open_recording, verify
from glossator.recording.samplers import EvidenceSpec, draw
from glossator.recording.spec import RecordingSpec, recording_spec

if TYPE_CHECKING:
    from glossator.recording.recorder import record

__all__ = ["EvidenceSpec", "Recording", "RecordingSpec", "draw", "open_recording", "record", "recording_spec", "verify"]


def __getattr__(name: str) -> Any:
    if name == "record":
        from glossator.recording.recorder import record

        return record
    raise AttributeError(name)
