"""Words in place of tokens."""

import pytest

from app.embedded.api.tokens import split_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("Total  25,440원\n", ["Total", "  25", ",", "440원", "\n"]),
        ("한 줄\n\n둘", ["한", " 줄", "\n\n둘"]),
        ("  ", ["  "]),
    ],
)
def test_tokens_join_to_the_text(text: str, tokens: list[str]) -> None:
    assert list(split_tokens(text)) == tokens
    assert "".join(tokens) == text
