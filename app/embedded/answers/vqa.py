"""Answers questions about barcodes, counts, presence, colours and image type from facts alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.embedded.answers import render
from app.embedded.answers.messages import KOREAN, Messages
from app.embedded.vision.colours import NamedColour, dominant_colours
from app.embedded.vision.image_classifier import Classification
from app.embedded.vision.image_facts import ImageFacts
from app.embedded.vision.labels import COCO_LABELS, display_name, find_labels, remove_labels
from app.embedded.vision.object_detector import CONFIDENCE_THRESHOLD, Detection

ABOUT_BARCODE = re.compile(
    r"\b(?:qr|bar\s?-?code|data\s?matrix)|the code\b|큐알|바코드|코드에|QR", re.I
)
ABOUT_COUNT = re.compile(r"\bhow many\b|\bnumber of\b|\bcount\b|몇|개수", re.I)
ABOUT_LINES = re.compile(r"\blines?\b|몇\s*줄", re.I)
ABOUT_COLOUR = re.compile(r"\bcolou?rs?\b|색", re.I)
ABOUT_PRESENCE = re.compile(r"\bthere\b|\bshow|\bcontain|\bhave\b|\bsee\b|있|보이|보여|나오", re.I)
ABOUT_IMAGE_TYPE = re.compile(
    r"\b(?:kind|type|sort) of (?:image|picture|photo|document|file)\b"
    r"|\bis (?:this|it) an? (?:photo|photograph|screenshot|document|chart|receipt|scan)\b"
    r"|(?:어떤|무슨)\s*(?:종류|이미지|그림|사진|문서)|종류",
    re.I,
)
ABOUT_CONTENT = re.compile(r"\bwhat(?:'s)?\b|무엇|뭐|뭔|무슨|어떤", re.I)
ABOUT_SHARPNESS = re.compile(r"\b(?:blurr?y|blurred|sharp|focus)\b|흐릿|흐린|선명|초점", re.I)
ABOUT_BRIGHTNESS = re.compile(r"\b(?:dark|bright|brightness)\b|어두|밝", re.I)
ABOUT_SIZE = re.compile(
    r"\b(?:how (?:big|large|wide)|resolution|dimensions|orientation|landscape|portrait)\b"
    r"|해상도|크기|방향",
    re.I,
)
# Words of questions that the facts can answer. A question with any other word ("how many people
# wear hats", "왜 웃고 있나요") asks for more.
KNOWN_WORDS = re.compile(
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
WORD = re.compile(r"[A-Za-z]+|[가-힣]+")
CENTRE_SHARE = 0.6  # of a box's sides; its edges mostly show the background


@dataclass(frozen=True, slots=True)
class VqaAnswer:
    """An answer and its basis."""

    text: str
    basis: str


def answer_from_facts(
    question: str, facts: ImageFacts, lines: Sequence[str], messages: Messages
) -> VqaAnswer | None:
    """Answers from the facts of one image. None if they do not answer the question."""
    if ABOUT_BARCODE.search(question):
        if not facts.barcodes:
            return VqaAnswer(messages.no_barcode, "")
        return VqaAnswer("\n".join(render.render_barcodes(facts, messages)), messages.basis_barcode)
    if ABOUT_IMAGE_TYPE.search(question):
        return VqaAnswer(render.render_image_type(facts, messages), messages.basis_measured)
    labels = find_labels(
        question,
        COCO_LABELS
        | {classification.label for classification in facts.predictions.classifications},
    )
    if not all(map(KNOWN_WORDS.fullmatch, WORD.findall(remove_labels(question, labels)))):
        return None
    if labels:
        return _about_objects(question, labels, facts, messages)
    return _about_image(question, facts, lines, messages)


def _about_objects(
    question: str, labels: Sequence[str], facts: ImageFacts, messages: Messages
) -> VqaAnswer | None:
    if ABOUT_COUNT.search(question):
        return _answer_count(labels, facts, messages)
    if ABOUT_COLOUR.search(question):
        return _answer_colour(labels, facts, messages)
    return _answer_presence(labels, facts, messages) if ABOUT_PRESENCE.search(question) else None


def _about_image(
    question: str, facts: ImageFacts, lines: Sequence[str], messages: Messages
) -> VqaAnswer | None:
    if ABOUT_COUNT.search(question):
        counted = messages.line_count.format(count=len(lines))
        return VqaAnswer(counted, "") if ABOUT_LINES.search(question) else None
    measured = (
        (ABOUT_COLOUR, render.render_colours),
        (ABOUT_SHARPNESS, render.render_sharpness),
        (ABOUT_BRIGHTNESS, render.render_brightness),
    )
    for pattern, render_fact in (*measured, (ABOUT_SIZE, render.render_image_type)):
        if pattern.search(question):
            return VqaAnswer(render_fact(facts, messages), messages.basis_measured)
    return _answer_what(facts, messages) if ABOUT_CONTENT.search(question) else None


def _confident_detections(label: str, facts: ImageFacts) -> list[Detection]:
    return [
        detection
        for detection in facts.predictions.detections
        if detection.label == label and detection.is_confident
    ]


def _predictions_of(labels: Sequence[str], facts: ImageFacts) -> list[Detection | Classification]:
    return [one for one in facts.predictions.all if one.label in labels]


def _answer_count(labels: Sequence[str], facts: ImageFacts, messages: Messages) -> VqaAnswer | None:
    """The number of confident detections. None for labels that the detector does not know."""
    labels = [label for label in labels if label in COCO_LABELS]
    if not labels or not facts.image_type.may_show_objects:
        return None
    found = [detection for label in labels for detection in _confident_detections(label, facts)]
    if not found:
        return _answer_uncertain(labels, facts, messages)
    korean = messages is KOREAN
    counts = [
        messages.count.format(
            count=len(_confident_detections(label, facts)), label=display_name(label, korean)
        )
        for label in labels
    ]
    basis = messages.basis_detector.format(scores=render.format_scores(found, messages))
    return VqaAnswer(", ".join(counts), basis)


def _answer_presence(
    labels: Sequence[str], facts: ImageFacts, messages: Messages
) -> VqaAnswer | None:
    if not facts.image_type.may_show_objects:
        return None
    found = [detection for label in labels for detection in _confident_detections(label, facts)]
    if found:
        scores = render.format_scores(found, messages)
        return VqaAnswer(
            messages.present.format(scores=scores), messages.basis_detector.format(scores=scores)
        )
    classified = [
        classification
        for classification in facts.predictions.classifications
        if classification.label in labels and classification.is_confident
    ]
    if classified:
        scores = render.format_scores(classified, messages)
        return VqaAnswer(
            messages.present.format(scores=scores), messages.basis_classifier.format(scores=scores)
        )
    return _answer_uncertain(labels, facts, messages)


def _answer_uncertain(labels: Sequence[str], facts: ImageFacts, messages: Messages) -> VqaAnswer:
    """Neither yes nor no, because a small detector misses objects."""
    names = ", ".join(display_name(label, messages is KOREAN) for label in labels)
    below = _predictions_of(labels, facts)
    basis = ""
    if below:
        basis = messages.basis_detector_unsure.format(
            threshold=CONFIDENCE_THRESHOLD, scores=render.format_scores(below, messages)
        )
    return VqaAnswer(messages.uncertain.format(label=names), basis)


def _answer_colour(
    labels: Sequence[str], facts: ImageFacts, messages: Messages
) -> VqaAnswer | None:
    """The colours inside the box of a single confident detection."""
    found = [detection for label in labels for detection in _confident_detections(label, facts)]
    if len(found) != 1:
        return None
    inside = _colours_inside(found[0], facts)
    basis = messages.basis_box.format(scores=render.format_scores(found, messages))
    return VqaAnswer(render.format_colours(inside, messages), basis) if inside else None


def _colours_inside(detection: Detection, facts: ImageFacts) -> tuple[NamedColour, ...]:
    left, top, right, bottom = detection.box
    rim_x, rim_y = (right - left) * (1 - CENTRE_SHARE) / 2, (bottom - top) * (1 - CENTRE_SHARE) / 2
    rows = slice(round(top + rim_y), round(bottom - rim_y))
    columns = slice(round(left + rim_x), round(right - rim_x))
    middle = facts.picture.pixels[rows, columns]
    return dominant_colours(middle) if middle.size else ()


def _answer_what(facts: ImageFacts, messages: Messages) -> VqaAnswer | None:
    """All confident predictions. None if there are none."""
    confident = render.render_confident(facts, messages)
    if not confident:
        return None
    return VqaAnswer(" ".join(confident), messages.disclaimer)
