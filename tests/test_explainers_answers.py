"""From what models really say to an explanation: what is around it is taken off, refusals are none, words stay."""

from __future__ import annotations

import pytest

from glossator.explainers.answers import clean
from glossator.explainers.refusals import is_refusal
from glossator.explainers.sentences import read_sentences
from glossator.language_models import Answer, Message, Request
from glossator.language_models.judging import judged
from glossator.language_models.thoughts import without_thoughts

RIGHT = "words for rain"


def cleaned(text: str, finish: str = "stop") -> tuple[str, str | None]:
    """As of a chat: judged, then read."""
    return clean(judged(Request((Message("user", "q"),), max_tokens=200), Answer(text, finish=finish)))


@pytest.mark.parametrize(
    "said",
    [
        "[THINK]It may be verbs.\n\nHm.[/THINK]\n\nwords for rain",
        "◁think▷verbs?◁/think▷words for rain",
        "<seed:think>verbs?</seed:think>words for rain",
        "<|START_THINKING|>verbs<|END_THINKING|><|START_RESPONSE|>words for rain<|END_RESPONSE|>",
        "<think>v</think><answer>words for rain</answer>",
        "**Explanation**\n\nwords for rain",
        "**Explanation:** words for rain",
        "**Explanation**: words for rain",
        "### Explanation: words for rain",
        "Sure! Here is the explanation:\n\nwords for rain",
        "Sure! words for rain",
        "Certainly! Here's a concise explanation: words for rain",
        '"words for rain"',
        "- words for rain\n- words for snow",
        "1. words for rain",
        '{"explanation": "words for rain"}',
        '{"answer": "words for rain", "confidence": 0.9}',
        '["words for rain"]',
        "{'explanation': 'words for rain'}",
        "```\nwords for rain\n```",
        "```markdown\nwords for rain\n```",
        "Here is the explanation:\n\n```text\nwords for rain\n```",
        "The answer is \\boxed{\\text{words for rain}}",
        "$\\boxed{words for rain}$",
        "words for rain</s>",
        "words for rain<|im_end|>",
        "words for rain<|eot_id|><|start_header_id|>user",
        "assistant\nwords for rain",
        "Assistant: words for rain",
        "Explanation:\nwords for rain",
        "Let me think. It could be verbs.\nFinal answer: words for rain",
        "Erklärung: words for rain",
        "解释：words for rain",
        "Okay, let me look at this.\nThe tokens are about weather.\n\n**Final Explanation:** words for rain.",
        "The unit is active at words for rain.",
        "words for rain\n\nExplanation: These tokens are about weather.",
        "Explanation 1: words for rain\nExplanation 2: dogs",
        "Let me think. These are weather words. Final answer: words for rain",
        "Here is my thought process:\nverbs?\n\nHere is my response:\n\nwords for rain",
        "analysisWe need to find. assistantfinalwords for rain",
        '{"explanation": "words for rain"}\n\nThis is because...',
        "<|channel|>commentary<|message|>x<|end|><|channel|>final<|message|>words for rain<|return|>",
        "> words for rain",
        "*words for rain*",
        "**words for rain**",
        "__words for rain__",
        "`words for rain`",
        "## words for rain",
        "<explanation>words for rain</explanation>",
        "It may be verbs.\nNo.\n<answer>words for rain</answer>",
        "Hmm, verbs?\nNo, weather.\nFinal: words for rain",
        "Sure.\n<think>\nverbs\n</think>\nwords for rain",
        "Answer： words for rain",
        '{"result": {"explanation": "words for rain"}}',
        '[{"explanation": "words for rain"}]',
        "~~~\nwords for rain\n~~~",
        "'words for rain'",
        "The explanation is: words for rain",
        "My answer: words for rain",
        "---\nwords for rain\n---",
        "Unit 4 is active at words for rain",
    ],
)
def test_what_is_around_an_explanation_is_taken_off(said: str) -> None:
    assert cleaned(said) == (RIGHT, None)
    assert without_thoughts(without_thoughts(said)) == without_thoughts(said)


