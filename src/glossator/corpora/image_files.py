"""Images from one file: `.npy`, or `.npz` with `pixels` and, if several images show one scene, their `groups`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from glossator.corpora.probe_set import ProbeSet, probe_set
from glossator.errors import UserError
from glossator.inputs import Images

SUFFIXES = (".npy", ".npz")


def is_images(name: str) -> bool:
    """Whether a corpus of this name is a file of images."""
    return name.endswith(SUFFIXES)


def open_images(name: str, *, seed: int = 0) -> ProbeSet:
    """The images of a file, assigned to splits; `UserError` for a file that holds none."""
    path = Path(name).expanduser()
    try:
        found = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
        if not isinstance(found, np.ndarray):
            with found:
                if "pixels" not in found:
                    raise UserError("the file has no array called pixels", value=name, allowed=", ".join(found))
                return probe_set(Images.of(found["pixels"], found.get("groups")), seed=seed, name=name)
    except (OSError, ValueError, EOFError) as error:
        raise UserError("the images cannot be read", value=name, fix=str(error)) from error
    return probe_set(Images.of(found), seed=seed, name=name)
