"""Facts in words: one sentence a fact, each claim with its score."""

from collections.abc import Iterable, Sequence

from app.embedded.answers.messages import KOREAN, Phrases
from app.embedded.vision import image_classifier as classifier
from app.embedded.vision import object_detector as detector
from app.embedded.vision.colours import Colour
from app.embedded.vision.image_classifier import Guess
from app.embedded.vision.image_facts import Facts
from app.embedded.vision.labels import spoken
from app.embedded.vision.object_detector import Thing

DARK, BRIGHT = 0.3, 0.7
BLURRED = 0.15  # sharpness; photos have 0.24 and more, blurred over 3 pixels 0.12 and less
MOST_COLOURS = 5
MOST_UNSURE = 4


def description(facts: Facts, phrases: Phrases) -> str:
    """All but the text."""
    parts = [sort(facts, phrases), light(facts, phrases), colours(facts, phrases)]
    if facts.verdict.photographic and facts.measures.sharpness < BLURRED:
        parts.append(sharpness(facts, phrases))
    if facts.table:
        rows, columns = facts.table
        parts.append(phrases.table.format(rows=rows, columns=columns))
    parts += [*things(facts, phrases), *codes(facts, phrases)]
    return " ".join(parts)


def brief(facts: Facts, phrases: Phrases) -> str:
    """One or two sentences: the kind of picture, and what is claimed."""
    sure = claimed(facts, phrases)
    return " ".join([_kind(facts, phrases), *sure, *codes(facts, phrases)])


def sort(facts: Facts, phrases: Phrases) -> str:
    """What kind of picture it is, its orientation and size."""
    measures = facts.measures
    size = phrases.size.format(
        orientation=phrases.orientations[measures.orientation],
        width=measures.width,
        height=measures.height,
    )
    return f"{_kind(facts, phrases)[:-1]} ({size})."


def light(facts: Facts, phrases: Phrases) -> str:
    """How bright it is."""
    value = facts.measures.brightness
    return phrases.light[(value > DARK) + (value > BRIGHT)]


def sharpness(facts: Facts, phrases: Phrases) -> str:
    """Whether a photo has sharp edges."""
    return phrases.sharp[facts.measures.sharpness >= BLURRED].format(
        value=facts.measures.sharpness, threshold=BLURRED
    )


def colours(facts: Facts, phrases: Phrases) -> str:
    """The main colours with their shares."""
    return phrases.colours.format(colours=named(facts.colours, phrases))


def named(shades: Sequence[Colour], phrases: Phrases) -> str:
    """`brown 34%, black 13%`."""
    return ", ".join(
        f"{shade.korean if phrases is KOREAN else shade.english} {shade.share:.0%}"
        for shade in shades[:MOST_COLOURS]
    )


def codes(facts: Facts, phrases: Phrases) -> list[str]:
    """Each code and its content, quoted as it is."""
    return [
        phrases.code.format(kind=code.kind, content=f"“{code.content}”") for code in facts.codes
    ]


def things(facts: Facts, phrases: Phrases) -> list[str]:
    """What the networks claim, and what they only suspect."""
    if not facts.verdict.photographic:
        return []
    sentences = claimed(facts, phrases) or [phrases.nothing_sure]
    detected, classified = _sure(facts)
    claims: list[Thing | Guess] = [*detected, *classified]
    every: list[Thing | Guess] = [*facts.seen.things, *facts.seen.guesses]
    told = {one.label for one in claims}
    unsure = [one for one in every if one.label not in told][:MOST_UNSURE]
    if unsure:
        sentences.append(
            phrases.unsure.format(threshold=detector.CLAIMED, things=scored(unsure, phrases))
        )
    return sentences


def claimed(facts: Facts, phrases: Phrases) -> list[str]:
    """The sentences of what stands above the thresholds."""
    detected, classified = _sure(facts)
    sentences = []
    if detected:
        sentences.append(phrases.detector.format(things=scored(detected, phrases)))
    if classified:
        sentences.append(phrases.classifier.format(things=scored(classified, phrases)))
    return sentences


def _sure(facts: Facts) -> tuple[list[Thing], list[Guess]]:
    """What stands above the thresholds."""
    return (
        [thing for thing in facts.seen.things if thing.score >= detector.CLAIMED],
        [guess for guess in facts.seen.guesses if guess.score >= classifier.CLAIMED],
    )


def scored(seen: Sequence[Thing | Guess], phrases: Phrases) -> str:
    """`person 0.88, 0.71, cup 0.62`: each label once, with all its scores, cut down to two
    digits so that none is shown as more than it is."""
    labels = dict.fromkeys(one.label for one in seen)
    return ", ".join(
        f"{spoken(label, phrases is KOREAN)} {_scores(o.score for o in seen if o.label == label)}"
        for label in labels
    )


def _scores(scores: Iterable[float]) -> str:
    return ", ".join(f"{int(score * 100) / 100:.2f}" for score in scores)


def _kind(facts: Facts, phrases: Phrases) -> str:
    names = [phrases.kind_names[kind.name] for kind in facts.verdict.kinds]
    if len(names) == 1:
        return phrases.kind.format(kind=names[0])
    return phrases.kinds.format(first=names[0], second=names[1])
