"""Runs the notebooks of the docs and writes what their cells give into them.

    python scripts/notebooks.py docs/notebooks/*.ipynb

The value of a cell's last line is shown as a notebook would show it, as HTML where it has some. Each runs in an empty
folder, so that its studies are made anew. A kernel would do the same; this needs no more than Python.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with new outputs, its cells run in the present folder; what a cell raises is raised."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell = cell | {"execution_count": count, "outputs": _outputs("".join(cell["source"]), scope, count)}
        cells.append(cell)
    return notebook | {"cells": cells}


def _outputs(source: str, scope: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), scope)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), scope)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        data = {"text/plain": repr(value)}
        if hasattr(value, "_repr_html_"):
            data = {"text/html": value._repr_html_(), "text/plain": f"<{type(value).__name__}>"}
        outputs.append({"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"})
    return outputs


def main(paths: list[str]) -> None:
    for path in [Path(path).resolve() for path in paths]:
        before = Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                made = executed(json.loads(path.read_text("utf-8")))
            finally:
                os.chdir(before)
        path.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
