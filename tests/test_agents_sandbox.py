"""Hostile programs in the sandboxes: none reaches the host, each ends in time, the experiment goes on as it was."""

from __future__ import annotations

import contextlib
import os
import time

import pytest

from glossator.agents import Budget, Makers, Tools
from glossator.agents.budget import Spent
from glossator.agents.errors import ToolError
from glossator.agents.gate import Limits
from glossator.agents.processes import check_bubblewrap
from glossator.agents.sandbox import MontySandbox, open_sandbox
from glossator.errors import UserError
from toy_scenes import ToyStudio, toy_unit

SECRET = "GLOSSATOR_TEST_SECRET"
CANARY = "canary-7719"

FILES = [
    "print(open('/etc/passwd').read())",
    "print(open('{canary}').read())",
    "open('{folder}/made', 'w').write('x')",
    "open('{canary}', 'a').write('x')",
    "from pathlib import Path\nprint(Path('{canary}').read_text())",
    "from pathlib import Path\nPath('{folder}/made').write_text('x')",
    "from pathlib import Path\nprint(list(Path('/').iterdir()))",
    "import os\nprint(os.listdir('/'))",
    "import os\nos.remove('{canary}')",
    "import os\nos.rename('{canary}', '{folder}/made')",
    "import os\nos.mkdir('{folder}/made')",
    "import shutil\nshutil.rmtree('{folder}')",
    "import io\nprint(io.open('{canary}').read())",
    "import tempfile\ntempfile.mkstemp(dir='{folder}')",
    "import sqlite3\nsqlite3.connect('{folder}/made').execute('create table t (x)')",
    "import pickle\npickle.loads(b'cos\\nsystem\\n(S\"touch {folder}/made\"\\ntR.')",
    "import mmap",
    "import ctypes\nctypes.CDLL(None)",
]
NETWORK = [
    "import socket\nsocket.create_connection(('127.0.0.1', 80), 1)",
    "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
    "import http.client",
    "import requests",
    "import asyncio\nasyncio.run(asyncio.open_connection('127.0.0.1', 80))",
    "import smtplib",
]
ENVIRONMENT = [
    "import os\nprint(os.environ['GLOSSATOR_TEST_SECRET'])",
    "import os\nprint(os.getenv('GLOSSATOR_TEST_SECRET'))",
    "import os\nprint(dict(os.environ))",
    "import sys\nprint(sys.argv, sys.path, sys.modules)",
    "import platform\nprint(platform.node())",
]
PROCESSES = [
    "import subprocess\nprint(subprocess.check_output('id'))",
    "import os\nos.system('touch {folder}/made')",
    "import os\nos.fork()",
    "import os\nos.kill(os.getppid(), 9)",
    "import os\nos._exit(0)",
    "import multiprocessing\nmultiprocessing.Process(target=print).start()",
    "import threading\nthreading.Thread(target=print).start()",
    "import signal\nsignal.raise_signal(9)",
    "import sys\nsys.exit(3)",
    "raise SystemExit",
    "raise KeyboardInterrupt",
]
INTROSPECTION = [
    "print(().__class__.__bases__[0].__subclasses__())",
    "print(call_unit.__globals__)",
    "print(call_unit.__self__.unit)",
    "print(call_unit.__closure__)",
    "print(call_unit.__code__.co_filename)",
    "import inspect\nprint(inspect.stack())",
    "import gc\nprint(gc.get_objects())",
    "import sys\nsys._getframe(1)",
    "__import__('os').system('id')",
    'eval(\'__import__("os").system("id")\')',
    "exec('import os; os.system(\"id\")')",
    "import builtins\nbuiltins.open('{canary}')",
    "import importlib\nimportlib.import_module('os').system('id')",
    "import glossator",
    "import numpy",
    "print(getattr(call_unit, '__glo' + 'bals__'))",
    "print('{{0.__class__}}'.format(call_unit))",
]
FOREVER = [
    "while True: pass",
    "def f(n):\n    while True:\n        n = n + 1\nf(0)",
    "import time\ntime.sleep(10 ** 6)",
    "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass",
    "sorted(range(10 ** 9), key=lambda x: -x)",
    "sum(i * i for i in range(10 ** 12))",
]
MEMORY = [
    "x = 'a' * 10 ** 10",
    "x = [0] * 10 ** 10",
    "x = 10 ** 10 ** 8",
    "x = []\nwhile True: x.append('a' * 10 ** 6)",
    "x = {{}}\nfor i in range(10 ** 9): x[i] = i",
    "def f(): return f()\nf()",
    "x = []\nfor i in range(10 ** 6): x = [x]\nprint(x)",
    "print('%0999999999d' % 1)",
]
OUTPUT = ["print('a' * 10 ** 8)", "while True: print('flood')", "for i in range(10 ** 9): print(i)"]
ARGUMENTS = [
    "call_unit(['/etc/passwd'])",
    "call_unit(['../../../etc/passwd', '{canary}'])",
    "call_unit('i1; rm -rf /')",
    "call_unit([float('nan')])",
    "call_unit([1] * 10 ** 6)",
    "call_unit(['x' * 10 ** 6])",
    "call_unit([[[[[[[[[[1]]]]]]]]]])",
    "call_unit({{'a': object()}})",
    "call_unit(lambda: 1)",
    "class A: pass\ncall_unit(A())",
    "call_unit(call_unit)",
    "call_unit()",
    "call_unit(1, 2, 3, split='test')",
    "dataset_exemplars(10 ** 9)",
    "dataset_exemplars(-1)",
    "dataset_exemplars(True)",
    "dataset_exemplars(float('inf'))",
    "dataset_exemplars(n=10, split='test')",
    "text2image(['a'] * 10 ** 4)",
    "text2image([None])",
    "edit_images(['i999'], ['remove dog'])",
    "register_hypothesis('x', 'sideways')",
    "register_hypothesis('')",
    "register_hypothesis('x' * 10 ** 6)",
    "test_hypothesis('h999', [], [])",
    "test_hypothesis('__class__', ['i1'], ['i1'])",
    "log_experiment('x' * 10 ** 6)",
    "log_experiment('x', images=['/etc/passwd'])",
    "describe_images(['i1' * 1000])",
    "for i in range(10 ** 6): dataset_exemplars(1)",
    "final_answer('x' * 10 ** 6)",
]
HOSTILE = [*FILES, *NETWORK, *ENVIRONMENT, *PROCESSES, *INTROSPECTION, *FOREVER, *MEMORY, *OUTPUT, *ARGUMENTS]
SECONDS = 0.4


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A file and a variable that nobody may see, and what they hold."""
    monkeypatch.setenv(SECRET, CANARY)
    file = tmp_path / "file"
    file.write_text(CANARY)
    return file


def filled(program, host):
    return program.format(canary=host, folder=host.parent)


def new_tools():
    return Tools(toy_unit(lambda has: float("dog" in has), n=200), Makers(ToyStudio()), Budget(inputs=60, calls=40))


@pytest.fixture(scope="module")
def sandbox():
    with MontySandbox(Limits(seconds=SECONDS, memory=32 << 20, output=4000)) as opened:
        yield opened


def test_there_are_enough_hostile_programs():
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


@pytest.mark.parametrize("program", HOSTILE)
def test_no_hostile_program_succeeds(program, host, sandbox):
    tools = new_tools()
    before, unit_before = set(os.listdir(host.parent)), tools.unit
    started = time.monotonic()
    functions = {name: getattr(tools, name) for name in tools.names}
    ran = None
    with contextlib.suppress(Spent):  # the budget ends an experiment, and nothing else may
        ran = sandbox.run(filled(program, host), functions)
    assert time.monotonic() - started < SECONDS + 8
    assert host.read_text() == CANARY and set(os.listdir(host.parent)) == before
    if ran is not None:
        assert CANARY not in ran.output + (ran.error or "") and "root:" not in ran.output
        assert len(ran.output) <= 4000
        assert ran.error is not None or program in HARMLESS
        assert "/glossator/agents" not in ran.output + (ran.error or "")  # no traceback of the host
    assert tools.unit is unit_before and tools.final is None
    # The next piece of code runs as if nothing had been.
    assert sandbox.run("print(1 + 1)", {}).output == "2\n"


HARMLESS = {
    "import time\ntime.sleep(10 ** 6)",  # returns at once
    "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",  # its engine of regular expressions does not backtrack
    "import gc\nprint(gc.get_objects())",
    "import sys\nprint(sys.argv, sys.path, sys.modules)",
    "call_unit(['/etc/passwd'])",
    "print('{{0.__class__}}'.format(call_unit))",
}
"""May end without an error, since they get nothing."""


def test_variables_stay_until_code_has_to_be_stopped(sandbox):
    sandbox.run("x = 41", {})
    assert sandbox.run("print(x + 1)", {}).output == "42\n"
    assert sandbox.run("while True: pass", {}).fresh
    assert "NameError" in sandbox.run("print(x)", {}).error


def test_a_fault_of_the_host_is_raised_on_the_host_and_told_to_nobody(sandbox):
    def broken():
        raise OSError("/host/path is gone")

    with pytest.raises(OSError, match="host/path"):
        sandbox.run("try:\n    broken()\nexcept Exception as error:\n    print(error)", {"broken": broken})


def test_wrong_use_is_told_and_can_be_caught(sandbox):
    def picky(x):
        raise ToolError("x must be 1")

    ran = sandbox.run("try:\n    picky(2)\nexcept ValueError as error:\n    print(error)", {"picky": picky})
    assert ran.output == "x must be 1\n" and ran.error is None


def test_unknown_sandbox():
    with pytest.raises(UserError, match="unknown sandbox"):
        open_sandbox("docker")


@pytest.fixture(scope="module")
def confined():
    try:
        check_bubblewrap()
    except UserError as error:
        pytest.skip(str(error))
    with open_sandbox("bubblewrap", Limits(seconds=4, output=4000)) as opened:
        yield opened


@pytest.mark.parametrize(
    "program", [*FILES[:6], *FILES[8:12], *NETWORK[:2], *ENVIRONMENT[:3], *PROCESSES[:2], *PROCESSES[4:5], FOREVER[0]]
)
def test_bubblewrap_confines(program, host, confined):
    before = set(os.listdir(host.parent))
    ran = confined.run(filled(program, host), {})
    assert CANARY not in ran.output + (ran.error or "")
    assert host.read_text() == CANARY and set(os.listdir(host.parent)) == before
    assert confined.run("print(1 + 1)", {}).output == "2\n"


def test_bubblewrap_has_numpy_and_tools(confined):
    ran = confined.run("import numpy as np\nprint(int(np.arange(4).sum()), twice(4))", {"twice": lambda x: 2 * x})
    assert ran.output == "6 8\n" and ran.error is None


def test_unsafe_is_limited_in_time_and_output_alone():
    with open_sandbox("unsafe", Limits(seconds=0.5, output=1000)) as opened:
        assert opened.run("while True: pass", {}).fresh
        assert "MemoryError" in opened.run("print('a' * 10 ** 6)", {}).error
        assert opened.run("import os\nprint(len(os.listdir('/')) > 0)", {}).output == "True\n"
