"""Every code block of the README and the docs is run: shell blocks as commands, Python blocks as they stand.

A small random model with the layers and neurons of SmolLM2-135M stands in its place, so that sites and units are as
written, on less text. What is not run is listed with its reason.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glossator.cli import main
from study_cases import write_corpus
from test_project_docs import DOCUMENTS, ROOT, blocks

SUBJECT = "my-model"
TOKENS = "16384"
NOT_RUN = {
    "make ": "the Makefile is run by whoever builds; its targets are looked up in another test",
    "source ": "no command of Glossator",
    "glossator bench": "each benchmark has its tests",
    "glossator serve": "runs until it is stopped; see test_explorer_server",
    "glossator mcp": "runs until it is stopped; see test_explorer_mcp",
    "glossator import": "the peer's files are not made here; see test_formats",
    "glossator export": "see test_explorer_export",
    "curl ": "needs a server that runs; see test_explorer_server",
    "glossator work": "needs a study that is not finished; see test_engines",
    "--engine slurm": "needs a cluster; see test_engines_clusters",
    "human import": "the file is what a person fills in; see test_human_cli",
    "efficientnet-lite0": "needs its weights; see test_image_sets for the inputs",
    "mail-factors": "needs MiniLM's weights, and mail that is fetched; see test_spam_assassin",
    "voxels:my-voxels": "an encoding model of one's own; docs/voxels.md fits one",
    "studies/cnn": "a study of an image model; see test_dissecting",
    "studies/deep": "a recording that needs them; see test_dissecting",
    "openai:gpt-5-mini": "needs a key; see test_sasc_cli and test_language_models_server",
}
"""Commands that hold one of these are not run here."""
WORDS = ("river", "bread", "war", "school", "music", "money", "garden", "number", "family", "letter", "house", "wine")
"""What simulated voxels respond to."""
PYTHON_ELSEWHERE = {
    "README.md": "test_project_examples",
    "docs/programs.md": "test_project_docs",
    "docs/scores.md": "test_project_docs",
    "CONTRIBUTING.md": "test_project_docs and test_project_examples",
    "docs/images.md": "test_project_docs",
    "docs/image-programs.md": "test_project_docs",
    "docs/agent.md": "test_project_docs",
    "docs/human.md": "the file is what a person fills in; see test_human_import",
}
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
WITH_COMMANDS = [name for name in NAMES if "```sh" in (ROOT / name).read_text()]


def commands_of(name: str) -> list[str]:
    """The commands of a document's shell blocks, in order, without comments."""
    text = "\n".join(blocks((ROOT / name).read_text(), "sh")).replace("\\\n", " ")
    lines = [re.sub(r"\s+#.*$", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def is_run(command: str) -> bool:
    return not any(part in command for part in NOT_RUN)


def test_every_block_is_run_or_has_a_reason() -> None:
    for name in NAMES:
        text = (ROOT / name).read_text()
        for command in commands_of(name):
            assert not is_run(command) or command.startswith(("glossator ", "echo ")), f"{name}: {command}"
        if blocks(text, "python"):
            assert name in PYTHON_ELSEWHERE or name in PYTHON, f"{name}: no test runs its Python"
    for part in NOT_RUN:
        assert any(part in command for name in NAMES for command in commands_of(name)), f"{part} is nowhere"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with what the documents take for granted: models, texts, files of one's own."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tiny_models import SENTENCES, byte_level_tokenizer

    here = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=330, hidden_size=16, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=512, bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    model.save_pretrained(here / SUBJECT)
    byte_level_tokenizer().save_pretrained(here / SUBJECT)
    (here / "my-larger-model").symlink_to(here / SUBJECT)
    # Short, so that a few thousand tokens are of enough documents for explanations and intervals.
    write_corpus(here / "texts.jsonl", 900, length=12)
    rng = np.random.default_rng(1)
    words = " ".join(SENTENCES).split()
    for name in ("joy", "fear"):
        lines = [" ".join([name, *rng.choice(words, 12), name]) for _ in range(60)]
        (here / f"{name}.txt").write_text("\n\n".join(lines))
    said = [" ".join([*rng.choice(words, 20), ("dogs", "fox")[n % 2], str(n)]) for n in range(120)]
    rows = [f"{text.replace(',', ' ')},{1 + 4 * (n % 2)}" for n, text in enumerate(said)]
    (here / "reviews.csv").write_text("\n".join(["text,stars", *rows]))
    regions = [f"{unit},{'front' if unit < 6 else 'back'}" for unit in range(12)]
    (here / "regions.csv").write_text("\n".join(["unit,group", *regions]))
    (here / "letter.txt").write_text("In our view, we should let them keep it.\n")
    (here / "notes").mkdir()
    write_corpus(here / "notes" / "notes.jsonl", 200)
    (here / "detector.py").write_text("def respond(texts):\n    return [text.count('fox') * 1.0 for text in texts]\n")
    (here / "prices.toml").write_text(price_list())
    untrained_efficientnet(here / "cache")
    np.save(here / "photos.npy", rng.integers(0, 256, (40, 96, 96, 3)).astype(np.uint8))
    quickstart = (ROOT / "docs" / "quickstart.md").read_text()
    for block in blocks(quickstart, "toml"):
        name = "grid.toml" if "[[subjects]]" in block else "spec.toml" if "[evidence]" in block else "two-models.toml"
        (here / name).write_text(smaller(block))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("GLOSSATOR_CACHE", str(here / "cache"))
        run("glossator run --subject smollm2-135m --site mlp.12 --units 219-221,324,574-576 --out studies/demo")
        run("glossator run --subject smollm2-135m --site mlp.12 --units 574-576 --out studies/layer-12")
        exec(compile(python_of("docs/dictionaries.md", 0), "dictionaries, block 0", "exec"), {"__name__": "example"})
        run("glossator directions make logistic --site resid.12 --positive joy.txt --negative fear.txt --out joy")
        yield here


def untrained_efficientnet(cache: Path) -> None:
    """Random weights where those of EfficientNet-Lite0 would be."""
    from safetensors.torch import save_file

    from glossator.files import write_json
    from glossator.subjects.aliases import ALIASES
    from glossator.subjects.efficientnet import EfficientNetLite0
    from glossator.subjects.weights import write_manifest

    entry, folder = ALIASES["efficientnet-lite0"], cache / "weights" / "efficientnet-lite0"
    folder.mkdir(parents=True)
    save_file(EfficientNetLite0().state_dict(), folder / "model.safetensors")
    write_json(folder / "config.json", entry.config)
    write_manifest(folder, entry)


def price_list() -> str:
    """The example of a file of prices."""
    return next(b for b in blocks((ROOT / "docs/language-models.md").read_text(), "toml") if "prompt" in b)


def smaller(text: str) -> str:
    """A spec of the documents on the small model and less text, with fewer units."""
    text = text.replace("smollm2-135m", SUBJECT).replace("./my-", "my-").replace("units = 16", "units = 2")
    text = re.sub(r"max_tokens = \d+", f"max_tokens = {TOKENS}", text).replace("units = 100", "units = 3")
    beginning = text.find("[")
    lines = "" if "max_tokens" in text else f"max_tokens = {TOKENS}\n"
    lines += "" if "corpus" in text else 'corpus = "texts.jsonl"\n'
    return lines + text if beginning != 0 else text


def adapted(words: list[str]) -> list[str]:
    """The words of a command on the small model, less text, fewer units."""
    words = [word.replace("smollm2-135m", SUBJECT).replace("./my-", "my-") for word in words]
    words = [f"inprocess:{SUBJECT}" if word.startswith("openai:") else word for word in words]
    if "--at" in words:  # the small model has letters for tokens
        words[words.index("--at") + 1] = "3"
    if words[0] == "sasc":
        return [*words, "--space", "none", *(["--most", "2000"] if "--readout" in words else [])]
    if words[:2] == ["directions", "make"]:
        return [*words, "--subject", SUBJECT]
    if words[0] == "classify" and "--subject" not in words:
        return [*words, "--subject", SUBJECT]
    if words[0] == "hypotheses":
        return [*words, "--subject", SUBJECT, "--candidates", "3", "--no-explain", "--per-label", "40"]
    if words[:2] == ["voxels", "simulate"]:
        small = ["--runs", "8", "--seconds", "400", "--null", "2", "--concepts", ",".join(WORDS)]
        return [*words, "--subject", SUBJECT, *small, "--ceilings", "0.9,0.95"]
    if words[:2] == ["voxels", "fit"]:
        return [*words, *([] if "--subject" in words else ["--subject", f"vectors:{SUBJECT}"])]
    if words[:2] == ["dictionary", "train"]:
        return [
            *words,
            "--subject",
            SUBJECT,
            "--corpus",
            "texts.jsonl",
            "--tokens",
            TOKENS,
            "--train-tokens",
            "20000",
            "--quiet",
        ]
    if "--inputs" in words:
        shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
        return [*(re.sub(r"^renders:\d+$", "renders:480", word) for word in words), "--quiet"]
    is_new = words[0] in ("run", "record", "explain") and not (words[1:2] and Path(words[1]).exists())
    if not is_new:
        return words
    if "--tokens" in words:
        words[words.index("--tokens") + 1] = TOKENS
    else:
        words += ["--tokens", TOKENS]
    if "--corpus" not in words and not any(word.endswith(".toml") for word in words):
        words += ["--corpus", "texts.jsonl"]
    if "--units" in words:
        units = words.index("--units") + 1
        fewer = {"64": "574-576", "16": "4", "8": "4"} | ({"all": "4"} if words[0] == "run" else {})
        words[units] = fewer.get(words[units], words[units])
    if "--out" in words:  # made by another document
        shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
    return [*words, "--quiet"]


def run(command: str) -> str:
    """Run a command of the documents, with its pipe and its redirection, and return what it printed."""
    command, _, target = (part.strip() for part in command.partition(" > "))
    stdin = ""
    if command.startswith("echo "):
        said, _, command = (part.strip() for part in command.partition(" | "))
        stdin = " ".join(shlex.split(said)[1:]) + "\n"
    words = adapted(shlex.split(command)[1:])
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(stdin))
        patch.setattr("sys.stdout", out)
        code = main(words)
    assert code == 0, f"glossator {' '.join(words)} gave {code}"
    assert out.getvalue().strip() or "--json" not in words
    if "--json" in words:
        json.loads(out.getvalue())
    if target:
        Path(target).write_text(out.getvalue())
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_commands_run(place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for command in commands_of(name):
        if is_run(command):
            run(command)


def test_the_quickstart_shows_units_of_the_study_that_it_made() -> None:
    """`show mlp.12/575` is one of the 64 that `run --units 64` draws a few lines above."""
    from glossator.study import StudySpec

    (line,) = [c for c in commands_of("docs/quickstart.md") if c.endswith("--units 64 --out studies/layer-12")]
    words = shlex.split(line)
    spec = StudySpec(subject=words[words.index("--subject") + 1], sites=(words[words.index("--site") + 1],), units=64)
    drawn = spec.indices("mlp.12", 1536)
    assert drawn is not None
    for name in ("docs/quickstart.md", "README.md"):
        for command in commands_of(name):
            for index in re.findall(r"(?<![\w/])mlp\.12/(\d+)", command):
                assert int(index) in drawn, f"{name}: {command}"


def python_of(name: str, number: int) -> str:
    return blocks((ROOT / name).read_text(), "python")[number].replace("smollm2-135m", SUBJECT)


PYTHON = {
    "docs/vision.md",
    "docs/quickstart.md",
    "docs/causal.md",
    "docs/sasc.md",
    "docs/language-models.md",
    "docs/dictionaries.md",
}


@pytest.mark.slow
def test_the_python_of_the_quickstart_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(place)
    for number in range(len(blocks((ROOT / "docs/quickstart.md").read_text(), "python"))):
        code = python_of("docs/quickstart.md", number).replace("max_tokens=65536", f"max_tokens={TOKENS}")
        exec(compile(code, f"quickstart, block {number}", "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "mlp.12/575: " in printed


@pytest.mark.slow
def test_the_python_of_acting_on_units_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    exec(compile(python_of("docs/causal.md", 0), "causal, block 0", "exec"), {"__name__": "example"})
    run("glossator record --subject smollm2-135m --site mlp.28 --units 8 --out studies/layer-28")
    given = (
        "from benchmarks.programs import EXPLAIN\nfrom glossator.explainers import Abstained\n"
        "from glossator.explainers.program import ProgramExplainer\n"
        "from glossator.programs import Lexicon\nfrom glossator.recording import draw, open_recording\n"
        "from glossator.scorers.lab import Lab\n"
        "from glossator.scorers.replacement import replacement\nfrom glossator.subjects import load_subject\n"
        "from glossator.units import Unit\nfolder = 'studies/layer-28/recording'\n"
    )
    code = python_of("docs/causal.md", 1)
    exec(compile(given + code, "causal, block 1", "exec"), {"__name__": "example"})


@pytest.mark.slow
def test_the_python_of_sasc_and_of_language_models_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from glossator.language_models import Scripted
    from lm_server import serve

    monkeypatch.chdir(place)
    block, _ = blocks((ROOT / "docs/sasc.md").read_text(), "python")  # the second takes many minutes
    code = block.replace('"embedded"', '"notes", embedder=None')
    exec(compile(code, "sasc", "exec"), {"my_function": lambda texts: [float(text.count("fox")) for text in texts]})
    asked, scripted = blocks((ROOT / "docs/language-models.md").read_text(), "python")
    exec(compile(scripted, "language models, scripted", "exec"), {})
    Path("prices.toml").write_text(price_list().replace("openai:gpt-5-mini", "gpt-5-mini"))  # at another address
    capsys.readouterr()
    with serve(Scripted(lambda request: '{"colour": "red"}'), model_name="gpt-5-mini") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        monkeypatch.setenv("OPENAI_BASE_URL", server.spec().partition("#")[0].partition("?")[0])
        exec(compile(asked, "language models, asked", "exec"), {})
    assert "{'colour': 'red'}" in capsys.readouterr().out


def test_the_python_of_image_models_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, object] = {"__name__": "example"}
    for number, code in enumerate(blocks((ROOT / "docs/vision.md").read_text(), "python")):
        exec(compile(code, f"vision, block {number}", "exec"), given)
    printed = capsys.readouterr().out
    assert "('1', 8, 'cells 8 x 8')" in printed and "ok" in printed and "'owl'" in printed
    assert given["picture"].shape == (32, 32, 3)  # type: ignore[attr-defined]
    pixels = given["picture"].astype(int).sum(axis=(0, 1, 2))  # type: ignore[attr-defined]
    whole = given["exemplars"].inputs.pixels[0].astype(int).sum()  # type: ignore[attr-defined]
    assert 0 < pixels < whole  # cells outside the mask are dimmed
