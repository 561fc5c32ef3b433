"""Questions that facts answer: codes, counts, presence, colours, kind. Nothing is guessed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.embedded.answers import render as saying
from app.embedded.answers.messages import KOREAN, Phrases
from app.embedded.vision import image_classifier as classifier
from app.embedded.vision import object_detector as detector
from app.embedded.vision.colours import Colour, colours
from app.embedded.vision.image_classifier import Guess
from app.embedded.vision.image_facts import Facts
from app.embedded.vision.labels import COCO, labels_in, spoken, without
from app.embedded.vision.object_detector import Thing

CODE = re.compile(r"\b(?:qr|bar\s?-?code|data\s?matrix)|the code\b|큐알|바코드|코드에|QR", re.I)
COUNT = re.compile(r"\bhow many\b|\bnumber of\b|\bcount\b|몇|개수", re.I)
LINES = re.compile(r"\blines?\b|몇\s*줄", re.I)
COLOUR = re.compile(r"\bcolou?rs?\b|색", re.I)
PRESENT = re.compile(r"\bthere\b|\bshow|\bcontain|\bhave\b|\bsee\b|있|보이|보여|나오", re.I)
KIND = re.compile(
    r"\b(?:kind|type|sort) of (?:image|picture|photo|document|file)\b"
    r"|\bis (?:this|it) an? (?:photo|photograph|screenshot|document|chart|receipt|scan)\b"
    r"|(?:어떤|무슨)\s*(?:종류|이미지|그림|사진|문서)|종류",
    re.I,
)
WHAT = re.compile(r"\bwhat(?:'s)?\b|무엇|뭐|뭔|무슨|어떤", re.I)
BLUR = re.compile(r"\b(?:blurr?y|blurred|sharp|focus)\b|흐릿|흐린|선명|초점", re.I)
LIGHT = re.compile(r"\b(?:dark|bright|brightness)\b|어두|밝", re.I)
SIZE = re.compile(
    r"\b(?:how (?:big|large|wide)|resolution|dimensions|orientation|landscape|portrait)\b"
    r"|해상도|크기|방향",
    re.I,
)
# Words that ask for nothing beyond what the patterns above stand for. A question with any other
# word ("how many people wear hats", "왜 웃고 있나요") asks for more than these facts hold.
PLAIN = re.compile(
    r"what|whats|is|are|was|there|any|an?|the|this|that|it|its|in|of|do|does|you|can|we|see"
    r"|how|many|much|number|count|colou?rs?|main|dominant|background|overall|mostly|which|or"
    r"|images?|pictures?|photos?|photographs?|shown?|shows?|contains?|have|has|visible|main"
    r"|subjects?|objects?|things?|animals?|vehicles?|seen|please|tell|me|about|s|no|here|be"
    r"|big|large|wide|size|resolution|dimensions|orientation|landscape|portrait|blurr?y|blurred"
    r"|sharp|focus|dark|bright|brightness|detected|lines?|text|read"
    r"|(?:이|그|저|이건|이것은?|이게|그게|여기|사진|그림|이미지|배경|화면|속|안|주요|주로|전체|무슨|어떤|어느|몇|명|마리"
    r"|개|대|장|줄|동물|사물|물체|색|색깔|색상|무엇|뭐|뭔|뭔가|어때|개수|수|해상도|크기|방향|글자|글)"
    r"(?:이|가|은|는|을|를|의|에|에는|에서|도|으로|로)?(?:인가요|예요|이에요|야|이야|입니까|죠|나요|지)?"
    r"|(?:있|보이|보여|나오|흐릿|흐린|선명|어두|밝|얼마)\S*|인가요|무엇인가요|뭐가|뭐예요|되나요|나요|초점\S*",
    re.I,
)
TOKEN = re.compile(r"[A-Za-z]+|[가-힣]+")
CENTRE = 0.6  # of a box's sides; its rim is mostly what lies behind


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and what it rests on."""

    text: str
    basis: str


def reply(question: str, facts: Facts, lines: Sequence[str], phrases: Phrases) -> Reply | None:
    """The answer that the facts of one picture give; None where they give none."""
    if CODE.search(question):
        if not facts.codes:
            return Reply(phrases.no_code, "")
        return Reply("\n".join(saying.codes(facts, phrases)), phrases.basis_code)
    if KIND.search(question):
        return Reply(saying.sort(facts, phrases), phrases.basis_measured)
    labels = labels_in(question, COCO | {guess.label for guess in facts.seen.guesses})
    if not all(map(PLAIN.fullmatch, TOKEN.findall(without(question, labels)))):
        return None
    if labels:
        return _of_things(question, labels, facts, phrases)
    return _of_picture(question, facts, lines, phrases)


