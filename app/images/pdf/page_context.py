"""One open page of a PDF and its objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.images.pdf.page_objects import Box, PageObjects
from app.images.pdf.visible_text import PageFrame


@dataclass(frozen=True, slots=True)
class PageContext:
    """A page whose text layer is judged.

    annotations_flattened: the order of its text is then not that of the file.
    checked_boxes: boxes of its checked check boxes (left, bottom, right, top in points).
    """

    page: Any
    text_page: Any
    objects: PageObjects
    frame: PageFrame
    annotations_flattened: bool
    checked_boxes: Sequence[Box] = ()

    @property
    def sideways(self) -> bool:
        """Whether most text may be rotated as the page is shown."""
        if self.frame.turns:
            return True
        boxes = self.objects.boxes
        tall = sum(box[3] - box[1] for box in boxes if _stands(box))
        return tall > 0 and tall > sum(box[2] - box[0] for box in boxes if not _stands(box))


def _stands(box: Box) -> bool:
    return box[3] - box[1] > 1.5 * (box[2] - box[0]) > 0
