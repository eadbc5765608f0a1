"""Images as probe sets: arrays in a file, a folder of image files, or scenes rendered from a seed.

FILE.npy, FILE.npz      pixels uint8 (n, height, width, 3); in .npz as `pixels`, with `groups` if images share a scene
renders, renders:N      N random scenes (4,096), each a group of its own; renders:N:twemoji in another hand
FOLDER                  image files at any depth, with, if they are there:
    labels.csv          columns file, label and, if images belong together, group; a row for each label of a file
    masks/LABEL/FILE    an image, as large as FILE, that is not black where FILE shows LABEL; .png for any suffix
"""

from __future__ import annotations

import csv
import functools
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from glossator.corpora.look_alikes import join_look_alikes, thumbnails_of_files, thumbnails_of_pixels
from glossator.corpora.probe_set import ProbeSet, probe_set
from glossator.errors import UserError
from glossator.files import sha256_of
from glossator.inputs import Concept, Images
from glossator.inputs.annotations import Labels, LazyMasks
from glossator.inputs.image_files import IMAGE_SUFFIXES, FilePixels, mask_of_file, size_of

RENDERS = "renders"
MANY = 4096
SIDE = 224
SUFFIXES = (".npy", ".npz")
LABELS, MASKS = "labels.csv", "masks"


def is_images(name: str) -> bool:
    """Whether a corpus of this name is a set of images: a file of arrays, rendered scenes, a folder with an image."""
    if name.partition(":")[0] == RENDERS or name.endswith(SUFFIXES):
        return True
    folder = Path(name).expanduser()
    return folder.is_dir() and next(_files(folder), None) is not None


def open_images(name: str, *, seed: int = 0) -> ProbeSet:
    """The images of a name, assigned to splits; `UserError` where there are none or one cannot be read."""
    if name.partition(":")[0] == RENDERS:
        return rendered(name, seed=seed)
    path = Path(name).expanduser()
    if path.is_dir():
        images, names = images_of_folder(path)
        groups, joined = join_look_alikes(images.groups, thumbnails_of_files(sorted(_files(path))))
        called = [names[group] for group in np.unique(groups)]
        return _told(probe_set(images.regrouped(groups), called, seed=seed, name=name), joined)
    try:
        found = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
        if not isinstance(found, np.ndarray):
            with found:
                if "pixels" not in found:
                    raise UserError("the file has no array called pixels", value=name, allowed=", ".join(found))
                images = Images.of(found["pixels"], _group_numbers(found.get("groups")))
        else:
            images = Images.of(found)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError("the images cannot be read", value=name, fix=str(error)) from error
    groups, joined = join_look_alikes(images.groups, thumbnails_of_pixels(np.asarray(images.pixels)))
    return _told(probe_set(images.regrouped(groups), seed=seed, name=name), joined)


def _group_numbers(labels: np.ndarray | None) -> np.ndarray | None:
    """Numbers of groups from whole numbers or texts; raises `UserError` for other labels."""
    if labels is None:
        return None
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise UserError(
            "bad groups of images", value=f"{labels.dtype} {labels.shape}", allowed="whole numbers or texts"
        )
    return np.unique(labels, return_inverse=True)[1]


def _told(probes: ProbeSet, joined: int) -> ProbeSet:
    """With how many images are of another one's group because they look like it."""
    return replace(probes, spec={**probes.spec, "look_alikes": joined}) if joined else probes


def rendered(name: str, *, seed: int = 0) -> ProbeSet:
    """Rendered scenes of a name such as `renders:20000`: the same for the same seed, drawn when they are read."""
    from glossator.scenes import SceneImages, random_scenes
    from glossator.scenes.sprites import STYLES

    _, _, rest = name.partition(":")
    number, _, style = rest.partition(":")
    if (number and not (number.isascii() and number.isdigit() and int(number) >= 4)) or style not in ("", *STYLES):
        raise UserError(
            "cannot read what scenes to render",
            value=name,
            allowed=f"{RENDERS}, {RENDERS}:N or {RENDERS}:N:STYLE; N from 4, STYLE one of {', '.join(STYLES)}",
        )
    scenes = random_scenes(int(number or MANY), seed, style=style or STYLES[0])
    return probe_set(SceneImages.of_scenes(scenes), seed=seed, name=name)


