"""stub"""

from pathlib import Path


def write_report(path, results, tools):
    Path(path).write_text("x")
