"""What a form's fields become."""

import pytest

from app.routes.body import _decode_form, _parse_form_items
from app.schemas import VqaRequest

PARTS = (
    b'--edge\r\nContent-Disposition: form-data; name="question"\r\n\r\none\r\ntwo\rthree\nfour\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n\r\n\r\n\r\n'
    b"--edge--\r\n"
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PARTS, "multipart/form-data; boundary=edge"),
        (b"question=one%0D%0Atwo%0Dthree%0Afour", "application/x-www-form-urlencoded"),
    ],
)
async def test_line_breaks_are_those_of_json(body: bytes, kind: str) -> None:
    """A browser sends CR LF for what a user wrote as one line break, curl sends what it is given:
    the model, and what is kept, must not see a difference. Files stay as they are."""
    form = _parse_form_items(await _decode_form(body, kind), VqaRequest)
    assert form.fields == {"question": ["one\ntwo\nthree\nfour"]}
    assert form.images in ([], [b"\r\n\r\n"])
