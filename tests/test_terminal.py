"""Nothing that a terminal would obey reaches it, whatever texts hold and whatever the terminal can write."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from glossator.cli import main
from glossator.cli.printing import console, emit, make_table
from glossator.terminal import neutral, neutral_json, neutral_streams

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
OBEYED = "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)])) + BIDI + "\u2028\u2029\ud800 \udfff"
NASTY = "\x1b]0;title\x07\x1b[2J\x9b31m\x7f" + BIDI + "\r\ud800 [bold]x[/x] :smile:"


def harmless(text: str, keep: str = "\n\t") -> bool:
    return all(c in keep or (unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") and c not in BIDI) for c in text)


def test_every_character_that_a_terminal_obeys_is_replaced_by_one_other():
    assert harmless(neutral(OBEYED)) and len(neutral(OBEYED)) == len(OBEYED)
    kept = "plain, \t naïve — 三つ目 😀 \u200d\u200c e\u0301\n"
    assert neutral(kept) == kept


def test_json_is_escaped_and_says_the_same():
    text = json.dumps({OBEYED: [OBEYED, "三つ目 😀"]}, ensure_ascii=False)
    assert harmless(neutral_json(text)) and "三つ目 😀" in neutral_json(text)
    assert json.loads(neutral_json(text)) == json.loads(text)


def test_text_tables_titles_and_json_on_stdout_and_lines_on_stderr(capsys):
    table = make_table(NASTY)
    table.add_column(NASTY)
    table.add_row(NASTY)
    table.add_row(Text(NASTY, style="bold"))
    with neutral_streams():
        out = console()
        out.print(NASTY)
        out.print(Text(NASTY), table, soft_wrap=True)
        emit({NASTY: NASTY})
        sys.stderr.write(NASTY)
    said = capsys.readouterr()
    assert harmless(said.out) and harmless(said.err, "\n\r")
    assert "[bold]x[/x] :smile:" in said.out


def test_colours_are_kept_on_a_terminal(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = console()
    out.print(Text("red \x1b[8m hidden", style="red"))
    assert "\x1b[31m" in written.getvalue() and "\x1b[8m" not in written.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [["show", NASTY], ["run", NASTY], ["run", "--subject", NASTY, "--site", NASTY], [NASTY], ["--" + NASTY],
     ["run", "--width", NASTY], ["bench", NASTY], ["studies", NASTY], ["search", NASTY, "--study", NASTY],
     ["units", NASTY], ["sasc", NASTY], ["record", "--corpus", NASTY, "--subject", "x", "--site", "y"]],
)  # fmt: skip
def test_errors_name_what_was_typed_without_obeying_it(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert harmless(said.out) and harmless(said.err) and said.err.startswith("glossator: ")


def test_names_of_folders_are_printed_without_obeying_them(capsys, tmp_path):
    folder = tmp_path / "study\x1b]0;x\x07\u202e[red]"
    folder.mkdir()
    spec = {"subject": NASTY, "sites": [NASTY], "explainers": ["program"]}
    (folder / "spec.json").write_text(json.dumps(spec))
    for json_flag in ([], ["--json"]):
        assert main(["studies", str(tmp_path), *json_flag]) == 0
        said = capsys.readouterr()
        assert harmless(said.out) and said.err == ""


def run(arguments: list[str], **settings: Any) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "glossator", *arguments]
    environment = {**os.environ, **settings.pop("env", {})}
    return subprocess.run(command, env=environment, timeout=60, **{"capture_output": True, **settings})


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_of_stdout(encoding, tmp_path):
    folder = tmp_path / "naïve–三"
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"subject": "−1", "sites": ["é"], "explainers": []}))
    for flags in ([], ["--json"]):
        done = run(["studies", str(tmp_path), *flags], env={"PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode(encoding)
        assert (json.loads(text)[0]["subject"] == "−1") if flags else ("-1" in text or "−1" in text)


def test_a_reader_that_goes_away_and_a_full_disk(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = run(["studies", str(tmp_path), "--json"], stdout=writing, stderr=subprocess.PIPE, capture_output=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            done = run(["studies", str(tmp_path)], stdout=full, stderr=subprocess.PIPE, capture_output=False)
        assert (done.returncode, done.stderr) == (2, b"glossator: No space left on device.\n")
