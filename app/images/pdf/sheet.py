"""One open page of a PDF, and what is on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.images.pdf.page_objects import Box, Objects
from app.images.pdf.visible_text import Frame


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page that is looked at.

    filled: what its annotations draw was put into it, so that its order is not the file's.
    checked: places of its check boxes that are set.
    """

    page: Any
    text_page: Any
    objects: Objects
    frame: Frame
    filled: bool
    checked: Sequence[Box] = ()

    @property
    def sideways(self) -> bool:
        """Whether most text may not be upright as the page is shown."""
        if self.frame.turns:
            return True
        boxes = self.objects.boxes
        tall = sum(box[3] - box[1] for box in boxes if _stands(box))
        return tall > 0 and tall > sum(box[2] - box[0] for box in boxes if not _stands(box))


def _stands(box: Box) -> bool:
    return box[3] - box[1] > 1.5 * (box[2] - box[0]) > 0