def images_of_folder(folder: Path, side: int = SIDE) -> tuple[Images, list[str]]:
    """The images of a folder in the order of their names, side x side pixels, and what their groups are called.

    Raises `UserError` for a file that is no image, for labels or masks of files that are not there, and for a mask of
    another size than its image.
    """
    paths = sorted(_files(folder))
    if not paths:
        raise UserError("the folder holds no images", value=str(folder), allowed=", ".join(IMAGE_SUFFIXES))
    names = [path.relative_to(folder).as_posix() for path in paths]
    for path in paths:
        size_of(path, upright=False)
    row_of = {name: row for row, name in enumerate(names)}
    shows, group_of = _labels(folder / LABELS, row_of)
    masks = _masks(folder / MASKS, row_of, paths, side)
    for label, of in masks.items():
        shown = shows.setdefault(label, np.zeros(len(paths), bool))
        shown[list(of)] = True
    called = [group_of.get(row, name) for row, name in enumerate(names)]
    group_names, groups = np.unique(called, return_inverse=True)
    labels = Labels(len(paths), shows, masks, _digests(folder / MASKS)) if shows else None
    ids = np.arange(len(paths), dtype=np.int64)
    return Images(FilePixels(paths, side), ids, groups.astype(np.int64), labels), [str(name) for name in group_names]


def _files(folder: Path) -> Iterator[Path]:
    """The image files below a folder, masks and hidden files left out."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(root) != folder or f != MASKS))
        for file in sorted(files):
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith("."):
                yield Path(root) / file


def _labels(path: Path, row_of: dict[str, int]) -> tuple[dict[Concept, np.ndarray], dict[int, str]]:
    """Which rows show each label, and the group of those that have one."""
    shows: dict[Concept, np.ndarray] = {}
    group_of: dict[int, str] = {}
    if not path.exists():
        return shows, group_of
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError("the labels cannot be read", value=str(path), fix=str(error)) from error
    if "file" not in columns or not {"label", "group"} & set(columns):
        raise UserError("the labels lack columns", value=columns, allowed="file, label, and group if there are groups")
    for number, row in enumerate(rows, 2):
        if (name := Path(row["file"] or "").as_posix()) not in row_of:
            raise UserError(f"line {number} of {path} names no image of the folder", value=row["file"])
        at, label, group = row_of[name], (row.get("label") or "").strip(), (row.get("group") or "").strip()
        if label:
            shows.setdefault(Concept("label", label), np.zeros(len(row_of), bool))[at] = True
        if group and group_of.setdefault(at, group) != group:
            raise UserError(f"line {number} of {path} gives an image a second group", value=group)
    return shows, group_of


def _digests(masks: Path) -> bytes:
    """What the files of masks hold."""
    return b"".join(bytes.fromhex(sha256_of(path)) for path in _files(masks)) if masks.is_dir() else b""


def _masks(folder: Path, row_of: dict[str, int], paths: list[Path], side: int) -> dict[Concept, LazyMasks]:
    """The masks of each label, by row."""
    without_suffix: dict[str, int] = {}
    for name, row in row_of.items():
        without_suffix.setdefault(os.path.splitext(name)[0], row)
    found: dict[Concept, LazyMasks] = {}
    for of_label in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ():
        readers: dict[int, Callable[[], np.ndarray]] = {}
        for path in _files(of_label):
            name = path.relative_to(of_label).as_posix()
            if (of := row_of.get(name, without_suffix.get(os.path.splitext(name)[0]))) is None:
                raise UserError("a mask is of no image of the folder", value=str(path), allowed=f"{MASKS}/LABEL/FILE")
            if (size := size_of(path)) != (expected := size_of(paths[of])):
                what = "a mask has another size than its image"
                raise UserError(what, value=f"{path}: {size}", allowed=str(expected))
            readers[of] = functools.partial(mask_of_file, path, side)
        found[Concept("label", of_label.name)] = LazyMasks(readers)
    return found
