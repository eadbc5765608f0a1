"""The grid of genres and topics from which the embedded corpus is sampled.

Nothing here names a unit, a concept list or a benchmark answer: the grid is written for breadth of
register (who speaks to whom, in which form) and of subject matter, before any unit was looked at.
"""

GENRES_ENGLISH = [
    "a short news report about {topic}",
    "a newspaper opinion column on {topic}",
    "the opening pages of a novel that touches on {topic}",
    "a detective story scene involving {topic}",
    "a children's bedtime story about {topic}",
    "a short science-fiction story about {topic}",
    "a historical essay about {topic}",
    "an encyclopedia entry on {topic}",
    "a textbook section that introduces {topic} with definitions",
    "a scientific abstract and introduction about {topic}",
    "a step-by-step tutorial about {topic}",
    "a numbered list of ten practical tips about {topic}",
    "a bulleted shopping or packing list connected with {topic}, with short remarks",
    "a dialogue between two friends arguing about {topic}",
    "a theatre scene with stage directions about {topic}",
    "an interview transcript with an expert on {topic}",
    "a personal diary entry that mentions {topic}",
    "a letter to an old friend about {topic}",
    "a formal business e-mail concerning {topic}",
    "a complaint to customer service about {topic}",
    "a product review about something related to {topic}",
    "a film review of an imaginary film about {topic}",
    "a restaurant or travel review connected with {topic}",
    "a forum question about {topic} followed by three different answers",
    "a social media thread about {topic} with replies",
    "a speech to a town council about {topic}",
    "a lecture transcript about {topic}",
    "a legal notice or contract clause concerning {topic}",
    "a medical leaflet that mentions {topic}",
    "a recipe inspired by {topic}, with ingredients and quantities",
    "a weather or traffic bulletin that mentions {topic}",
    "a sports commentary that mentions {topic}",
    "a set of exam questions with answers about {topic}",
    "a poem about {topic}",
    "song lyrics about {topic}",
    "a joke and a short comic sketch about {topic}",
    "a frequently-asked-questions page about {topic}",
    "a job advertisement related to {topic}",
    "a museum label and catalogue text about {topic}",
    "minutes of a meeting about {topic}",
    "a biography of an invented person known for {topic}",
    "a philosophical discussion of {topic}",
    "a financial report paragraph with figures about {topic}",
    "a timeline with dates about {topic}",
    "a table in Markdown with data about {topic}, then a short comment",
    "an obituary of an invented person who loved {topic}",
    "a travel guide paragraph connected with {topic}",
    "a myth or fable that explains {topic}",
]

GENRES_CODE = [
    "a Python module with functions and docstrings for {topic}",
    "a JavaScript snippet with comments for {topic}",
    "a C program with comments for {topic}",
    "an HTML page about {topic}",
    "a SQL schema and three queries for {topic}",
    "a shell script with comments for {topic}",
    "a JSON configuration file for software about {topic}",
    "a Java class with comments for {topic}",
    "a LaTeX section with formulas about {topic}",
]

GENRES_OTHER_LANGUAGES = [
    "Écris un court article en français sur ce sujet : {topic}.",
    "Raconte en français une petite histoire sur : {topic}.",
    "Escribe en español un artículo breve sobre este tema: {topic}.",
    "Cuenta en español una historia corta sobre: {topic}.",
    "Schreibe einen kurzen Text auf Deutsch über dieses Thema: {topic}.",
    "Scrivi in italiano un breve testo su questo argomento: {topic}.",
    "Escreva em português um texto curto sobre este tema: {topic}.",
]

TOPICS = """
river floods; coffee; a lost dog; bicycle repair; the ocean floor; bread baking; a town library; volcanoes; chess;
train travel; winter storms; school exams; gardening; antique clocks; bees; a stolen painting; football; space
probes; dental care; mountain rescue; jazz; tax returns; desert caravans; glass making; refugees; cheese; poker;
a haunted house; electric cars; wedding customs; the printing press; whales; insomnia; a job interview; tea; wool;
medieval castles; vaccination; a broken phone; hiking boots; opera; city traffic; fishing villages; dinosaurs;
public parks; a court trial; moonlight; bank loans; chocolate; earthquakes; a family dinner; skiing; penguins;
ancient Rome; computer security; a bus strike; perfume; violin lessons; nurses; a chemistry laboratory; olive oil;
elections; rare stamps; a marathon; the night shift; coral reefs; carpentry; diabetes; a birthday party; airports;
pottery; grammar; wildfires; a secret letter; horses; solar panels; the circus; moving house; rice farming; cancer
research; prime numbers; a village market; lighthouses; sleep; robots; migration of birds; a shipwreck; salt;
photography; mushrooms; war memories; swimming lessons; the stock market; noise; cathedrals; internet privacy;
a hospital ward; soup; kites; languages; plastic waste; an empty theatre; tigers; insurance; the common cold;
sculpture; potatoes; rain; the gold rush; twins; ice cream; bridges; a divorce; radio; ants; philosophy of mind;
statistics; a tax on sugar; cats; hurricanes; mathematics homework; electricity; old maps; a neighbour's fence;
pregnancy; the colour blue; basketball; the French Revolution; a power cut; yoga; snakes; road safety; paper; milk;
submarines; genetics; friendship; a lottery ticket; dance; orchards; prisons; fashion; the Silk Road; microbes;
a mountain village; video games; shoes; memory loss; the police; satellites; fog; honey; tennis; a lost passport;
steel; dreams; kindergarten; islands; spiders; a trade union; wind turbines; mirrors; cooking oil; the Moon landing;
anxiety; wolves; credit cards; a family tree; tunnels; football fans; recycling; telescopes; poverty; drums; herbs;
oil prices; a snowman; typing speed; customs officers; archaeology; sunburn; knitting; parliament; rabbits; jokes;
inheritance; skateboards; the heart; immigration law; rivers in Africa; machine translation; a lost ring; beer;
allergies; monks; camping; concrete; time zones; elephants; drought; a school play; bees and pesticides; umbrellas;
kitchen knives; rockets; handwriting; loneliness; coins; moss; a taxi driver; public health; weddings abroad; goats;
a flat tyre; democracy; sand; old photographs; gravity; hotel rooms; vegetables; a broken leg; advertising; silk
""".replace("\n", " ")
TOPICS = [topic.strip() for topic in TOPICS.split(";") if topic.strip()]

# Openings continued by the model without a chat frame: they give the registers an instruct model avoids.
OPENINGS = [
    "The {topic} question came up again at the",
    "I never thought much about {topic} until",
    "“{topic}?” she said. “You must be",
    "Q: What should I know about {topic}?\nA:",
    "{topic}\n\nFrom the archives.\n\nThe first",
    "Chapter 7\n\n{topic}\n\nOn the third day",
    "LONDON (Reuters-style wire) - Officials said on Tuesday that {topic}",
    "Posted by admin on March 3 | Comments (14)\n\n{topic}: my honest",
    "Dear Sir or Madam,\n\nI am writing about {topic}",
    "## {topic}\n\n1.",
    "In this paper we study {topic}. Our",
    "def main():\n    # {topic}\n",
    "A: So, {topic} then.\nB: Again?\nA:",
    "It was raining when they spoke of {topic}, and",
    "According to the report, {topic} cost",
    "My grandmother used to say that {topic}",
]
