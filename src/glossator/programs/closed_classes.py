"""Closed classes of English and short everyday lists, written out: each a string of lower-case word forms."""

from __future__ import annotations

CLOSED: dict[str, str] = {
    "articles": "a an the",
    "determiners": "a an the this that these those each every either neither some any no all both such what which "
    "whatever whichever another",
    "demonstratives": "this that these those here there such",
    "prepositions": "about above across after against along amid among around as at before behind below beneath beside "
    "besides between beyond by concerning despite down during except for from in inside into like near of off on onto "
    "out outside over past per regarding since than through throughout till to toward towards under underneath until "
    "unto up upon via versus with within without",
    "pronouns": "i me you he him she her it we us they them myself yourself himself herself itself ourselves "
    "yourselves themselves oneself mine yours his hers ours theirs one who whom whose anyone anybody anything someone "
    "somebody something everyone everybody everything nobody nothing none",
    "personal pronouns": "i me you he him she her it we us they them",
    "subject pronouns": "i he she we they you it",
    "object pronouns": "me him her us them you it",
    "first-person words": "i me my mine myself we us our ours ourselves",
    "second-person words": "you your yours yourself yourselves",
    "third-person words": "he him his himself she her hers herself it its itself they them their theirs themselves",
    "masculine words": "he him his himself man men boy boys father son brother husband king mr sir gentleman uncle "
    "nephew grandfather guy guys male dad lord prince",
    "feminine words": "she her hers herself woman women girl girls mother daughter sister wife queen mrs ms miss lady "
    "ladies aunt niece grandmother female mom mum princess madam",
    "possessives": "my your his her its our their mine yours hers ours theirs whose",
    "reflexives": "myself yourself himself herself itself ourselves yourselves themselves oneself",
    "indefinite pronouns": "anyone anybody anything someone somebody something everyone everybody everything nobody "
    "nothing none one another others",
    "relative words": "who whom whose which that where when why",
    "conjunctions": "and or but nor so yet because although though while whereas if unless until since when whenever "
    "where wherever as than that whether once after before",
    "coordinators": "and or but nor yet so",
    "subordinators": "because although though while whereas if unless until since when whenever where wherever "
    "whether once as",
    "auxiliaries": "am is are was were be been being have has had having do does did will would shall should can could "
    "may might must ought",
    "forms of be": "am is are was were be been being",
    "forms of have": "have has had having",
    "forms of do": "do does did doing done",
    "forms of go": "go goes going went gone",
    "forms of say": "say says saying said",
    "forms of make": "make makes making made",
    "forms of get": "get gets getting got gotten",
    "modals": "will would shall should can could may might must ought cannot",
    "negations": "no not never none nothing nobody nowhere neither nor cannot without n't don't doesn't didn't isn't "
    "aren't wasn't weren't won't wouldn't can't couldn't shouldn't hasn't haven't hadn't unable hardly barely",
    "question words": "who whom whose what which when where why how",
    "quantifiers": "all any both each enough every few fewer half least less little lot lots many more most much "
    "none numerous plenty several some various",
    "comparatives": "more less better worse greater lesser larger smaller bigger higher lower older younger longer "
    "shorter faster slower stronger weaker earlier later further farther fewer easier harder closer deeper wider newer "
    "richer poorer lighter heavier cheaper",
    "superlatives": "most least best worst greatest largest smallest biggest highest lowest oldest youngest longest "
    "shortest fastest strongest earliest latest furthest closest deepest newest richest first last finest",
    "intensifiers": "very too so quite rather really extremely highly fairly pretty totally completely absolutely "
    "entirely fully deeply particularly especially incredibly truly utterly",
    "number words": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand "
    "million billion trillion dozen",
    "ordinals": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth twentieth last 1st "
    "2nd 3rd 4th 5th",
    "months": "january february march april may june july august september october november december jan feb mar apr "
    "jun jul aug sep sept oct nov dec",
    "weekdays": "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun",
    "seasons": "spring summer autumn fall winter season seasons",
    "times of day": "morning noon afternoon evening night midnight dawn dusk sunrise sunset tonight today am pm",
    "units of time": "second seconds minute minutes hour hours day days week weeks month months year years decade "
    "decades century centuries millennium era moment",
    "adverbs of time": "now then today tomorrow yesterday tonight soon later before after already yet still ago early "
    "late recently lately currently always never often sometimes usually rarely seldom once again ever eventually "
    "finally immediately previously formerly",
    "adverbs of place": "here there everywhere nowhere somewhere anywhere away back home abroad outside inside "
    "upstairs downstairs forward backward nearby indoors outdoors",
    "adverbs of degree": "very too quite rather almost nearly just only hardly barely slightly somewhat enough even "
    "merely partly mostly largely",
    "linking adverbs": "however therefore thus moreover furthermore nevertheless nonetheless meanwhile instead "
    "otherwise consequently hence additionally similarly likewise accordingly besides indeed also",
    "hedges": "maybe perhaps probably possibly likely seems seem apparently may might could somewhat roughly about "
    "approximately around almost",
    "particles": "up down out off on in over away back through around along by",
    "directions": "north south east west left right up down northern southern eastern western northeast northwest "
    "southeast southwest forward backward clockwise",
    "colours": "red orange yellow green blue purple violet pink brown black white grey gray gold golden silver crimson "
    "scarlet turquoise teal navy beige maroon magenta cyan indigo colored coloured",
    "family": "mother father parent parents mom mum dad son daughter child children brother sister sibling siblings "
    "husband wife spouse uncle aunt cousin nephew niece grandmother grandfather grandma grandpa grandparents family "
    "families twin twins baby",
    "body parts": "head face eye eyes ear ears nose mouth lip lips tooth teeth tongue neck shoulder shoulders arm arms "
    "elbow hand hands finger fingers thumb chest back stomach belly leg legs knee knees foot feet toe toes skin hair "
    "bone bones heart brain blood lung lungs liver kidney muscle muscles throat chin cheek forehead wrist ankle hip",
    "clothes": "shirt pants trousers dress skirt coat jacket hat cap shoe shoes boot boots sock socks glove gloves "
    "scarf tie suit sweater jeans uniform clothes clothing robe belt",
    "vehicles": "car cars truck trucks bus train trains plane planes airplane aircraft ship ships boat boats bicycle "
    "bike motorcycle van taxi helicopter rocket vehicle vehicles subway tram ferry",
    "buildings": "house houses home building buildings church school hospital hotel office castle tower temple palace "
    "factory library museum theater theatre apartment barn bridge station store shop",
    "countries": "america usa britain england scotland wales ireland france germany italy spain portugal greece russia "
    "china japan india korea vietnam thailand indonesia australia canada mexico brazil argentina chile peru colombia "
    "cuba egypt israel iran iraq syria turkey pakistan afghanistan nigeria kenya ethiopia africa europe asia sweden "
    "norway denmark finland poland ukraine austria switzerland belgium netherlands hungary singapore philippines "
    "malaysia",
    "nationalities": "american british english scottish irish french german italian spanish portuguese greek russian "
    "chinese japanese indian korean vietnamese thai australian canadian mexican brazilian african european asian "
    "arab israeli iranian iraqi turkish dutch swedish norwegian danish finnish polish ukrainian roman egyptian",
    "names of languages": "english french german italian spanish portuguese russian chinese mandarin japanese korean "
    "hindi arabic latin greek hebrew sanskrit persian turkish dutch swedish polish swahili bengali urdu",
    "cities": "london paris berlin rome madrid moscow beijing tokyo delhi mumbai sydney toronto york chicago boston "
    "angeles francisco washington seattle houston dallas atlanta miami philadelphia cairo athens vienna amsterdam "
    "shanghai dublin istanbul jerusalem",
    "religions": "christian christianity catholic protestant islam muslim muslims jewish judaism hindu hinduism "
    "buddhist buddhism christians jews god jesus christ church bible religion religious",
    "units of measure": "inch inches foot feet yard yards mile miles meter meters metre metres kilometer kilometers "
    "centimeter millimeter cm mm km kg gram grams g mg pound pounds lb lbs ounce ounces oz ton tons liter liters litre "
    "ml gallon gallons degree degrees percent celsius fahrenheit watt watts volt volts hz mph gb mb kb acre acres",
    "money": "dollar dollars cent cents euro euros pound pounds yen money cash price prices cost costs pay paid wage "
    "salary income tax taxes fee fees loan debt",
    "first names": "john james robert michael william david richard joseph thomas charles mary patricia jennifer linda "
    "elizabeth barbara susan jessica sarah karen george henry edward peter paul mark daniel matthew andrew anna emma "
    "jane alice tom jack sam ben lily lucy mia alex maria",
    "titles of people": "mr mrs ms miss dr sir madam lord lady king queen prince princess president professor captain "
    "general colonel doctor judge senator governor minister pope saint st",
    "people": "people person man men woman women boy boys girl girls child children kid kids baby adult adults human "
    "humans someone everyone guy guys lady gentleman friend friends",
    "occupations": "teacher teachers doctor doctors nurse engineer scientist scientists lawyer farmer farmers soldier "
    "soldiers writer author artist actor musician driver worker workers manager officer police student students "
    "professor judge chef pilot artists engineers researchers",
    "speech verbs": "say says said tell tells told ask asks asked speak speaks spoke spoken talk talks talked reply "
    "replied answer answered explain explained whisper whispered shout shouted claim claimed state stated announce "
    "announced mention mentioned suggest suggested argue argued",
    "thought verbs": "think thinks thought believe believes believed know knows knew known understand understood feel "
    "feels felt guess suppose imagine consider considered remember remembered realize realized wonder wondered hope "
    "hoped expect expected",
    "motion verbs": "go goes went gone come comes came walk walked run ran running move moved moving travel traveled "
    "fly flew drive drove ride rode swim jump jumped climb climbed leave left arrive arrived return returned enter "
    "entered cross crossed fall fell",
    "positive words": "good great excellent wonderful beautiful happy best better love loved nice amazing perfect "
    "success successful enjoy fun positive helpful brilliant fantastic lovely delightful pleasant joy",
    "negative words": "bad terrible awful horrible sad worst worse hate hated ugly poor wrong fail failed failure "
    "negative harmful painful angry fear dangerous disaster problem problems pain cruel",
    "opening brackets": "( [ { <",
    "closing brackets": ") ] } >",
    "quotation marks": "\" ' “ ” ‘ ’ `` '' « »",
    "ends of sentence": '. ! ? ." !" ?" .” !” ?” ... … .) ?! .\'',
    "commas and semicolons": ', ; : ," ,” —',
    "dashes": "- -- — – ―",
    "currency signs": "$ € £ ¥ ₹ usd eur",
    "operators": "+ - * / = == != < > <= >= += -= && || % ^ ** // -> =>",
    "programming keywords": "def class return if else elif for while import from as try except finally with lambda "
    "yield function var let const public private static void int float string bool null none true false new self this",
    "contractions": "'s 't 're 've 'll 'd 'm ’s ’t ’re ’ve ’ll ’d ’m n't",
}
