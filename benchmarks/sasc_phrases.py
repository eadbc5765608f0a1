"""Keyphrases that are no single name of a vocabulary: phrases, topics with a modifier, and attributes of a text
(stance, tone, grammar). Written, with what counts as naming each, before anything was run.

A name has to hold every part of the phrase (parts stand between `&`), each as a form or a plain synonym, and no name of
the general vocabulary does: looking for the nearest one recovers nothing. Naming was developed on `DEVELOPMENT_PHRASES`
alone; figures are given for `PHRASES`.
"""

from __future__ import annotations

from benchmarks.sasc_keyphrases import keyphrases

PHRASES = keyphrases(r"""
phrase:
    customer complaints about service = complain~|complaint~|dissatisf\w+|grievance~ & service~|customer~|client~
    losing a job = los(?:e|es|ing|t)|loss~|fired|layoff~|laid off|dismiss\w*|redundan\w+ & job~|work~|employ\w+
    fear of flying = fear~|afraid|anxiety|phobia~|scared|dread & fly|flying|flight~|plane~|airplane~|aviation
    getting away with a crime = get\w*|got|away|escap\w+|unpunished|impun\w+ & crim\w+
    growing old alone = old|older|age~|aging|ageing|elderly & alone|lonel\w+|solitude|solitary
    falling in love at work = love~|romance|romantic & work\w*|office~|job~
    cost of housing = cost~|price~|expens\w+|afford\w*|rent~ & hous\w+|home~|apartment~
    death of a parent = death~|dead|die~|dying|loss~|mourn\w* & parent~|mother~|father~|parental
    walking in the rain = walk~|stroll~ & rain~|rainy|shower~
topic with a modifier:
    rising oil prices = oil|petroleum|gas|fuel & price~|cost~ & rise~|rising|increas\w+|high~|grow\w+|inflation
    ancient Roman history = rom(?:e|an|ans) & histor\w+|ancient|antiquity
    charging an electric car = charg\w+|recharg\w+|plug\w* & car|cars|automobile~|vehicle~
    wild animals in Africa = wildlife|animal~|safari~|beast~ & africa\w*
    public transport in cities = public|mass|transit & transport\w*|transit|bus|buses|train~ & cit(?:y|ies)|urban|town~
    cheap hotel rooms = cheap\w*|inexpensive|low~|budget|discount~ & hotel~|motel~|inn~|lodging~
    women's rights in Asia = wom[ae]n\w*|feminis\w+|female & asia\w*
    solar power for homes = solar & power~|energy|electric\w*|panel~ & home~|house~|household~|domestic|residential
    children's hospital = child\w*|pediatric~|paediatric~ & hospital~|clinic~
    stolen credit cards = stolen|steal~|theft|fraud\w*|thief & credit|card~
stance:
    opposition to abortion = oppos\w+|against|anti\w*|antiabortion|pro-life & abortion\w*|antiabortion
    support for gun control = support\w*|favou?r\w*|advoca\w+|pro & gun~|firearm~
    criticism of the government = critici\w+|critic~|blam\w+|condemn\w*|denounc\w+ & government\w*
    praise for teachers = prais\w+|commend\w*|admir\w+|acclaim & teach\w*|educator~|school\w*
    distrust of politicians = distrust\w*|mistrust\w*|suspic\w+ & politic\w+
tone:
    polite request = polite\w*|courte\w+|civil & request~|ask~|question~|please
    sarcastic remark = sarcas\w+|ironic|irony|snide & remark~|comment~|joke~|retort~
    urgent warning = urgen\w+|emergency|immediate & warn\w*|alert~|alarm~|caution~
    friendly greeting = friend\w*|warm\w*|cordial\w* & greet\w*|hello|welcome|salut\w+
    formal business letter = formal\w* & letter~|correspondence
    sad farewell = sad\w*|sorrow\w*|tearful & farewell~|goodbye~|parting|good-bye~
grammar and form:
    past tense verbs = past|preterit~ & verb~
    plural nouns = plural~ & noun~
    sarcastic questions = sarcas\w+|ironic|irony & question~|ask~|query|queries
    first person narration = first|personal & narrat\w+|story|stories|storytelling
    passive voice sentences = passiv\w+ & sentence~|verb~|clause~
    conditional statements = condition\w* & statement~|sentence~|clause~
    numbered list of steps = number~|numbered|numeral~|sequence~ & step~|list~
    quoted speech = quot\w+ & speech\w*|speak~|spoken|words
""")
"""38 keyphrases, for the figures."""

