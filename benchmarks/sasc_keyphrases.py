"""Keyphrases whose modules have a known answer, with what counts as naming each: written before anything was run.

An answer is right when its pattern is found in the name, as whole words, case aside. A pattern accepts inflections and
plain synonyms of the keyphrase, not neighbours in meaning (`river` accepts stream, not water). `REPORTED` is what
figures are given for; methods are tuned on `DEVELOPMENT` alone, which shares no keyphrase with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Keyphrase:
    """phrase: what the module is near to; accepted: alternatives that name it, as one regular expression, or several
    (between `&`) of which a name must hold all."""

    phrase: str
    accepted: str
    kind: str

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.accepted.split("&"))

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """Each finds an accepted name of one part as whole words."""
        return tuple(re.compile(rf"\b(?:{part})\b", re.IGNORECASE) for part in self.parts)

    def named_by(self, text: str) -> bool:
        return all(pattern.search(text) is not None for pattern in self.patterns)

    @cached_property
    def leak(self) -> re.Pattern[str]:
        """Finds an accepted name of any part, or a content word of the phrase at either end of a longer word
        (`riverbank`)."""
        words = [word for word in re.findall(r"\w+", self.phrase) if len(word) > 2 and word not in SMALL]
        stems = [word[:-1] if len(word) > 4 and word[-1] in "sye" else word for word in words]
        names = (rf"\b(?:{part})\b" for part in self.parts)
        parts = (*names, *(rf"\b{stem}" for stem in stems), *(rf"{word}\b" for word in words))
        return re.compile("|".join(parts), re.IGNORECASE)


SMALL = frozenset({"the", "and", "for", "about", "from", "into", "with", "after", "out", "between", "being"})
"""Words of a phrase that give nothing away."""


def keyphrases(text: str) -> tuple[Keyphrase, ...]:
    """Lines `phrase = pattern` below lines `kind:`; inflections of a word are written `word~`."""
    found, kind = [], ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.endswith(":"):
            kind = line[:-1]
            continue
        phrase, _, accepted = line.partition(" = ")
        found.append(Keyphrase(phrase, accepted.replace("~", r"(?:s|es|d|ed|ing|er|ers|ly)?"), kind))
    return tuple(found)


REPORTED = keyphrases(r"""
concrete:
    river = river~|stream~|creek~|waterway~
    mountain = mountain~|mountainous|mountaineer~|mount~|peak~
    bread = bread~|loaf|loaves
    horse = horse~|equine|pony|ponies
    guitar = guitar~|guitarist~
    window = window~
    shoes = shoe~|footwear|boot~|sandal~
    island = island~|isle~|islet~
    tree = tree~
    gold = gold|golden
    moon = moon~|lunar
    garden = garden~
    bridge = bridge~
    knife = knife|knives|dagger~|blade~
    baby = baby|babies|infant~|newborn~
    train = train~|railroad~|railway~
    telephone = telephone~|phone~
    money = money|cash|currency|currencies
abstract:
    freedom = freedom~|libert(?:y|ies)|free
    justice = justice|injustice|fairness
    courage = courage|courageous|courageously|brave|bravery|valor|valour
    loneliness = loneliness|lonely|lonesome|solitude|alone
    truth = truth~|truthful|truthfulness|true|veracity
    wisdom = wisdom|wise|wisely|sage
    poverty = poverty|poor|poorness|impoverish~|impoverishment|destitution
    fear = fear~|fearful|afraid|fright~|frightened|scare~|scared|terror
    beauty = beauty|beautiful|beautifully|loveliness
    trust = trust~|trustworthy|trustworthiness|confidence|faith
    friendship = friendship~|friend~|friendly|companionship
    success = success|successes|successful|succeed~|achievement~
action:
    cooking = cook~|cookery|cuisine|baking
    swimming = swim|swims|swimming|swimmer~
    teaching = teach|teaches|teaching|teacher~|taught|instruction|instructor~
    stealing = steal~|theft~|thief|thieves|thievery|stolen|robbery|rob|robber~|robbing|larceny
    singing = sing|sings|singing|singer~|song~|vocal
    traveling = travel~|traveling|travelling|travell?er~|trip~|journey~
    reading = read~|readings
    sleeping = sleep~|slept|asleep|slumber
    shopping = shop|shops|shopping|shopper~
    painting = paint~|paintings
    voting = vot(?:e|es|ed|er|ers|ing)|ballot~|suffrage
    helping others = help~|helpful|helpfulness|aid~|assist~|assistance|charity|charitable|altruism|altruistic|kindness
