"""The text of each answer in a file of its own, beside what it was read from."""

import os
from pathlib import Path

from app.client.request_body import is_url


class Sidecars:
    """`scan.jpg` gets `scan.jpg.txt`: its whole name is kept, since `scan.png` may lie there, too.

    Args:
        ending: `txt` or `md`.
        force: whether a file that is there already may be replaced.
    """

    def __init__(self, extension: str, force: bool) -> None:
        self._extension, self._force = extension, force

    def path_for(self, path: str) -> Path | None:
        """Where the text goes; None of an address, which has no place here."""
        return None if is_url(path) else Path(f"{path}.{self._extension}")

    def existing(self, path: str) -> Path | None:
        """The file that is in the way, where one is."""
        target = self.path_for(path)
        return target if target and not self._force and target.exists() else None

    def write(self, path: str, text: str) -> None:
        """Whole or not at all.

        Raises:
            FileExistsError: one is there, and may not be replaced.
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
                os.link(draft, target)  # unlike a rename, it fails where the name is taken
        except PermissionError:  # a file system without links, such as exFAT
            if target.exists():
                raise FileExistsError(target) from None
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