def _of_things(
    question: str, labels: Sequence[str], facts: Facts, phrases: Phrases
) -> Reply | None:
    if COUNT.search(question):
        return _count(labels, facts, phrases)
    if COLOUR.search(question):
        return _colour(labels, facts, phrases)
    return _present(labels, facts, phrases) if PRESENT.search(question) else None


def _of_picture(
    question: str, facts: Facts, lines: Sequence[str], phrases: Phrases
) -> Reply | None:
    if COUNT.search(question):
        counted = phrases.lines.format(count=len(lines))
        return Reply(counted, "") if LINES.search(question) else None
    measured = ((COLOUR, saying.colours), (BLUR, saying.sharpness), (LIGHT, saying.light))
    for asked, said in (*measured, (SIZE, saying.sort)):
        if asked.search(question):
            return Reply(said(facts, phrases), phrases.basis_measured)
    return _what(facts, phrases) if WHAT.search(question) else None


def _sure(label: str, facts: Facts) -> list[Thing]:
    return [
        thing
        for thing in facts.seen.things
        if thing.label == label and thing.score >= detector.CLAIMED
    ]


def _suspected(labels: Sequence[str], facts: Facts) -> list[Thing | Guess]:
    every: list[Thing | Guess] = [*facts.seen.things, *facts.seen.guesses]
    return [one for one in every if one.label in labels]


def _count(labels: Sequence[str], facts: Facts, phrases: Phrases) -> Reply | None:
    """How many the detector claims of what it can count."""
    labels = [label for label in labels if label in COCO]
    if not labels or not facts.verdict.photographic:
        return None
    found = [thing for label in labels for thing in _sure(label, facts)]
    if not found:
        return _unsure(labels, facts, phrases)
    korean = phrases is KOREAN
    counts = [
        phrases.count.format(count=len(_sure(label, facts)), label=spoken(label, korean))
        for label in labels
    ]
    basis = phrases.basis_detector.format(things=saying.scored(found, phrases))
    return Reply(", ".join(counts), basis)


def _present(labels: Sequence[str], facts: Facts, phrases: Phrases) -> Reply | None:
    if not facts.verdict.photographic:
        return None
    found = [thing for label in labels for thing in _sure(label, facts)]
    if found:
        said = saying.scored(found, phrases)
        return Reply(phrases.yes.format(things=said), phrases.basis_detector.format(things=said))
    guessed = [
        guess
        for guess in facts.seen.guesses
        if guess.label in labels and guess.score >= classifier.CLAIMED
    ]
    if guessed:
        said = saying.scored(guessed, phrases)
        return Reply(phrases.yes.format(things=said), phrases.basis_classifier.format(things=said))
    return _unsure(labels, facts, phrases)


def _unsure(labels: Sequence[str], facts: Facts, phrases: Phrases) -> Reply:
    """Neither yes nor no: a small detector misses things."""
    named = ", ".join(spoken(label, phrases is KOREAN) for label in labels)
    below = _suspected(labels, facts)
    basis = ""
    if below:
        basis = phrases.basis_detector_unsure.format(
            threshold=detector.CLAIMED, things=saying.scored(below, phrases)
        )
    return Reply(phrases.not_sure_of.format(label=named), basis)


def _colour(labels: Sequence[str], facts: Facts, phrases: Phrases) -> Reply | None:
    """The colours of one thing that was surely detected, inside its box."""
    found = [thing for label in labels for thing in _sure(label, facts)]
    if len(found) != 1:
        return None
    inside = _inside(found[0], facts)
    basis = phrases.basis_box.format(things=saying.scored(found, phrases))
    return Reply(saying.named(inside, phrases), basis) if inside else None


def _inside(thing: Thing, facts: Facts) -> tuple[Colour, ...]:
    left, top, right, bottom = thing.box
    rim_x, rim_y = (right - left) * (1 - CENTRE) / 2, (bottom - top) * (1 - CENTRE) / 2
    rows = slice(round(top + rim_y), round(bottom - rim_y))
    columns = slice(round(left + rim_x), round(right - rim_x))
    middle = facts.picture.pixels[rows, columns]
    return colours(middle) if middle.size else ()


def _what(facts: Facts, phrases: Phrases) -> Reply | None:
    """What is claimed of the picture; None where that is nothing."""
    sure = saying.claimed(facts, phrases)
    if not sure:
        return None
    return Reply(" ".join(sure), phrases.limits)
