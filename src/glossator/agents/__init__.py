"""Agents: experiments that find out what a unit responds to, with sandboxed code, budgets and honest tests.

`experiment` runs one. A policy experiments through tools; hypotheses stand in a ledger with predictions registered
before data, negative controls and e-values; a transcript replays byte for byte.
"""

from typing import TYPE_CHECKING

from glossator.registry import on_first_use

if TYPE_CHECKING:
    from glossator.agents.answers import Answer, Conclusion, Finding
    from glossator.agents.budget import Budget
    from glossator.agents.loop import experiment
    from glossator.agents.makers import CarrierWriter, Makers, Studio, Writer
    from glossator.agents.scene_studio import SceneStudio
    from glossator.agents.tools import Tools
    from glossator.agents.transcript import Transcript, read_transcript
    from glossator.agents.under_test import (
        FunctionUnderTest,
        ImageUnderTest,
        Response,
        Seen,
        TokenUnderTest,
        UnderTest,
        image_unit,
        token_unit,
    )

__all__ = [
    "Answer", "Budget", "CarrierWriter", "Conclusion", "Finding", "FunctionUnderTest", "Makers", "Response", "Seen",
    "Studio", "TokenUnderTest", "Tools", "Transcript", "UnderTest", "Writer", "experiment", "read_transcript",
    "token_unit", "ImageUnderTest", "SceneStudio", "image_unit",
]  # fmt: skip

__getattr__ = on_first_use(
    __name__,
    {
        ".answers": "Answer Conclusion Finding",
        ".budget": "Budget",
        ".loop": "experiment",
        ".makers": "CarrierWriter Makers Studio Writer",
        ".scene_studio": "SceneStudio",
        ".tools": "Tools",
        ".transcript": "Transcript read_transcript",
        ".under_test": "FunctionUnderTest ImageUnderTest Response Seen TokenUnderTest UnderTest image_unit token_unit",
    },
)
