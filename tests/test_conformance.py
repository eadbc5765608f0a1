"""Every registered part, on every kind of input and grid, gives a well-formed result or says what is missing, and the
documents say which."""

from __future__ import annotations

import pytest

from conformance import DOCUMENT, KINDS, WORLDS, documented, outcome, table
from glossator import registry

WRITE = "run: python tests/conformance.py"


@pytest.mark.parametrize("where", WORLDS)
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in registry.BUILT_IN[kind]])
def test_a_result_or_what_is_missing(kind: str, name: str, where: str) -> None:
    found = outcome(kind, name, where)
    assert found and found == documented().get((kind, name, where)), WRITE


def test_the_document_is_what_its_cells_make() -> None:
    assert DOCUMENT.read_text() == table(documented()), WRITE
