"""Subjects that tests share: a tiny random one made here, and the real ones, downloaded once and cached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REAL = ("smollm2", "minilm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for real weights carries the marker that deselects it."""
    for item in items:
        if set(REAL) & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.weights)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved random Llama of 2 layers, d = 32, 64 neurons, 4 heads, with a byte-level tokenizer that has a BOS."""
    from tiny_models import byte_level_tokenizer, save_tiny

    return save_tiny(tmp_path_factory.mktemp("subjects") / "tiny", "llama", byte_level_tokenizer())


@pytest.fixture(scope="session")
def tiny_subject(tiny_folder: Path):
    """The random Llama as a subject named `tiny`."""
    from glossator.subjects import load_subject

    return load_subject(str(tiny_folder))


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M with its real weights."""
    from glossator.subjects import load_subject

    return load_subject("smollm2-135m")


@pytest.fixture(scope="session")
def minilm():
    """all-MiniLM-L6-v2 with its real weights."""
    from glossator.subjects import load_subject

    return load_subject("minilm")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, driven; tests that want one are skipped where there is none."""
    from explorer_cases import browser

    with browser() as opened:
        yield opened
