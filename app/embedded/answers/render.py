"""Renders facts as sentences, one for each fact. Predictions have their scores."""

from collections.abc import Sequence

from app.embedded.answers.messages import KOREAN, Messages
from app.embedded.vision.colours import NamedColour
from app.embedded.vision.image_classifier import Classification
from app.embedded.vision.image_facts import ImageFacts
from app.embedded.vision.labels import display_name
from app.embedded.vision.object_detector import CONFIDENCE_THRESHOLD, Detection

DARK, BRIGHT = 0.3, 0.7
BLUR_THRESHOLD = 0.15  # sharpness; photos: 0.24 and more, with a blur of 3 pixels: up to 0.12
MAX_COLOURS = 5
MAX_BELOW_THRESHOLD = 4


def render_description(facts: ImageFacts, messages: Messages) -> str:
    """Describes everything except the text."""
    parts = [
        render_image_type(facts, messages),
        render_brightness(facts, messages),
        render_colours(facts, messages),
    ]
    if facts.image_type.may_show_objects and facts.stats.sharpness < BLUR_THRESHOLD:
        parts.append(render_sharpness(facts, messages))
    if facts.table_size:
        rows, columns = facts.table_size
        parts.append(messages.table.format(rows=rows, columns=columns))
    parts += [*render_objects(facts, messages), *render_barcodes(facts, messages)]
    return " ".join(parts)


def render_caption(facts: ImageFacts, messages: Messages) -> str:
    """One or two sentences: the image type, confident predictions and barcodes."""
    confident = render_confident(facts, messages)
    return " ".join([_image_type(facts, messages), *confident, *render_barcodes(facts, messages)])


def render_image_type(facts: ImageFacts, messages: Messages) -> str:
    """Image type, orientation and size."""
    stats = facts.stats
    size = messages.size.format(
        orientation=messages.orientations[stats.orientation],
        width=stats.width,
        height=stats.height,
    )
    return f"{_image_type(facts, messages)[:-1]} ({size})."


def render_brightness(facts: ImageFacts, messages: Messages) -> str:
    """Dark, medium or bright."""
    value = facts.stats.brightness
    return messages.brightness[(value > DARK) + (value > BRIGHT)]


def render_sharpness(facts: ImageFacts, messages: Messages) -> str:
    """Whether the image has sharp edges."""
    return messages.sharpness[facts.stats.sharpness >= BLUR_THRESHOLD].format(
        value=facts.stats.sharpness, threshold=BLUR_THRESHOLD
    )


def render_colours(facts: ImageFacts, messages: Messages) -> str:
    """The dominant colours with their shares."""
    return messages.colours.format(colours=format_colours(facts.colours, messages))


def format_colours(colours: Sequence[NamedColour], messages: Messages) -> str:
    """`brown 34%, black 13%`."""
    return ", ".join(
        f"{colour.korean if messages is KOREAN else colour.english} {colour.share:.0%}"
        for colour in colours[:MAX_COLOURS]
    )


def render_barcodes(facts: ImageFacts, messages: Messages) -> list[str]:
    """One sentence for each barcode, with its content in quotes."""
    return [
        messages.barcode.format(format=barcode.format, content=f"“{barcode.content}”")
        for barcode in facts.barcodes
    ]


def render_objects(facts: ImageFacts, messages: Messages) -> list[str]:
    """Confident predictions, then uncertain ones."""
    if not facts.image_type.may_show_objects:
        return []
    sentences = render_confident(facts, messages) or [messages.nothing_confident]
    confident_labels = {one.label for one in facts.predictions.all if one.is_confident}
    uncertain = [one for one in facts.predictions.all if one.label not in confident_labels]
    if uncertain:
        scores = format_scores(uncertain[:MAX_BELOW_THRESHOLD], messages)
        sentences.append(
            messages.below_threshold.format(threshold=CONFIDENCE_THRESHOLD, scores=scores)
        )
    return sentences


def render_confident(facts: ImageFacts, messages: Messages) -> list[str]:
    """Predictions above the thresholds."""
    sentences = []
    if detected := [one for one in facts.predictions.detections if one.is_confident]:
        sentences.append(messages.detections.format(scores=format_scores(detected, messages)))
    if classified := [one for one in facts.predictions.classifications if one.is_confident]:
        scores = format_scores(classified, messages)
        sentences.append(messages.classifications.format(scores=scores))
    return sentences


def format_scores(predictions: Sequence[Detection | Classification], messages: Messages) -> str:
    """`person 0.88, 0.71, cup 0.62`: each label once, with all its scores.

    Scores are truncated, not rounded, so that none is shown higher than it is.
    """
    labels = dict.fromkeys(one.label for one in predictions)
    parts = []
    for label in labels:
        scores = (f"{int(o.score * 100) / 100:.2f}" for o in predictions if o.label == label)
        parts.append(f"{display_name(label, messages is KOREAN)} {', '.join(scores)}")
    return ", ".join(parts)


def _image_type(facts: ImageFacts, messages: Messages) -> str:
    names = [
        messages.image_type_names[image_type.name] for image_type in facts.image_type.candidates
    ]
    if len(names) == 1:
        return messages.image_type.format(image_type=names[0])
    return messages.image_types.format(first=names[0], second=names[1])