event:
    wedding = wedding~|marriage~|marry|bridal|nuptial~|matrimony
    earthquake = earthquake~|quake~|tremor~|seismic|temblor~
    election = election~|elect|elects|elected|electoral
    war = war|wars|warfare|wartime
    birthday party = birthday~
    flood = flood~|floods|inundation~|deluge~
    storm = storm~|stormy|thunderstorm~|tempest~
    funeral = funeral~|burial~|bury|buried|interment
    concert = concert~
    accident = accident~|accidental|crash~|collision~|mishap~
topic:
    climate change = climate change~|global warming|climate
    space exploration = space exploration|space flight|spaceflight|space travel|outer space|space|astronaut~
    computer programming = computer programming|programm?(?:er|ers|ing)|coding|software development
    mental health = mental health|mental illness|mental|psychiatr(?:y|ic|ist)|psychological health
    taxes = tax|taxes|taxed|taxing|taxation
    immigration = immigration|immigrant~|immigrate~|migration|migrant~
    nuclear weapons = nuclear|atomic bomb~|atomic weapon~|nuke~
    human rights = human right~|civil right~|right|rights
    health care = health ?care|healthcare|medical care|health|medical
    databases = database~|data ?base~
    grammar = grammar~|grammatical|syntax
    religion = religion~|religious
    mathematics = mathematic~|mathematics|mathematical|mathematician~|maths?
    chemistry = chemistry|chemical~|chemist~
    agriculture = agricultur(?:e|al)|farm~|farming
    terrorism = terrorism|terrorist~|terror
    unemployment = unemployment|unemployed|jobless|joblessness
    artificial intelligence = artificial intelligence|machine intelligence
    fishing = fish|fishes|fishing|fisher~|fisherman|fishermen|fishery|fisheries
    dogs = dog|dogs|puppy|puppies|canine~|hound~
    oil and gas = oil~|gas|petroleum|natural gas
    military = military|militaries|army|armies|armed forces?|armed services
""")
"""74 keyphrases, for the figures."""

DEVELOPMENT = keyphrases(r"""
concrete:
    ocean = ocean~|oceanic|sea|seas
    desert = desert~
    cat = cat|cats|kitten~|feline~
    car = car|cars|automobile~|motorcar~
    piano = piano~|pianist~
    door = door~|doorway~
    city = city|cities|urban|town~|metropolis
    flower = flower~|blossom~|bloom~
    sun = sun|suns|sunny|solar|sunshine|sunlight
    milk = milk~|milky
    road = road~|highway~|street~
    coffee = coffee~
    hospital = hospital~
abstract:
    happiness = happiness|happy|happily|joy|joyful|joyfulness
    peace = peace|peaceful|peacefulness
    anger = anger~|angry|angrily|rage~|wrath
    honesty = honesty|honest|honestly
    wealth = wealth|wealthy|rich|riches|affluence
    danger = danger~|dangerous|peril~|hazard~|hazardous|risk~|risky
    memory = memory|memories|memor(?:ize|ise|able)|remember~|recollection~
    luck = luck|lucky|luckily|fortune
action:
    dancing = danc(?:e|es|ed|ing|er|ers)
    driving = driv(?:e|es|en|ing|er|ers)|drove|motoring
    learning = learn~|learnt|study|studying
    fighting = fight|fights|fighting|fighter~|fought|combat~|battle~
    writing = writ(?:e|es|ing|ings|er|ers|ten)|wrote|author~
    eating = eat|eats|eating|eater~|eaten|ate
    laughing = laugh~|laughter
event:
    revolution = revolution~|revolutionary
    hurricane = hurricane~|typhoon~|cyclone~
    festival = festival~|festivity|festivities
    explosion = explosion~|explod(?:e|es|ed|ing)|explosive~|blast~
    holiday = holiday~|vacation~
    murder = murder~|murderous|homicide~|killing~|slaying
topic:
    solar energy = solar~|solar energy|solar power
    public schools = school~
    foreign policy = foreign policy|foreign polic(?:y|ies)|diplomacy|diplomatic|foreign
    heart disease = heart disease~|cardiac|cardiovascular|heart~
    music = music|musical|musician~|musically
    physics = physics|physicist~|physical science
    law = law|laws|legal|lawful|lawyer~
    football = football~|soccer
    file system = file~|file system~|filesystem~
    trade = trade~|trading|commerce|commercial
    weather = weather
    email = e-?mail~|electronic mail
""")
"""46 keyphrases, for choosing settings."""
