"""Write requirements.lock from pyproject.toml: every dependency pinned by version and hash, torch left out.

torch is installed beside the lock because its build (CPU, CUDA, ROCm) differs by machine, and with it the hash and
the accelerator libraries that it pulls in. The lock holds no address of an index, so that it serves any mirror.
Run by `make lock`, which provides pip-tools.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
LEFT_TO_TORCH = re.compile(r"(torch|triton|nvidia-.*|cuda-.*|pytorch-triton.*)$")
HEADER = """\
# Written by `make lock` from pyproject.toml: the dependencies and the `dev` extra, by hash, without torch.
# Installed by `make setup` with --require-hashes --no-deps.
"""


def compile_requirements(torch: str, folder: Path) -> str:
    """Let pip-tools resolve pyproject.toml with that torch and return the pinned, hashed text."""
    constraint = folder / "torch.txt"
    constraint.write_text(torch + "\n")
    output = folder / "all.txt"
    if LOCK.exists():  # keep the present versions unless pyproject.toml or --upgrade asks for others
        output.write_text(LOCK.read_text())
    command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--strip-extras"]
    command += ["--extra", "dev", "--constraint", str(constraint), "--unsafe-package", "torch", "--no-header"]
    command += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
    command += ["--no-emit-options", "--output-file", str(output), *sys.argv[2:], str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:  # on success it only warns that torch has no hash, which is meant
        sys.exit(done.stderr)
    return output.read_text()


def blocks(text: str) -> list[tuple[str, str]]:
    """(package name, its lines) for each pinned requirement; comments and empty lines are dropped."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            found.append((match[1].lower(), [line]))
        elif found and line.startswith(" ") and not line.lstrip().startswith("#"):
            found[-1][1].append(line)
    return [(name, "\n".join(lines)) for name, lines in found]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = compile_requirements(sys.argv[1], Path(folder))
    kept = [lines for name, lines in blocks(text) if not LEFT_TO_TORCH.match(name)]
    lock = HEADER + "\n".join(kept) + "\n"
    if "://" in lock or not kept:
        sys.exit("the lock would name an address or nothing at all; not written")
    temporary = LOCK.with_suffix(".part")
    temporary.write_text(lock)
    temporary.replace(LOCK)


if __name__ == "__main__":
    main()
