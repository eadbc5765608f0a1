"""The explorer on a study of 100,000 units: from the start of the server to what is seen, and the same from the disk.

The study is the made-up one of `benchmarks.store` with 5 scores an explanation. The report is of a real run: 2,048
neurons of a random model, with their inputs and predictions. What is painted is measured in Chromium, and missing
without it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks import store
from glossator.store.results import packed

DEFAULTS: dict[str, Any] = {"units": 100_000, "asked": 200, "report_units": 2048, "folder": None}
QUICK = {"units": 300, "asked": 20, "report_units": 64}
SCORES = 5
STARTS, LOADS = 5, 5
"""Servers and browsers; figures are medians."""
WATCH = """
new MutationObserver((_, watching) => {
  if (!document.querySelector("ol.units a.unit")) return;
  watching.disconnect();
  requestAnimationFrame(() => setTimeout(() => { document.documentElement.dataset.painted = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""
"""Notes when the first unit has been painted: after the next frame, in milliseconds since the navigation."""
PAGES = 512
"""Units whose pages are exported; what is painted first needs none of them."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """start_s: until the server answers; unit_p95_ms, search_p95_ms: of a unit's page and of a search, over HTTP;
    paint_s, paint_export_s: until units are seen, served and from the disk; memory_mb: of the server, at its peak;
    report_2048_open_s: until units are seen in the report of so many; report_mb: its size.

    options: `quick`, and any name of `DEFAULTS`.
    """
    options = dict(options or {})
    chosen = DEFAULTS | (QUICK if options.pop("quick", False) else {}) | options
    with tempfile.TemporaryDirectory(dir=chosen["folder"]) as name:
        folder = Path(name)
        made_up(folder / "made-up", chosen["units"])
        measured = {"options": chosen, **served(folder / "made-up", chosen), **exported(folder)}
        report = reported(folder / "real", chosen["report_units"])
        opened = painted(report.resolve().as_uri())
        return {**measured, "report_2048_open_s": opened, "report_mb": report.stat().st_size / 1e6}


def made_up(folder: Path, units: int) -> None:
    """A study without a recording."""
    names, store.SCORES = store.SCORES, store.SCORES[:SCORES]
    try:
        store.write_shards(folder / "shards", units, 0, packed)
    finally:
        store.SCORES = names
    store.build(folder, {})
    shutil.rmtree(folder / "shards")


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """A server in a process of its own, its address, and the seconds until it answered. It finds bytecode, as after an
    installation, once one has run here."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode")}
    command = [sys.executable, "-m", "glossator", "serve", str(folder), "--port", "0"]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            address = re.search(r"http://\S+", line)
            assert address is not None, line
            ask(f"{address[0]}api/studies")
            yield server, address[0], time.perf_counter() - begin
        finally:
            server.terminate()


def served(folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """The median start of several servers; all else of the last of them."""
    starts = []
    for _ in range(STARTS - 1):
        with serving(folder) as (_, _, seconds):
            starts.append(seconds)
    with serving(folder) as (server, address, seconds):
        starts.append(seconds)
        study = f"{address}api/studies/{folder.name}"
        told = quote(ask(study)["told"][0])
        places = np.random.default_rng(1).integers(0, chosen["units"], chosen["asked"])
        names = [store.name(int(place)).partition("/")[2] for place in places]
        units = [timed(f"{study}/unit?unit={name}") for name in names]
        searches = [timed(f"{study}/units?words={quote(q)}") for _ in range(5) for q in store.QUESTIONS]
        paint = painted(address, lambda: ask(f"{study}/distribution?score={told}"))  # as the page does then
        memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1])  # type: ignore[index]
    return {
        "start_s": float(np.median(starts)),
        "unit_p95_ms": float(np.quantile(units, 0.95)),
        "search_p95_ms": float(np.quantile(searches, 0.95)),
        "paint_s": paint,
        "memory_mb": memory / 1e3,
    }


def ask(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.loads(answer.read())


def timed(address: str) -> float:
    """Milliseconds until the whole answer is there."""
    return store.milliseconds(lambda: ask(address))[0]


def exported(folder: Path) -> dict[str, Any]:
    """Of the same study as files."""
    from glossator.explorer.export import export_folder
    from glossator.store.study import open_study

    with open_study(folder / "made-up") as study:
        units = study.size
        took, done = store.milliseconds(lambda: export_folder(study, folder / "pages", range(1, min(units, PAGES) + 1)))
    return {"export_s": took / 1000, "paint_export_s": painted(done.path.resolve().as_uri())}


def reported(folder: Path, units: int) -> Path:
    """The report of a study of so many neurons of a random model."""
    from glossator.study import StudySpec, run_study
    from glossator.subjects import load_subject

    save_random_model(folder / "model", units)
    words = np.random.default_rng(0).choice(
        ["the", "fox", "jumps", "over", "lazy", "dogs", "in", "1987", "return"], (240, 40)
    )
    (folder / "corpus.jsonl").write_text("\n".join(json.dumps({"text": " ".join(line)}) for line in words))
    spec = StudySpec(
        str(folder / "model"), ("mlp.0",), units="all", corpus=str(folder / "corpus.jsonl"), max_tokens=16_384,
        explainers=("token-list",), scorers=("correlation", "detection"),
    )  # fmt: skip
    load_subject(str(folder / "model"))
    study = run_study(spec, folder / "study", progress=False)
    assert study is not None
    with study:
        return study.report


def save_random_model(folder: Path, neurons: int) -> None:
    """A random Llama of one layer with so many neurons, and a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(["<s>", *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<s>").save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(vocab_size=len(alphabet) + 1, hidden_size=32, intermediate_size=neurons, num_hidden_layers=1,
                    num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128)
    ).save_pretrained(folder)  # fmt: skip


def painted(address: str, between: Callable[[], Any] = lambda: None) -> float | None:
    """Seconds from the start of a navigation until the first units are painted, by the page's own clock: the median of
    `LOADS` new browsers; None without Chromium or playwright. between: done after each."""
    found = []
    for _ in range(LOADS):
        with _page() as page:
            if page is None:
                return None
            page.add_init_script(WATCH)
            page.goto(address, wait_until="commit")
            painted = page.wait_for_selector("html[data-painted]", state="attached", timeout=120_000)
            found.append(float(painted.get_attribute("data-painted")) / 1000)
        between()
    return float(np.median(found))


@contextmanager
def _page() -> Iterator[Any]:
    """A page in Chromium; None without it or without playwright."""
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()
