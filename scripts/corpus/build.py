"""Build the embedded corpus: collect, clean, deduplicate, write the .xz, and print what is in it.

    python scripts/corpus/build.py --sampled sampled.jsonl --cache DIR [--tokenizer DIR] [--out corpus.jsonl.xz]

Needs npm, pip and (for manuals) apt-get with dpkg-deb. `--tokenizer` is a folder with the SmolLM2 tokenizer; with it
the token counts of the datasheet are printed and documents that share 24 tokens with earlier ones are left out.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import lzma
import random
import unicodedata
from pathlib import Path

import collect
import numpy as np
from texts import LONGEST, SHORTEST, Seen, is_degenerate

from glossator.corpora.splits import RUN, group_by_shared_runs

# Characters taken at most from each source, so that none dominates.
BUDGETS = {
    "smollm2-135m": 10_000_000,
    "wordnet": 650_000,
    "world-factbook": 700_000,
    "state-of-the-union": 600_000,
    "jargon-file": 220_000,
    "elements": 60_000,
    "adventure": 80_000,
    "chatterbot-corpus": 180_000,
    "udhr": 250_000,
    "httpd-guides": 125_000,
    "python-reference": 200_000,
    "python-guides": 260_000,
    "python-code": 450_000,
    "rust-book": 300_000,
    "sqlite-guides": 280_000,
    "postgresql-guides": 160_000,
    "django-guides": 160_000,
}
# A source in several languages gives each of them an equal part at most.
PER_KIND = {"chatterbot-corpus": 20_000, "httpd-guides": 25_000}
ENGLISH_DIALOGUE = 80_000
SHORTEST_IN = {"udhr": 60, "chatterbot-corpus": 100}  # scripts that say more with fewer characters


def sources(sampled: list[Path], cache: Path, seed: int) -> dict[str, collect.Documents]:
    def rng(name: str) -> random.Random:
        return random.Random(f"{seed} {name}")

    return {
        "adventure": collect.adventure(cache),
        "udhr": collect.declaration(cache),
        "state-of-the-union": collect.speeches(cache),
        "jargon-file": collect.jargon(cache, rng("jargon")),
        "elements": collect.elements(cache),
        "chatterbot-corpus": collect.dialogues(cache, rng("chatterbot")),
        "world-factbook": collect.factbook(cache, rng("factbook")),
        "python-reference": collect.python_topics(rng("topics")),
        "python-guides": collect.python_guides(cache, rng("guides")),
        "python-code": collect.python_code(rng("code")),
        "rust-book": collect.rust_book(cache, rng("rust")),
        "sqlite-guides": collect.sqlite_guides(cache, rng("sqlite")),
        "postgresql-guides": collect.postgres_guides(cache, rng("postgres")),
        "django-guides": collect.django_guides(cache, rng("django")),
        "httpd-guides": collect.httpd_guides(cache, rng("httpd")),
        "wordnet": collect.wordnet_glosses(cache, rng("wordnet")),
        "smollm2-135m": (document for path in sampled for document in collect.sampled(path)),
    }


def cleaned(name: str, documents: collect.Documents, seen: Seen, dropped: collections.Counter) -> list[dict[str, str]]:
    kept: list[dict[str, str]] = []
    spent: collections.Counter = collections.Counter()
    pool = list(documents)
    random.Random(name).shuffle(pool)
    for kind, raw in pool:
        text = unicodedata.normalize("NFC", raw).replace("\r\n", "\n").replace("\xa0", " ").strip()
        of_kind = ENGLISH_DIALOGUE if kind == "dialogue" else PER_KIND.get(name, BUDGETS[name])
        if len(text) < SHORTEST_IN.get(name, SHORTEST) or "\0" in text or "�" in text:
            dropped["too short or damaged"] += 1
        elif len(text) > 2 * LONGEST:
            dropped["too long"] += 1
        elif is_degenerate(text):
            dropped["repeats itself"] += 1
        elif spent[kind] + len(text) > of_kind or spent.total() + len(text) > BUDGETS[name]:
            dropped["over the budget of its source"] += 1
        elif not seen.is_new(text):
            dropped["said before"] += 1
        else:
            spent[kind] += len(text)
            kept.append({"id": f"{name}:{len(kept)}", "source": name, "kind": kind, "text": text})
    return kept


def independent(documents: list[dict[str, str]], tokens: list[np.ndarray]) -> list[int]:
    """Rows to keep so that no two documents share a run of RUN tokens: from each group the ones that clash least.

    A document is left out when a run of it stands in a document kept before; longer documents come first.
    """
    groups = group_by_shared_runs(tokens)
    size = np.bincount(groups, minlength=len(groups))
    taken: set[bytes] = set()
    kept = []
    for row in sorted(range(len(documents)), key=lambda i: -len(tokens[i])):
        if size[groups[row]] > 1:
            row_runs = {tokens[row][i : i + RUN].tobytes() for i in range(len(tokens[row]) - RUN + 1)}
            if row_runs & taken:
                continue
            taken |= row_runs
        kept.append(row)
    return sorted(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sampled", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--gguf-file")
    parser.add_argument("--out", type=Path, default=Path("src/glossator/data/corpus.jsonl.xz"))
    parser.add_argument("--seed", type=int, default=20261121)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)

    seen, documents = Seen(), []
    for name, collected in sources(args.sampled, args.cache.resolve(), args.seed).items():
        dropped: collections.Counter = collections.Counter()
        found = cleaned(name, collected, seen, dropped)
        documents += found
        characters = sum(len(document["text"]) for document in found)
        print(f"{name}: {len(found)} documents, {characters} characters; left out: {dict(dropped)}")
    if args.tokenizer:
        documents = _with_counts(documents, args)
    random.Random(args.seed).shuffle(documents)
    lines = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents).encode()
    packed = lzma.compress(lines, preset=9 | lzma.PRESET_EXTREME)
    args.out.write_bytes(packed)
    print(f"{args.out}: {len(documents)} documents, {len(lines)} bytes, packed {len(packed)}")
    print(f"sha256 {hashlib.sha256(packed).hexdigest()}")


def _with_counts(documents: list[dict[str, str]], args: argparse.Namespace) -> list[dict[str, str]]:
    from transformers import AutoTokenizer

    extra = {"gguf_file": args.gguf_file} if args.gguf_file else {}
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer, **extra)
    encoded = tokenizer([d["text"] for d in documents], add_special_tokens=False)["input_ids"]
    tokens = [np.array(row, dtype=np.int32) for row in encoded]
    rows = independent(documents, tokens)
    print(f"left out {len(documents) - len(rows)} documents that share {RUN} tokens with another")
    counts: dict[str, collections.Counter] = {"source": collections.Counter(), "kind": collections.Counter()}
    number: collections.Counter = collections.Counter()
    for row in rows:
        number[documents[row]["source"]] += 1
        for field, counter in counts.items():
            counter[documents[row][field]] += len(tokens[row])
    total = sum(counts["source"].values())
    for field, counter in counts.items():
        for name, count in counter.most_common():
            extra_text = f"{number[name]} documents, " if field == "source" else ""
            print(f"{field} {name}: {extra_text}{count} tokens, {100 * count / total:.1f} %")
    sizes = sorted(len(tokens[row]) for row in rows)
    low, high = sizes[len(sizes) // 20], sizes[-len(sizes) // 20]
    print(f"total {total} tokens; a document has {low} to {high} tokens (5 % to 95 %)")
    return [documents[row] for row in rows]


if __name__ == "__main__":
    main()
