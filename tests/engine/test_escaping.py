"""A client's text stays plain text, and the model's output is returned unchanged."""

import re

from hypothesis import given
from hypothesis import strategies as st

from app.engine import escaping
from tests.fake_ollama.versions import CONTROL, TAG

SPECIALS = ["[img-0]", "[img]", "[img-12]", "<|image_pad|>", "<|im_end|>", "<__media__>",
            "<start_of_turn>", "</start_of_image>", "[", "<", "img", "|>", " "]  # fmt: skip
TEXTS = st.lists(st.sampled_from(SPECIALS) | st.text(max_size=8), max_size=12).map("".join)


@given(TEXTS)
def test_nothing_in_it_is_acted_upon_and_nothing_is_lost(text: str) -> None:
    escaped = escaping.escape(text)
    assert "[img" not in escaped
    assert not TAG.search(escaped) and not CONTROL.search(escaped)
    assert escaping.unescape(escaped) == escaping.unescape(text)
    assert escaping.is_escaped(escaped) or escaped == text


@given(TEXTS)
def test_ordinary_text_is_untouched(text: str) -> None:
    ordinary = re.sub(r"\[img|<", "", text)
    if "[img" not in ordinary:
        assert escaping.escape(ordinary) == ordinary


def test_pictures_have_their_places_where_the_daemon_takes_tags() -> None:
    assert escaping.tag_images("Same?", 2, 3) == "Image 3: [img]\nImage 4: [img]\nSame?"
    assert escaping.tag_images("What?", 1, 1) == "What?"
    assert escaping.tag_images("[img]", 0, 1) == f"[{escaping.WORD_JOINER}img]"
