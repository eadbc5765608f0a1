"""Fetch what the explorer's pages take from others, and check it: `python scripts/vendor.py`, which needs npm.

With `--check` nothing is fetched; the files that are here are compared with their checksums.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "src" / "glossator" / "explorer" / "assets" / "vendor"
FILES = {
    # name here: (package, path in it, sha256)
    "htm-preact.js": ("htm@3.1.1", "preact/standalone.umd.js",
                      "62c4ffea400078c0eda7f435b22726b4961ebdf74c8506f188e92bec41d8ac51"),
    "LICENSE-htm": ("htm@3.1.1", "LICENSE", "740725f7252e750af735d0028cc534970772f513331e9f68150fede8fb3ce00f"),
    "LICENSE-preact": ("preact@10.5.13", "LICENSE",
                       "1fe6958409c8c257a70c587a18b6f7f412b179b456630790d30b2ec9a8e4b7d4"),
}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, (package, path, checksum) in FILES.items():
            if "--check" not in sys.argv[1:]:
                done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, capture_output=True, check=True)
                with tarfile.open(Path(folder) / done.stdout.decode().strip()) as archive:
                    member = archive.extractfile(f"package/{path}")
                    assert member is not None
                    data = member.read()
            else:
                data = (VENDOR / name).read_bytes()
            if (found := hashlib.sha256(data).hexdigest()) != checksum:
                sys.exit(f"{name} has another checksum: {found}")
            if "--check" not in sys.argv[1:]:
                (VENDOR / name).write_bytes(data)
            print(name, len(data), "bytes")


if __name__ == "__main__":
    main()
