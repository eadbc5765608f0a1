"""Recordings: the activations of units over a corpus, on disk, and the evidence drawn from them.

Reading needs NumPy alone; `record` brings in torch when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glossator.recording.opening import open_recording, verify
from glossator.recording.reader import Recording
from glossator.recording.samplers import EvidenceSpec, draw
from glossator.recording.spec import RecordingSpec, recording_spec
from glossator.registry import on_first_use

if TYPE_CHECKING:
    from glossator.recording.recorder import record

__all__ = ["EvidenceSpec", "Recording", "RecordingSpec", "draw", "open_recording", "record", "recording_spec", "verify"]

__getattr__ = on_first_use(
    __name__,
    {
        ".recorder": "record",
    },
)