@pytest.mark.parametrize(
    "said",
    [
        "phrases of apology such as 'I am sorry'",
        "I cannot and other negated modals",
        "the answer to a question",
        "answers, explanations and summaries",
        "HTML tags such as <summary> or <answer>",
        "closing tags such as </think>",
        "the token <|endoftext|>",
        'JSON keys such as "answer"',
        "[square brackets] and {braces}",
        "{x} in format strings",
        "first words of a sentence",
        "so and therefore",
        "the final of a tournament",
        "Final Fantasy and other games",
        "“Explanation:” as a label",
        "sure, certainly and other assent",
        "code fences such as ```python",
        "here and there",
        "let me and let us",
        "I think and other hedges",
        "the word “I” before a verb",
        "the first person: I, me, my",
        "Okay as an answer",
        "# headings in Markdown",
        "the label “Answer:” in quizzes",
        "well-known names",
        "first names of people",
        "now and then",
        "Wait for it",
        "so the end",
        "the user interface",
        "names of states: Ohio, Texas",
        "C: drive paths",
        "results of sports matches",
        "</s> at the end of text",
        "</div> and other closing tags",
        "*args",
        "model: the key in configurations",
        "summary judgments in court",
        "assistant coaches",
        "content words",
        "the unit “km”",
        "Here is and similar openings",
    ],
)
def test_words_of_an_explanation_are_not_touched(said: str) -> None:
    assert cleaned(said) == (said, None)


@pytest.mark.parametrize(
    "said",
    [
        "I apologize, but I cannot assist with this request.",
        "I won't help with that.",
        "抱歉，我无法协助处理该请求。",
        "I'm sorry, but I can’t help with that.",
        "As an AI language model, I ...",
        "I'm unable to help with this.",
        "I am not able to provide an explanation.",
        "I’m not able to assist with that.",
        "Sorry, I can't do that.",
        "I must decline to answer.",
        "Unfortunately, I cannot determine the pattern.",
        "I do not have enough information to answer.",
        "There is not enough information to tell.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Ich kann diese Anfrage leider nicht bearbeiten.",
        "Leider kann ich das nicht beantworten.",
        "Je suis désolé, mais je ne peux pas répondre à cette demande.",
        "Désolée, je ne peux pas vous aider.",
        "Je ne peux pas répondre à cette demande.",
        "Lo siento, pero no puedo ayudar con eso.",
        "No puedo ayudarte con esa solicitud.",
        "Lamento no poder ayudar.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Извините, я не могу помочь с этим запросом.",
        "К сожалению, я не могу ответить.",
        "Я не могу помочь с этим.",
        "对不起，我不能回答这个问题。",
        "很抱歉，我无法提供帮助。",
        "我无法回答这个问题。",
        "申し訳ありませんが、そのリクエストにはお応えできません。",
        "申し訳ございませんが、お手伝いできません。",
        "そのご質問にはお答えできません。",
        "죄송하지만 도와드릴 수 없습니다.",
        "آسف، لا أستطيع المساعدة في ذلك.",
        "Przepraszam, ale nie mogę pomóc.",
        "Üzgünüm, bu konuda yardımcı olamam.",
        "This content is sensitive. I can't help with that.",
        "**I'm sorry**, but I can't comply with this request.",
        "I cannot fulfill this request.",
        "I can't help with that.",
        "I'm sorry, I can't assist with that.",
        "I'm afraid I can't help with that.",
        "\"I'm sorry, but I can't assist with that.\"",
        "My apologies, but I am unable to do so.",
        "I'm sorry.",
        "N/A",
        "No clear pattern.",
        "Your request was flagged.",
        "I don't feel comfortable answering this.",
        "I would rather not answer.",
        "I'm not comfortable with this request.",
        "I’m sorry, but this request violates our policy.",
        "I do not see any pattern in these records.",
        "It is not possible to determine what the unit does.",
        "Lo siento.",
    ],
)
def test_refusals_are_no_explanations(said: str) -> None:
    assert is_refusal(said)
    assert cleaned(said) == ("", "a refusal")


