"""Build src/glossator/data/wordnet.tsv.xz: WordNet's common synsets with their relations, definitions and examples.

Usage: python scripts/wordnet_data/build.py DICT [OUTPUT]

DICT is WordNet's database folder with index.*, data.*, *.exc and cntlist.rev, for example usr/share/wordnet of
Debian's package `wordnet-base` (`apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb unpacked`).

A synset is kept when one of its words is common, or when it stands above one that is kept. How common a word is in
one sense: the times it was tagged in WordNet's sense-tagged texts; and in all senses: that, and how often it stands in
WordNet's own definitions and examples. The file is deterministic: same input, same bytes.

Format: UTF-8 lines, fields separated by tabs. A line that starts with `#` is a comment; lines after `%exceptions` are
irregular forms (part of speech, form, lemma ...); every other line is one synset, whose number is its place from 0:
supersense; words `lemma:sense:tagged:seen` with `_` for spaces, separated by blanks; relations `kind+number`, kinds
as in wninput(5WN), separated by blanks; definition; examples separated by `|`.
"""

from __future__ import annotations

import lzma
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

LEXNAMES = tuple(
    name
    for block in (
        "adj: all pert",
        "adv: all",
        "noun: Tops act animal artifact attribute body cognition communication event feeling food group location",
        "noun: motive object person phenomenon plant possession process quantity relation shape state substance time",
        "verb: body change cognition communication competition consumption contact creation emotion motion perception",
        "verb: possession social stative weather",
        "adj: ppl",
    )
    for name in (f"{block.partition(': ')[0]}.{topic}" for topic in block.partition(": ")[2].split())
)
"""Lexicographer files by number, as in lexnames(5WN)."""
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
NUMBERS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
KINDS = ("@", "@i", "&", "+", "\\", ";c", "=", "#p", "!")
"""Hypernym, class of an instance, similar, derived, pertains to, topic, attribute, part of, opposite."""
SEEN_WORD, SEEN_PHRASE = 4, 1
"""A word (or a phrase) that was never tagged is common when definitions and examples hold it so often."""
OUTPUT = Path(__file__).parents[2] / "src/glossator/data/wordnet.tsv.xz"

Key = tuple[str, str]


@dataclass
class Synset:
    lexname: str
    words: list[tuple[str, int]]
    relations: list[tuple[str, Key]]
    definition: str
    examples: list[str]
    tagged: dict[str, int] = field(default_factory=dict)


def main() -> None:
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    source = Path(sys.argv[1])
    output = Path(sys.argv[2]) if len(sys.argv) == 3 else OUTPUT
    synsets = read(source)
    exceptions = irregular(source)
    seen = seen_in_glosses(synsets, exceptions)
    kept = choose(synsets, seen)
    text = "\n".join(written(synsets, kept, seen, exceptions)) + "\n"
    output.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(kept)} of {len(synsets)} synsets, {len(text.encode())} bytes, packed {output.stat().st_size}")


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("  ")]


def read(source: Path) -> dict[Key, Synset]:
    """All synsets in the order of the files, by part of speech and offset."""
    senses = sense_numbers(source)
    tagged: Counter[tuple[str, str, int]] = Counter()
    for line in lines(source / "cntlist.rev"):
        sense, number, count = line.split()
        lemma, _, rest = sense.partition("%")
        tagged[lemma, NUMBERS[rest[0]], int(number)] += int(count)
    found: dict[Key, Synset] = {}
    for part, letter in PARTS.items():
        for line in lines(source / f"data.{part}"):
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            count = int(fields[3], 16)
            words = [re.sub(r"\(\w+\)$", "", word) for word in fields[4 : 4 + 2 * count : 2]]
            pointers = fields[5 + 2 * count : 5 + 2 * count + 4 * int(fields[4 + 2 * count])]
            key = (letter, fields[0])
            relations = [
                (kind, (part.replace("s", "a"), offset))
                for kind, offset, part in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)
                if kind in KINDS
            ]
            numbered = [(word, senses[word.lower(), *key]) for word in words]
            definition, examples = split_gloss(gloss)
            found[key] = Synset(
                LEXNAMES[int(fields[1])],
                numbered,
                list(dict.fromkeys(relations)),
                definition,
                examples,
                {word: tagged[word.lower(), letter, number] for word, number in numbered},
            )
    return found


