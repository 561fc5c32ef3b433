"""The text of each answer in a file of its own, beside what it was read from."""

import os
from pathlib import Path

from app.client.form import is_address


class Beside:
    """`scan.jpg` gets `scan.jpg.txt`: its whole name is kept, since `scan.png` may lie there, too.

    Args:
        ending: `txt` or `md`.
        force: whether a file that is there already may be replaced.
    """

    def __init__(self, ending: str, force: bool) -> None:
        self._ending, self._force = ending, force

    def of(self, path: str) -> Path | None:
        """Where the text goes; None of an address, which has no place here."""
        return None if is_address(path) else Path(f"{path}.{self._ending}")

    def taken(self, path: str) -> Path | None:
        """The file that is in the way, where one is."""
        target = self.of(path)
        return target if target and not self._force and target.exists() else None

    def write(self, path: str, text: str) -> None:
        """Whole or not at all.

        Raises:
            FileExistsError: one is there, and may not be replaced.
            OSError: it cannot be written.
        """
        target = self.of(path)
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
