"""The whole corpus through the running server, in front of the real daemon: no answer of 500."""

from collections import Counter

import httpx
import pytest

from tests.images.corpus import corpus
from tests.pictures import base64_of


def test_every_file_is_answered(client: httpx.Client) -> None:
    told: Counter[int] = Counter()
    cases = corpus()
    for case in cases:
        body = {"image": base64_of(case.data), "max_tokens": 1, "detail": "low"}
        response = client.post("/v1/describe", json=body)
        told[response.status_code] += 1
        if case.reference is not None:
            assert response.status_code == 200, f"{case.name}: {response.text}"
            assert response.json()["text"], case.name
        else:
            assert response.json()["code"] == case.code, case.name
    counts = ", ".join(f"{count} x {status}" for status, count in sorted(told.items()))
    print(f"{len(cases)} files through the server: {counts}")
    assert max(told) < 500


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.errors import UnsupportedImage  # noqa: PLC0415
    from app.images import formats  # noqa: PLC0415

    heic = next(case.data for case in corpus() if case.name == "HEIC")
    monkeypatch.setattr(formats, "HEIC_SUPPORTED", False)
    with pytest.raises(UnsupportedImage, match="pip install pillow-heif"):
        formats.check_heic(heic, "image[0]")
