"""Detecting refusals, in the languages that models refuse in.

Explanations may be about apologies and refusals, so words alone prove nothing: quoted words are mentioned, not used,
and so are words in a list of their kind ("sorry, pardon and other apologies").
"""

from __future__ import annotations

import re


def _any_of(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


def _compiled(*patterns: str) -> re.Pattern[str]:
    return re.compile(_any_of(*patterns), re.IGNORECASE)


_QUOTED = re.compile(
    r"“[^”]*”|\"[^\"]*\"|‘[^’]*’|«[^»]*»|「[^」]*」|『[^』]*』|„[^“”]*[“”]|`[^`]*`|(?<!\w)'[^']*'(?!\w)"
)
_LISTED = _compiled(
    r"\b(?:and|or)\s+(?:other|similar|related|like|variants?|synonyms?)\b", r"\betc\b", r"\bsuch as\b",
    r"\b(?:und|oder)\s+(?:andere|ähnliche)", r"\bet\s+(?:autres|d['’]autres)", r"\by\s+(?:otr[ao]s|similares)",
    r"\be\s+(?:outr[ao]s|altr[ie])", r"и\s+(?:други|подобн)", "等", "など", r"및\s",
)  # fmt: skip
_MARKS = re.compile(r"[*_#>\s]+")
_SENTENCE_END = re.compile(r"[\s,，]*[.!。！…]+\s*")

_NOT = _any_of(
    r"can\s?no?t", r"can['’]t", r"could(?:n['’]t| not)", r"won['’]?t", r"will not", r"would(?:n['’]t| not)",
    r"['’]?m\s+(?:not\b|unable)", "unable", "not have", "not feel", "decline", "refuse",
    r"not\s+(?:able|going|allowed|permitted|comfortable|in a position|designed|programmed|capable)",
    r"(?:have to|need to|must|respectfully)\s+(?:respectfully\s+)?(?:decline|refuse)",
    r"don['’]t (?:feel|have|see)", r"['’]?d rather not", "would rather not", "prefer not",
)  # fmt: skip
_TO_DO = _any_of(
    r"help(?! but)", "assist", "provide", "answer", "fulfil", "comply", "complet", "generat", "creat", "discuss",
    "engag",
    "explain", "describ", "determin", "identif", "access", "process", "support", "participat", "continu", "offer",
    "respond", "infer", "interpret", "analy[sz]e", "summari[sz]e", "produc", "shar", "tell you", "say what",
    "do (?:that|this|so)", "give (?:you|an|that)", "make (?:out|sense)", "see (?:any|a|the|what)", "find (?:any|a)",
    "enough", "sufficient", "request", "comfortable", "information", "context",
)  # fmt: skip
_I_WILL_NOT = re.compile(
    rf"I(?:\s+(?:really|simply|just|also|therefore|must|am|do))*['’]?\s*{_NOT}\b[^.!?\n]{{0,60}}?\b{_TO_DO}",
    re.IGNORECASE,
)
_NOT_WITH_THAT = _compiled(
    r"(?:no[,.] )?I (?:can(?:no|['’])?t|won['’]t) (?:help|assist|do) (?:you )?(?:with )?(?:that|this)\b",
    r"(?:apologies|sorry)[,.] I (?:can(?:no|['’])?t|won['’]t)\W*$",
    r"th(?:at|is) is(?: not|n['’]t) something (?:that )?I (?:can|am able to)\b",
    r"I['’]d prefer not to\b",
)
_ENGLISH = _compiled(
    r"(?:I['’]m|I am|we['’]re)?\s*(?:so |very |deeply |truly )?(?:sorry|afraid)[,.;:!]?\s*"
    r"(?:(?:but|that|,)\s*)*(?:I|we|(?<=but )\w+)\b",
    r"(?:I (?:do )?apologi[sz]e|my (?:sincere )?apologies|I regret)\b[,.;:!]?\s*(?:but|for|that|I|to)\b",
    r"(?:I['’]m sorry|I am sorry|sorry|I apologi[sz]e|my apologies)[.!…\s]*$",
    r"as an? (?:AI|artificial intelligence|(?:large )?language model|assistant|LLM)\b[^.,;:!?\n]{0,40}?"
    r"(?:,\s*(?:I|my|it|we|this|the|there)\b|\s+I\b|\s*[.;:—–])",
    r"I['’]?\s?a?m (?:just|only|merely) an? (?:AI|language model|assistant)\b",
    r"I (?:must|have to) (?:decline|refuse)\W*$", r"I (?:do not|don['’]t) know\W*$",
    r"I['’]m afraid (?:that['’]?s|that is|this is|I)\b",
    r"let['’]s (?:talk about|discuss|change) (?:something|the)\b.*[.!?]$",
    r"I(?:['’]d| would)? need (?:more|some|the|additional)\b.*\bto\b",
    r"(?:hello|hi)?[!,.\s]*how (?:can|may) I (?:help|assist) you\b",
    r"(?:could|can|would) you (?:please )?(?:provide|share|paste|send|clarify)\b.*\?$",
    r"please (?:provide|share|paste|send|supply|upload) (?:me|the|your|an?|some|more|any)\b.*[.!]$",
    r"it (?:seems|looks like|appears)(?: like| that)? (?:you|your|there|the (?:message|input|text|records|examples))\b"
    r".*(?:n['’]t|\bnot\b|\bno\b|empty|missing|cut off|incomplete)",
    r"no explanation (?:can|could|is|was)\b",
    r"(?:unable|cannot|can['’]t|impossible|could not) (?:to )?(?:be )?(?:determined?|tell|say)\b",
    r"(?:insufficient|not enough) (?:information|data|evidence|context|examples)\W*$",
    r"(?:unfortunately|regrettably)\b[,.]?\s*(?:I|we|it is not|it['’]s not|there (?:is|are|isn))\b",
    r"I\s?(?:do not|don['’]t) (?:have|see) (?:enough|sufficient|any)\b",
    r"there (?:is|are)(?:n['’]t| not) (?:enough|sufficient)\b",
    r"(?:the )?(?:text|data|examples?|records?) (?:do(?:es)?(?: not|n['’]t)) (?:provide|have|contain) enough\b",
    r"it(?: is|['’]s) (?:not possible|impossible) (?:for me )?to"
    r" (?:determine|tell|say|know|identify|infer|give|provide|answer)\b",
    r"(?:this|your|the) (?:request|content|prompt|message)"
    r" (?:was|is|has been|violates|goes against|may violate|cannot)\b",
    r"(?:n/?a|none|null|unknown|unclear|inconclusive|not (?:applicable|available|known)"
    r"|nothing|(?:I have )?no idea|no (?:answer|explanation|response|comment)|\[?redacted\]?"
    r"|(?:request|content|prompt|response|answer) (?:was )?(?:declined|blocked|refused|denied|filtered|withheld))\W*$",
    r"(?:there (?:is|was|seems to be) )?no (?:clear|obvious|discernible|consistent|apparent|common|evident)"
    r" (?:pattern|theme|answer|explanation|meaning)s?\b"
    r"(?:\W*$|.*\b(?:in|across|among|can|could|was|were|found|here|that I)\b)",
)  # fmt: skip

_APOLOGIES = (
    (r"(?:es )?tut mir (?:sehr )?leid|entschuldig(?:ung|en sie|e)|verzeihung|leider|bedaure|ich bedaure",
     r"kann|können|nicht|darf|keine?\b"),
    (r"(?:je suis|nous sommes)?\s*(?:vraiment |sincèrement )?désolée?s?|malheureusement|je m['’]excuse|je regrette"
     r"|(?:toutes )?mes excuses|pardon", r"ne (?:peux|puis|suis|pouvons)|n['’]ai pas|impossible|pas en mesure"),
    (r"lo siento(?: mucho)?|(?:lo )?lamento|disculp[ae]|perd[oó]n|mis disculpas|desafortunadamente|lamentablemente"
     r"|(?:le|te|les) pido disculpas", r"no (?:puedo|poder|podemos|es posible|estoy|tengo|me)|imposible"),
    (r"desculp[ae]|sinto muito|lamento|infelizmente|peço desculpas?|perdão", r"não"),
    (r"mi (?:di)?spiace|mi scuso|spiacente|purtroppo|chiedo scusa|sono spiacente", r"non\b|impossibile"),
    (r"het spijt me|helaas|excuses|sorry", r"\bkan\b|niet|geen"),
    (r"извините|простите|прошу прощения|к сожалению|мне жаль|сожалею|приношу извинения", r"не\s|невозможно|нельзя"),
    (r"вибачте|перепрошую|на жаль|мені шкода", r"не\s|неможливо"),
    (r"przepraszam|przykro mi|niestety", r"nie\b"),
    (r"(?:非常|很|十分|真的)?(?:抱歉|对不起|對不起|不好意思|遗憾|遺憾)|请原谅",
     r"无法|無法|不能|不会|不會|没有|沒有|不便|不可"),
    (r"申し訳|すみません|すいません|ごめんなさい|恐れ入りますが|残念ながら|あいにく",
     r"ません|できかね|いたしかね|できない|控え"),
    (r"죄송|미안|유감스럽", r"없|못|않|어렵"),
    (r"[اأ]?عتذر|آسف|عذر|للأسف|معذرة", r"لا |ليس|غير|لن "),
    (r"क्षमा|माफ़|मुझे खेद|खेद है", r"नहीं"),
    (r"üzgünüm|özür dilerim|maalesef|ne yazık ki", r"am\b|em\b|mıyorum|miyorum|değil"),
    (r"jag (?:är ledsen|beklagar)|tyvärr|förlåt|beklagar", r"inte\b"),
    (r"(?:jeg )?beklager|desværre|dessverre|undskyld|unnskyld", r"ikke\b"),
    (r"omlouvám se|bohužel|je mi líto", r"ne"),
    (r"valitettavasti|pahoittelen|olen pahoillani", r"en\b|ei\b"),
    (r"(?:tôi )?(?:xin lỗi|rất tiếc)", r"không"), (r"maaf|mohon maaf|sayangnya", r"tidak"),
    (r"λυπάμαι|συγγνώμη|δυστυχώς", r"δεν"), (r"sajnálom|sajnos|elnézést", r"nem\b"),
    (r"îmi pare rău|din păcate", r"nu\b"), (r"אני מצטער|מצטער|לצערי", r"לא|אין"), (r"ขออภัย|ขอโทษ", r"ไม่"),
    (r"съжалявам|за съжаление|извинявай", r"не\s"),
    (r"жао ми је|нажалост|žao mi je|nažalost|oprosti|žal", r"(?:не|ne)\s"),
    (r"žiaľ|ľutujem|prepáčte|je mi ľúto", r"ne"), (r"atsiprašau|deja", r"ne"), (r"atvainojiet|diemžēl", r"ne"),
    (r"vabandust|kahjuks", r"\bei\b"), (r"ho sento|em sap greu|malauradament", r"\bno\b"),
    (r"متأسف|متاسف|ببخشید|معذرت", r"نم[یي]|نہیں"), (r"দুঃখিত", r"না|নেই"), (r"மன்னிக்கவும்|வருந்துகிறேன்", r"முடிய|இயல"),
    (r"క్షమించండి", r"లేను|లేదు"), (r"samahani|pole", r"\bsi\w|\bhaw"), (r"paumanhin|pasensya", r"hindi"),
    (r"më vjen keq|fatkeqësisht", r"nuk"), (r"ვწუხვარ|ბოდიში", r"ვერ|არ"), (r"ներեցեք|ցավում եմ", r"չ"),
)  # fmt: skip
"""(how a refusal begins, what it also says), by language; an apology that is the whole sentence is one as well."""
_CANNOT = _compiled(
    r"ich (?:kann|darf|werde|möchte)\b.{0,60}\bnicht", r"das kann ich (?:leider )?nicht",
    r"ich bin nicht (?:in der lage|befugt)", r"als (?:ki|künstliche intelligenz|sprachmodell|ai|taalmodel)\b",
    r"je (?:ne (?:peux|puis|suis|souhaite)|refuse)\b", r"en tant qu['’](?:ia|assistant)", r"il m['’]est impossible",
    r"en tant que (?:modèle|grand modèle)", r"no (?:puedo|me es posible|estoy en condiciones|es posible)\b",
    r"como (?:una? )?(?:ia|modelo de (?:lenguaje|linguagem)|intelig[eê]ncia artificial|assistente)\b",
    r"(?:eu )?não (?:posso|consigo|estou autorizad)", r"non (?:posso|sono in grado|mi è possibile)",
    r"come (?:ia|modello linguistico)", r"ik kan\b.{0,40}\bniet", r"я не (?:могу|буду|имею|в состоянии)",
    r"не могу (?:помочь|ответить|выполнить)", r"как (?:ии|языковая модель|искусственный)", r"я не можу", r"nie mogę",
    r"我(?:无法|無法|不能|不可以|没有办法|沒有辦法|不会提供|拒绝|拒絕)",
    r"作为(?:一个|一名)?(?:ai|人工智能|语言模型|助手)",
    r"(?:无法|無法|不能)(?:协助|協助|帮助|幫助|提供|回答|满足|滿足|处理|處理|完成|继续)",
    r"作為(?:一個)?(?:ai|人工智慧|語言模型)", r"لا (?:أستطيع|يمكنني)", r"मैं .{0,40}नहीं कर सकत", r"nemohu\b",
    r"tôi không thể",
    r"saya tidak (?:dapat|bisa)", r"δεν μπορώ", r"jag kan(?: \w+)? inte", r"jeg kan(?: \w+)? ikke", r"en voi\b",
    r"nem tudok", r"nu pot\b", r"не могу\W*$",
    r"(?:(?:eu )?não sei|no (?:lo )?sé|je ne sais pas|ich weiß (?:es )?nicht|non (?:lo )?so|(?:я )?не знаю|我?不知道"
    r"|わかりません|分かりません|모르겠습니다)\W*$",
    r"לא אוכל", r"אני לא יכול", r"저는 .{0,40}(?:없습니다|않습니다)",
)  # fmt: skip
_CANNOT_AT_THE_END = _compiled(
    r"(?:応え|答え|手伝い|対応|提供|支援|回答|説明|お受け)\w{0,8}(?:できません|出来ません|られません|できかねます|いたしかねます)[。！!\s]*$",
    r"(?:도와|제공|답변|처리|수행)\S{0,8}\s?(?:수 (?:가 )?없습니다|어렵습니다)[.!\s]*$",
    r"yardımcı olamam[.!\s]*$",
)


def is_refusal(text: str) -> bool:
    """Whether a text declines to answer."""
    plain = _MARKS.sub(" ", text).strip()
    if not plain or _LISTED.search(plain):
        return False
    bare = _QUOTED.sub(" “” ", plain).strip()
    if bare.startswith("“”"):  # a quotation is spoken of, unless it is the whole and refuses in so many words
        parts = _parts(plain.strip(" .")[1:-1])
        return bare.strip(" .") == "“”" and any(_I_WILL_NOT.match(part) for part in parts)
    first, *later = _parts(bare) or [""]
    if _ENGLISH.match(bare) or _I_WILL_NOT.match(first) or any(_I_WILL_NOT.match(part) for part in later):
        return True
    if any(_NOT_WITH_THAT.match(part) for part in later) or _NOT_WITH_THAT.match(bare):
        return True
    return bool(_CANNOT.match(bare) or _CANNOT_AT_THE_END.search(bare)) or any(
        _apologises(bare, sorry, also) for sorry, also in _APOLOGIES
    )


def _apologises(text: str, sorry: str, also: str) -> bool:
    found = re.match(sorry, text, re.IGNORECASE)
    if found is None:
        return False
    rest = text[found.end() :]
    return _SENTENCE_END.fullmatch(rest) is not None or re.search(also, rest, re.IGNORECASE) is not None


def _parts(text: str) -> list[str]:
    """Sentences, and what follows an apology."""
    return [part.strip() for part in re.split(r"[.!?;]\s+|[,–—]\s*(?:but|so|however)?\s*", text) if part.strip()]