def sense_numbers(source: Path) -> dict[tuple[str, str, str], int]:
    found = {}
    for part, letter in PARTS.items():
        for line in lines(source / f"index.{part}"):
            fields = line.split()
            for number, offset in enumerate(fields[-int(fields[2]) :], 1):
                found[fields[0], letter, offset] = number
    return found


def split_gloss(gloss: str) -> tuple[str, list[str]]:
    """Definition and examples; an example that is a quotation loses the name of its author."""
    examples = [" ".join(example.split()) for example in re.findall(r'"([^"]+)"', gloss)]
    definition = re.sub(r"[;:]?\s*(\"[^\"]*\"(\s*-+\s*[A-Z][\w. ]+)?|\s-\s*[A-Z].*)", "", gloss).strip(" ;:")
    return " ".join(definition.split()), [e.replace("|", "/") for e in examples if e]


def irregular(source: Path) -> list[tuple[str, str, list[str]]]:
    return [
        (letter, form, lemmas)
        for part, letter in PARTS.items()
        for form, *lemmas in (line.split() for line in lines(source / f"{part}.exc"))
    ]


def seen_in_glosses(synsets: dict[Key, Synset], exceptions: list[tuple[str, str, list[str]]]) -> Counter[str]:
    """How often each word or phrase of up to three words stands in definitions and examples, by its lemma."""
    known = {word.lower() for synset in synsets.values() for word, _ in synset.words}
    base = {form: lemmas[0] for _, form, lemmas in exceptions}
    counts: Counter[str] = Counter()
    for synset in synsets.values():
        for text in (synset.definition, *synset.examples):
            forms = re.findall(r"[a-z]+(?:['-][a-z]+)*", text.lower())
            for n in (1, 2, 3):
                for start in range(len(forms) - n + 1):
                    phrase = "_".join(forms[start : start + n])
                    counts.update({next(iter(lemmas_of(phrase, known, base)), phrase): 1})
    return Counter({word: count for word, count in counts.items() if word in known})


def lemmas_of(form: str, known: set[str], base: dict[str, str]) -> list[str]:
    """The form itself where it is a word, else what it may be an inflection of."""
    endings = (("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"))
    made = [form, *([base[form]] if form in base else [])]
    made += [form[: -len(end)] + new for end, new in endings if form.endswith(end) and len(form) > len(end) + 1]
    return [word for word in made if word in known]


def choose(synsets: dict[Key, Synset], seen: Counter[str]) -> list[Key]:
    """Synsets with a common word, and all above them, in the order of the files."""
    kept: set[Key] = set()
    for key, synset in synsets.items():
        # A word that definitions use lends its frequency to its first senses only.
        if any(synset.tagged.values()) or any(
            number <= 2 and seen[word.lower()] >= (SEEN_PHRASE if "_" in word else SEEN_WORD)
            for word, number in synset.words
        ):
            kept.add(key)
    above = list(kept)
    while above:
        synset = synsets[above.pop()]
        for kind, target in synset.relations:
            if kind in ("@", "@i") and target not in kept:
                kept.add(target)
                above.append(target)
    return [key for key in synsets if key in kept]


def written(
    synsets: dict[Key, Synset], kept: list[Key], seen: Counter[str], exceptions: list[tuple[str, str, list[str]]]
) -> list[str]:
    number = {key: place for place, key in enumerate(kept)}
    made = ["# WordNet 3.0, Princeton University, chosen by scripts/wordnet_data/build.py; see NOTICE.wordnet"]
    words: defaultdict[str, set[str]] = defaultdict(set)
    for key in kept:
        synset = synsets[key]
        words[key[0]] |= {word.lower() for word, _ in synset.words}
        relations = [f"{kind}{number[target]}" for kind, target in synset.relations if target in number]
        names = [f"{word}:{sense}:{synset.tagged[word]}:{seen[word.lower()]}" for word, sense in synset.words]
        fields = (synset.lexname, " ".join(names), " ".join(relations), synset.definition, "|".join(synset.examples))
        made.append("\t".join(fields))
    made.append("%exceptions")
    for letter, form, lemmas in exceptions:
        if any(lemma in words[letter] for lemma in lemmas):
            made.append(f"{letter}\t{form}\t{' '.join(lemmas)}")
    return made


if __name__ == "__main__":
    main()