DEVELOPMENT_PHRASES = keyphrases(r"""
phrase:
    learning a foreign language abroad = learn~|study\w*|acqui\w+ & language~|linguistic\w* & abroad|foreign\w*|overseas
    getting married young = marr\w+|wedding~ & young\w*|youth\w*|teen\w*|early
    running out of money = money|cash|funds?|financ\w+ & run~|short\w*|out|broke|lack\w*|exhaust\w+
    life after death = life|afterlife & death~|dead|die~|afterlife
    moving to a new city = mov\w+|relocat\w+|migrat\w+ & cit(?:y|ies)|town~|urban
    a walk on the beach = walk~|stroll~ & beach\w*|shore~|seashore|seaside
    missing a train = miss~|late|delay\w* & train~|railway~|railroad~
    friendship between women = friend\w* & wom[ae]n\w*|female~|girl\w*
    being lost in the woods = lost|los(?:e|ing)|astray|stray\w* & wood~|forest~
topic with a modifier:
    falling house prices = hous\w+|home~|real estate|property & price~|cost~|value~ & fall\w*|declin\w+|drop\w*|low\w*
    medieval castles = mediev\w+|middle age~ & castle~|fortress~
    organic vegetables = organic\w* & vegetable~|produce|veggie~|greens
    online shopping = online|internet|web\w*|e-?commerce & shop\w*|buy\w*|retail\w*|purchas\w*|e-?commerce
    religious minorities in Europe = religio\w+ & minorit\w+ & europe\w*
    professional women athletes = wom[ae]n\w*|female~ & athlet\w+|sport\w*
    deep sea fishing = sea|ocean|marine|deep\w* & fish\w*
    clean drinking water = clean\w*|pure|purif\w+|potable|safe & water~
    youth unemployment = youth\w*|young|teen\w* & unemploy\w+|jobless\w*
    space travel to Mars = space\w*|mission~|travel\w*|astronaut~ & mars|martian~
stance:
    support for immigration = support\w*|favou?r\w*|advoca\w+|pro & immigra\w+
    opposition to war = oppos\w+|against|anti\w*|antiwar|pacif\w+|peace & war~|warfare|antiwar|military
    criticism of the police = critici\w+|critic~|blam\w+|complain\w* & polic\w+
    doubt about climate change = doubt\w*|s[kc]eptic\w*|deny|denial|denier~|disbelie\w+ & climat\w+|warming
    belief in God = belie\w+|faith\w* & god~|deity|divin\w+|lord
tone:
    angry letter = anger|angr\w+|furious|irate & letter~
    casual conversation = casual\w*|informal\w* & convers\w+|talk~|chat\w*|speech
    sincere apology = sincer\w+|honest\w*|genuine\w*|heartfelt & apolog\w+
    cheerful song = cheer\w*|happy|happi\w+|joy\w* & song~|music\w*|sing\w*|tune~
    cold professional email = professional\w*|formal\w*|business|cold & e-?mail~|mail~
    nostalgic memories = nostalg\w+ & memor\w+|remember\w*|remembr\w+|past
grammar and form:
    present participle verbs = participl\w+ & verb~|present
    possessive pronouns = possess\w+ & pronoun~
    questions about time = question~|ask~ & time~|date~|clock|hour~|when
    second person instructions = second|you & instruct\w+|direction~
    comparative adjectives = compar\w+ & adjectiv\w+
    negative sentences = negat\w+ & sentence~|statement~|clause~
    dates and years = date~ & year~
    lists of names = list~|roster~|roll & name~
""")
"""38 others, for developing the method."""
