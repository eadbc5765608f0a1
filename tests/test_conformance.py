"""Every registered part, on every kind of input and grid, gives a well-formed result or says what is missing."""

from __future__ import annotations

import pytest

from conformance import DOCUMENT, KINDS, WORLDS, outcome, table
from glossator import registry


@pytest.mark.parametrize("where", WORLDS)
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in registry.BUILT_IN[kind]])
def test_a_result_or_what_is_missing(kind: str, name: str, where: str) -> None:
    assert outcome(kind, name, where)


def test_the_table_in_the_documents_is_what_comes_of_it() -> None:
    assert DOCUMENT.read_text() == table(), "run: python tests/conformance.py"
