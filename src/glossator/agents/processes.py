"""Code in a process of its own: confined by bubblewrap (no network, no files but Python's, numpy), or unsafe.

The process speaks JSON over two pipes: a piece of code goes in, calls of tools come out and are answered, and at the
end what was printed. `unsafe` has the same limits on time, memory and output, and nothing else: such code can read
files and use the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from glossator.agents.gate import Function, Gate, Limits, Ran
from glossator.errors import UserError

_CHILD = r"""
import contextlib, io, json, os, resource, sys, traceback
SECONDS, MEMORY, OUTPUT, RECURSION = map(int, sys.argv[1:5])
for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 1 << 20), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(what, (most, most))
sys.setrecursionlimit(RECURSION)
asked, told = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDWR), 0); os.dup2(0, 1); os.dup2(0, 2)
def send(value):
    told.write(json.dumps(value) + "\n"); told.flush()
def stub(name):
    def call(*args, **kwargs):
        send({"call": name, "args": args, "kwargs": kwargs})
        answer = json.loads(asked.readline())
        if "error" in answer:
            raise {"ValueError": ValueError, "TypeError": TypeError}.get(answer["kind"], RuntimeError)(answer["error"])
        return answer["value"]
    return call
class Printed(io.StringIO):
    def write(self, text):
        if self.tell() + len(text) > OUTPUT:
            raise MemoryError("too much output")
        return super().write(text)
scope = {"__name__": "experiment"}
for line in iter(asked.readline, ""):
    job = json.loads(line)
    scope.update({name: stub(name) for name in job["functions"]})
    printed, error = Printed(), None
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(compile(job["code"], "experiment.py", "exec"), scope)
    except BaseException:
        error = traceback.format_exc()[-2000:]
    send({"output": printed.getvalue(), "error": error})
"""


class ProcessSandbox:
    """One process for one experiment; it is killed with all its children when a piece of code takes too long."""

    def __init__(self, name: str, limits: Limits | None = None):
        self.name, self.limits = name, Limits() if limits is None else limits
        self._process: subprocess.Popen[bytes] | None = None
        self._read = b""

    def __enter__(self) -> Self:
        if self.name == "bubblewrap":
            check_bubblewrap()
        return self

    def __exit__(self, *error: object) -> None:
        self._kill()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # An interpreter with numpy maps about 1 GB of addresses before it uses any of them.
            memory = self.limits.memory + (1 << 30)
            numbers = [round(self.limits.seconds) + 1, memory, self.limits.output, self.limits.recursion]
            command = [sys.executable, "-I", "-c", _CHILD, *map(str, numbers)]
            confined = self.name == "bubblewrap"
            self._process = subprocess.Popen(
                [*_confinement(), *command] if confined else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
            self._read = b""
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def run(self, code: str, functions: Mapping[str, Function]) -> Ran:
        if len(code) > self.limits.code:
            return Ran("", f"the code has more than {self.limits.code} characters")
        gate, left = Gate(functions, self.limits.calls), self.limits.seconds
        process = self._start()
        try:
            self._send(process, {"code": code, "functions": list(functions)})
            while True:
                started = time.monotonic()
                message = self._receive(process, started + left)
                left -= time.monotonic() - started
                if "call" not in message:
                    error = message.get("error")
                    return gate.settle(Ran(str(message.get("output", "")), None if error is None else str(error)))
                self._send(process, self._answer(gate, message))
        except _Stopped as stopped:
            self._kill()
            return gate.settle(Ran("", f"the sandbox was stopped: {stopped}", fresh=True))

    @staticmethod
    def _answer(gate: Gate, message: dict[str, Any]) -> dict[str, Any]:
        name, args, kwargs = message["call"], message.get("args"), message.get("kwargs")
        if name not in gate.functions or not isinstance(args, list) or not isinstance(kwargs, dict):
            return {"kind": "RuntimeError", "error": "no such tool"}
        try:
            return {"value": gate.call(name, args, kwargs)}
        except Exception as error:
            return {"kind": type(error).__name__, "error": str(error)}

    @staticmethod
    def _send(process: subprocess.Popen[bytes], value: Any) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(value).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            raise _Stopped("its process ended") from error

    def _receive(self, process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any]:
        assert process.stdout is not None
        most = 4 * self.limits.output + (1 << 20)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._read:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise _Stopped(f"more than {self.limits.seconds:g} seconds")
                more = os.read(process.stdout.fileno(), 1 << 16)
                if not more:
                    raise _Stopped("its process ended")
                self._read += more
                if len(self._read) > most:
                    raise _Stopped("it sent too much")
        line, _, self._read = self._read.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError as error:
            raise _Stopped("it sent something else than a message") from error
        if not isinstance(message, dict):
            raise _Stopped("it sent something else than a message")
        return message


class _Stopped(Exception):
    pass


def _confinement() -> list[str]:
    """No network, no environment, no other processes, and of files only Python, read-only."""
    seen = sorted({str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix)} | {"/usr", "/lib", "/lib64", "/bin"})
    binds = [part for path in seen if Path(path).exists() for part in ("--ro-bind", path, path)]
    return [
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
        "--tmpfs", "/tmp", *binds,  # in this order, as Python may lie below /tmp
        "--proc", "/proc", "--dev", "/dev", "--chdir", "/tmp", "--setenv", "OPENBLAS_NUM_THREADS", "1",
    ]  # fmt: skip


def check_bubblewrap() -> None:
    """Raise `UserError` where bubblewrap is missing or may not make namespaces."""
    if shutil.which("bwrap") is None:
        raise UserError("bubblewrap is not installed", value="bwrap", fix="Install it, or use --sandbox monty")
    done = subprocess.run(
        [*_confinement(), sys.executable, "-I", "-c", ""], capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = done.stderr.strip()[-200:]
        raise UserError("bubblewrap cannot confine processes here", value=why, fix="Use --sandbox monty")
