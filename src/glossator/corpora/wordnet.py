"""WordNet's common synsets: words, meanings, hypernyms and hyponyms, definitions and examples.

Read from the packaged file that `scripts/wordnet_data/build.py` makes; nothing is downloaded.
"""

from __future__ import annotations

import lzma
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Literal

from glossator.errors import UserError
from glossator.files import sha256_of

Part = Literal["n", "v", "a", "r"]
FILE = Path(__file__).resolve().parent.parent / "data" / "wordnet.tsv.xz"
_PARTS: dict[str, Part] = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_ENDINGS: dict[Part, str] = {
    "n": "ses:s ves:f xes:x zes:z ches:ch shes:sh men:man ies:y s:",
    "v": "ies:y es:e es: s: ied:y ed:e ed: ing:e ing:",
    "a": "ier:y iest:y er: est: er:e est:e",
    "r": "",
}
"""Rules of detachment, ending:what stands in its place, as in morphy(7WN)."""
_VOWELS = "aeiou"


@dataclass(frozen=True)
class Synset:
    """One meaning. words: as written, with spaces; senses, tagged: of each word, the rank of this meaning among the
    word's and how often it was tagged with it; relations: (kind as in wninput(5WN), number of the synset)."""

    number: int
    topic: str
    words: tuple[str, ...]
    senses: tuple[int, ...]
    tagged: tuple[int, ...]
    relations: tuple[tuple[str, int], ...]
    definition: str
    examples: tuple[str, ...]

    @property
    def part(self) -> Part:
        return _PARTS[self.topic.partition(".")[0]]

    def related(self, *kinds: str) -> list[int]:
        return [number for kind, number in self.relations if kind in kinds]


class WordNet:
    """All synsets of a file, and the ways from a form to its lemmas and from a word to its meanings."""

    def __init__(self, path: Path = FILE):
        try:
            text = lzma.decompress(path.read_bytes()).decode()
        except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
            raise UserError("cannot read WordNet", value=str(path), fix="Reinstall the package") from error
        self.path = path
        body, _, exceptions = text.partition("%exceptions\n")
        self.seen: dict[str, int] = {}
        """How often definitions and examples hold each word, in lower case."""
        self.synsets = [self._synset(number, line) for number, line in enumerate(body.splitlines()[1:])]
        self._shares: dict[str, dict[int, float]] = {}
        self._exceptions: dict[tuple[str, Part], list[str]] = {}
        for line in exceptions.splitlines():
            part, form, lemmas = line.split("\t")
            words = [lemma.replace("_", " ") for lemma in lemmas.split(" ")]
            self._exceptions[form.replace("_", " "), part] = words  # type: ignore[index]

    def _synset(self, number: int, line: str) -> Synset:
        topic, named, related, definition, examples = line.split("\t")
        words, senses, tagged = [], [], []
        for entry in named.split(" "):
            word, sense, times, seen = entry.rsplit(":", 3)
            words.append(word.replace("_", " "))
            senses.append(int(sense))
            tagged.append(int(times))
            self.seen[words[-1].lower()] = int(seen)
        relations = tuple(_relation(text) for text in related.split())
        quoted = tuple(examples.split("|")) if examples else ()
        return Synset(number, topic, tuple(words), tuple(senses), tuple(tagged), relations, definition, quoted)

    @cached_property
    def fingerprint(self) -> str:
        return sha256_of(self.path)[:16]

    @cached_property
    def _of_word(self) -> dict[str, list[int]]:
        found: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for synset in self.synsets:
            for word, sense, tagged in zip(synset.words, synset.senses, synset.tagged, strict=True):
                found[word.lower()].append((-tagged, sense, synset.number))
        return {word: [number for *_, number in sorted(entries)] for word, entries in found.items()}

    @cached_property
    def tagged(self) -> dict[str, int]:
        """The number of times each word is tagged in sense-tagged texts, in any meaning."""
        found: defaultdict[str, int] = defaultdict(int)
        for synset in self.synsets:
            for word, times in zip(synset.words, synset.tagged, strict=True):
                found[word.lower()] += times
        return dict(found)

    @cached_property
    def _below(self) -> dict[int, list[int]]:
        found: defaultdict[int, list[int]] = defaultdict(list)
        for synset in self.synsets:
            for number in synset.related("@", "@i"):
                found[number].append(synset.number)
        return dict(found)

    def __contains__(self, word: str) -> bool:
        return word.lower() in self._of_word

    @property
    def words(self) -> Iterable[str]:
        """Every word and phrase, in lower case."""
        return self._of_word

    def meanings(self, word: str, part: Part | None = None) -> list[Synset]:
        """Meanings of a word (not of an inflected form), the most often tagged first, over all parts of speech."""
        found = [self.synsets[number] for number in self._of_word.get(word.lower(), ())]
        return [synset for synset in found if part in (None, synset.part)]

    def shares(self, word: str) -> dict[int, float]:
        """How likely a word means each of its meanings: tagged uses, plus one half each, as shares that sum to 1."""
        found = self._shares.get(word)
        if found is None:
            uses = {meaning.number: _tagged(meaning, word.lower()) + 0.5 for meaning in self.meanings(word)}
            total = sum(uses.values())
            found = self._shares[word] = {number: count / total for number, count in uses.items()}
        return found

    def lemmas(self, form: str) -> list[tuple[str, Part]]:
        """What a form may be an inflection of, as (word, part of speech); the form itself where it is a word."""
        form = " ".join(form.lower().split())
        found: dict[tuple[str, Part], None] = {}
        for part, endings in _ENDINGS.items():
            made = [form, *self._exceptions.get((form, part), ())]
            if (form, part) not in self._exceptions:
                for end, new in (rule.split(":") for rule in endings.split()):
                    if form.endswith(end) and len(form) > len(end) + 1:
                        base = form[: len(form) - len(end)] + new
                        made.append(base)
                        if not new and end in ("ed", "ing", "er", "est") and len(base) > 2 and base[-1] == base[-2]:
                            made.append(base[:-1])  # stopped, stop
            for word in made:
                if any(self.synsets[number].part == part for number in self._of_word.get(word, ())):
                    found[word, part] = None
        return list(found)

    def base(self, form: str) -> str:
        """The likeliest lemma of a form, by how often it was tagged and seen; the form itself where none is known."""
        found = self.lemmas(form)
        if not found:
            return form.lower()
        own = form.lower()
        return max(found, key=lambda it: (self.frequency(it[0]) * (3 if it[0] == own else 1), it[0] == own))[0]

    def frequency(self, word: str) -> int:
        """The frequency of a word: times tagged, plus times seen in definitions and examples."""
        return self.tagged.get(word.lower(), 0) + self.seen.get(word.lower(), 0)

    def above(self, number: int) -> dict[int, int]:
        """All synsets above this one, with their distance in steps; itself at 0."""
        return _reached(number, lambda at: self.synsets[at].related("@", "@i"))

    def below(self, number: int) -> dict[int, int]:
        """All synsets below this one, with their distance in steps; itself at 0."""
        return _reached(number, lambda at: self._below.get(at, []))

    def forms(self, word: str) -> list[str]:
        """The word or phrase with its inflections; a phrase's stand on its last word (nouns) or its first (verbs)."""
        word = word.lower()
        head, blank, last = word.rpartition(" ")
        parts = {synset.part for synset in self.meanings(word)} or {"n"}
        made = [word]
        # A regular form is left out where there is an irregular one.
        if "n" in parts:
            made += [head + blank + form for form in self._irregular(last, "n") or [_plural(last)]]
        if "v" in parts:
            first, gap, rest = word.partition(" ")
            past = self._irregular(first, "v")
            regular = [form for form in _verb_forms(first) if not (past and form.endswith("ed"))]
            made += [form + gap + rest for form in (*past, *regular)]
        if "a" in parts and not blank:
            made += self._irregular(word, "a")
        return list(dict.fromkeys(made))

    def _irregular(self, lemma: str, part: Part) -> list[str]:
        return self._forms_of.get((lemma, part), [])

    @cached_property
    def _forms_of(self) -> dict[tuple[str, Part], list[str]]:
        found: defaultdict[tuple[str, Part], list[str]] = defaultdict(list)
        for (form, part), lemmas in self._exceptions.items():
            for lemma in lemmas:
                found[lemma, part].append(form)
        return dict(found)


