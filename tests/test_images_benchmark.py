"""The benchmark of images: it records a tiny subject and renders scenes."""

from __future__ import annotations

from benchmarks import images


def test_scenes_are_rendered_by_processes() -> None:
    found = images.rendering(16, 0)
    assert found["renders_per_core_second"] > 0 and found["renders_per_second"] > 0
