"""Studies: a spec in, a folder out, with units, explanations and scores in one SQLite file.

Reading a study needs no torch; `run_study` brings it in when something has to be recorded.
"""

from typing import TYPE_CHECKING

from glossator.registry import on_first_use

if TYPE_CHECKING:
    from glossator.store.results import Chosen, UnitResult
    from glossator.store.spec import StudySpec, load_spec
    from glossator.store.study import Study, open_study
    from glossator.study.hypothesis import Tested, test_hypothesis
    from glossator.study.pipeline import run_study
    from glossator.study.trying import try_text

__all__ = [
    "Chosen",
    "Study",
    "StudySpec",
    "Tested",
    "UnitResult",
    "load_spec",
    "open_study",
    "run_study",
    "test_hypothesis",
    "try_text",
]

__getattr__ = on_first_use(
    __name__,
    {
        "glossator.store.results": "Chosen UnitResult",
        "glossator.store.spec": "StudySpec load_spec",
        "glossator.store.study": "Study open_study",
        ".hypothesis": "Tested test_hypothesis",
        ".pipeline": "run_study",
        ".trying": "try_text",
    },
)
