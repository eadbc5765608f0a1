"""Rasterise the sprites of rendered scenes: `python scripts/sprites.py`, which needs npm, and resvg-py beside Pillow.

The icons come from two packages whose checksums are here. Each style becomes one file of 128 x 128 pixels with a
palette of its own per sprite: `src/glossator/scenes/sprites-STYLE.npz.xz`.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SCENES = ROOT / "src" / "glossator" / "scenes"
SIDE = 128
STYLES = {
    # style: (package, sha256 of its archive, colours of a palette)
    "noto": ("@iconify-json/noto@1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad", 128),
    "twemoji": ("@iconify-json/twemoji@1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7", 32),
}


def main() -> None:
    sys.path.insert(0, str(ROOT / "src"))
    from glossator.scenes.words import nouns

    for style, (package, checksum, colours) in STYLES.items():
        with tempfile.TemporaryDirectory() as folder:
            icons = fetched(package, checksum, Path(folder))
        indices = np.zeros((len(nouns()), SIDE, SIDE), np.uint8)
        palettes = np.zeros((len(nouns()), colours, 4), np.uint8)
        for i, noun in enumerate(nouns().values()):
            flat = raster(icons, noun.icon).quantize(colours, method=Image.Quantize.FASTOCTREE)
            palette = np.frombuffer(flat.palette.tobytes(), np.uint8).reshape(-1, 4).copy()
            opacity = palette[:, 3]  # the palette's averages leave no trace of the background in what is opaque
            opacity[opacity >= 240], opacity[opacity < 10] = 255, 0
            indices[i], palettes[i, : len(palette)] = np.asarray(flat), palette
        saved = io.BytesIO()
        np.savez(saved, names=np.array(list(nouns())), indices=indices, palettes=palettes)
        path = SCENES / f"sprites-{style}.npz.xz"
        path.write_bytes(lzma.compress(saved.getvalue(), preset=9 | lzma.PRESET_EXTREME))
        print(path.name, len(nouns()), "sprites,", path.stat().st_size, "bytes")


def fetched(package: str, checksum: str, folder: Path) -> dict[str, Any]:
    """The icons of a package; ends the program where its archive has another checksum."""
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, capture_output=True, check=True)
    archive = folder / done.stdout.decode().strip()
    if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != checksum:
        sys.exit(f"{package} has another checksum: {found}")
    with tarfile.open(archive) as opened:
        member = opened.extractfile("package/icons.json")
        assert member is not None
        return json.load(member)


def raster(icons: dict[str, Any], name: str) -> Image.Image:
    """An icon as RGBA of `SIDE` x `SIDE`."""
    import resvg_py

    icon = icons["icons"].get(name) or icons["icons"][icons["aliases"][name]["parent"]]
    width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="{SIDE}" height="{SIDE}">{icon["body"]}</svg>'
    )
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")


if __name__ == "__main__":
    main()