@pytest.mark.parametrize(
    "said",
    [
        "phrases of apology such as 'I am sorry'",
        "sorry, and other words of regret",
        "don't, can't and won't",
        "I cannot and other negated modals",
        "I'm sorry, excuse me and other apologies",
        '"I am sorry" and other apologies',
        "“I can't help you” in dialogue",
        "'I cannot' followed by a verb of helping",
        "words of regret, e.g. sorry",
        "refusals like \"I'm sorry, but I can't assist with that\"",
        "negated modal verbs: cannot, won't, couldn't",
        "apologies in customer-service mail",
        "抱歉、对不起等道歉词语",
        "“抱歉”之类的道歉",
        "I and other first-person pronouns",
        "“I'm sorry”",
        "no, none and other negations",
        "nothing, none or nobody",
        "None in Python code",
        "unknown authors",
        "as an example of",
        "unfortunately, sadly and other sentence adverbs",
        "lo siento y otras disculpas",
        "Sorry and thanks",
        "leider, schade und ähnliche Wörter",
        "words for rain",
        "sorrow and grief",
        "pardons granted by presidents",
        "perdón",
        "I can't, I won't: negated first-person verbs",
        "no information or context",
        "the request of a user",
        "impossible tasks",
        "text where the speaker says I cannot help",
        "i can't in song lyrics",
        'the word "sorry" after "I\'m so"',
        "n/a values in tables",
        "sorry, pardon, excuse me",
        "wildcards; none of the above",
    ],
)
def test_explanations_may_be_about_apologies_and_refusals(said: str) -> None:
    assert not is_refusal(said)
    assert cleaned(said)[1] is None


@pytest.mark.parametrize(
    ("said", "finish", "reason"),
    [
        ('```json\n{"error": "no"}\n```', "stop", "JSON without an explanation"),
        ('{"explanation": "words for', "length", "the answer was cut off at max_tokens"),
        ("Okay, so I need to find out.\nThe tokens are rain.", "stop", "the answer reasons and does not explain"),
        ("Okay, so I need to find out.\nThe tokens are", "length", "the answer was cut off at max_tokens"),
        ("<think>never ends", "stop", "the answer is empty"),
        ("<|channel|>analysis<|message|>Verbs?", "length", "the answer was cut off at max_tokens"),
        ('{"explanation": "I\'m sorry, but I cannot help with that."}', "stop", "a refusal"),
        ("Explanation: I cannot assist with this request.", "stop", "a refusal"),
        ("```\nI'm sorry, but I can't help with that.\n```", "stop", "a refusal"),
    ],
)
def test_an_answer_without_an_explanation_says_why(said: str, finish: str, reason: str) -> None:
    assert cleaned(said, finish) == ("", reason)


@pytest.mark.parametrize(
    "said",
    [
        "It rains a lot.\nSnow fell.",
        '["It rains a lot.", "Snow fell."]',
        '```json\n{"sentences": ["It rains a lot.", "Snow fell."]}\n```',
        "<think>Two?</think>Sure! Here are two sentences:\n\n1. It rains a lot.\n2. Snow fell.",
        "## Sentences\n- It rains a lot.\n- “Snow fell.”",
    ],
)
def test_sentences_are_read_out_of_what_is_around_them(said: str) -> None:
    found, reason = read_sentences(Answer(said), "active", 5)
    assert reason is None and [one.text for one in found] == ["It rains a lot.", "Snow fell."]


def test_a_sentence_may_be_about_a_refusal() -> None:
    lines = ["I'm sorry, I can't help you with that.", "He said no.", "She left at noon."]
    assert len(read_sentences(Answer("\n".join(lines)), "active", 5)[0]) == 3
    assert read_sentences(Answer(lines[0]), "active", 5) == ([], "a refusal")
