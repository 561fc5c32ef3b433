"""Coordinates of rotated pages. test_reader.py covers the detection of the rotation."""

import cv2
import numpy as np
import pytest

from app.embedded.ocr.page import Page


@pytest.mark.parametrize(
    ("rotation", "code"),
    [
        (0, None),
        (90, cv2.ROTATE_90_CLOCKWISE),
        (180, cv2.ROTATE_180),
        (270, cv2.ROTATE_90_COUNTERCLOCKWISE),
    ],
)
def test_points_in_the_input_image(rotation: int, code: int | None) -> None:
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[10:12, 50:54] = 255
    turned = image if code is None else np.asarray(cv2.rotate(image, code), dtype=np.uint8)
    rows, columns = np.nonzero(turned[:, :, 0])
    corners = np.array(
        [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]], dtype=float
    )
    found = Page(turned, (), rotation, has_text=True).to_input(corners)
    assert found.min(axis=0).tolist() == [50, 10]
    assert found.max(axis=0).tolist() == [54, 12]
