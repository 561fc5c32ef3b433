"""Sidecar files: the text of each answer in a file next to its input."""

import os
from pathlib import Path

from app.client.request_body import is_url


class Sidecars:
    """Writes `scan.jpg.txt` for `scan.jpg`. The suffix is kept because `scan.png` may exist, too.

    Args:
        extension: `txt` or `md`.
        force: overwrite existing files.
    """

    def __init__(self, extension: str, force: bool) -> None:
        self._extension, self._force = extension, force

    def path_for(self, path: str) -> Path | None:
        """The path of the sidecar; None for a URL, which has none."""
        return None if is_url(path) else Path(f"{path}.{self._extension}")

    def existing(self, path: str) -> Path | None:
        """The sidecar if it exists and must not be overwritten."""
        target = self.path_for(path)
        return target if target and not self._force and target.exists() else None

    def write(self, path: str, text: str) -> None:
        """Write the sidecar atomically. Does nothing for a URL.

        Raises:
            FileExistsError: it exists and must not be overwritten.
            OSError: it cannot be written.
        """
        target = self.path_for(path)
        if target is None:
            return
        draft = target.with_name(f".{target.name}.draft")
        draft.write_text(text if text.endswith("\n") or not text else f"{text}\n", encoding="utf-8")
        try:
            if self._force:
                draft.replace(target)
            else:
                os.link(draft, target)  # unlike a rename, this fails if the name exists
        except PermissionError:  # a file system without hard links, such as exFAT
            if target.exists():
                raise FileExistsError(target) from None
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