@cache
def load_wordnet() -> WordNet:
    """The packaged WordNet, read once."""
    return WordNet()


@lru_cache(maxsize=4)
def general_names(wordnet: WordNet, word_uses: int = 4, phrase_uses: int = 1) -> tuple[str, ...]:
    """Words and phrases that WordNet's own texts use often, sorted: names that anyone might use."""
    return tuple(
        sorted(
            word
            for word in wordnet.words
            if len(word) > 2
            and any(c.isalpha() for c in word)
            and wordnet.frequency(word) >= (phrase_uses if " " in word else word_uses)
        )
    )


def _tagged(synset: Synset, word: str) -> int:
    return sum(times for name, times in zip(synset.words, synset.tagged, strict=True) if name.lower() == word)


def _relation(text: str) -> tuple[str, int]:
    kind = text.rstrip("0123456789")
    return kind, int(text[len(kind) :])


def _reached(start: int, neighbours: object) -> dict[int, int]:
    found, waiting = {start: 0}, [start]
    for at in waiting:
        for number in neighbours(at):  # type: ignore[operator]
            if number not in found:
                found[number] = found[at] + 1
                waiting.append(number)
    return found


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _verb_forms(word: str) -> list[str]:
    stem = word[:-1] if word.endswith("e") and not word.endswith(("ee", "ye", "oe")) else word
    past = word + "d" if word.endswith("e") else word + "ed"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        past = word[:-1] + "ied"
    doubled = len(word) in (3, 4) and word[-1] not in "wxyaeiou" and word[-2] in _VOWELS and word[-3] not in _VOWELS
    if doubled:
        return [_plural(word), word + word[-1] + "ed", word + word[-1] + "ing"]
    return [_plural(word), past, stem + "ing"]
