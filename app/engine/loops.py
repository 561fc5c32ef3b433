"""Tells when a model says the same over and over.

OCR of tables and diagrams sometimes repeats a line or a block for ever, on specific pages, again
and again (QwenLM/Qwen3-VL issue 1611, ollama issues 11452, 16216). A repetition penalty is no cure:
it breaks text that really repeats. So a loop is only what no page holds: the same block, to the
letter, many times and over a long stretch.
"""

LEAST_BLOCK = 20  # characters; shorter blocks are seen as several in one
LEAST_TIMES = 8
# Sixty empty rows of a form are 1,200 to 1,800 characters that really repeat.
LEAST_STRETCH = 2400
LONGEST_BLOCK = 2000
LOOK_EVERY = 64  # characters


class LoopGuard:
    """Fed with an answer as it comes; remembers the end of it."""

    def __init__(self) -> None:
        self._tail = ""
        self._unseen = 0

    def feed(self, text: str) -> int:
        """The characters at the end of the answer that are nothing but repetition (all times but
        the first); 0 while there is no loop."""
        self._tail = (self._tail + text)[-LONGEST_BLOCK * LEAST_TIMES :]
        self._unseen += len(text)
        if self._unseen < LOOK_EVERY:
            return 0
        self._unseen = 0
        block = self._block()
        return self._surplus(block) if block else 0

    def _surplus(self, block: int) -> int:
        """What is behind the first time; a block of lines is kept up to the end of a line."""
        surplus = self._stretch(block) - block
        again = self._tail[-surplus : len(self._tail) - surplus + block]
        if "\n" in again and not self._tail[: len(self._tail) - surplus].endswith("\n"):
            surplus -= again.index("\n") + 1
        return surplus

    def _block(self) -> int:
        """The length of the block that the answer ends with, over and over; 0 for none."""
        tail, end = self._tail, len(self._tail)
        last = tail[-LEAST_BLOCK:]
        at = end - LEAST_BLOCK
        while (at := tail.rfind(last, 0, at + LEAST_BLOCK - 1)) >= 0:
            block = end - LEAST_BLOCK - at
            if block * LEAST_TIMES > end:
                return 0
            if block >= LEAST_BLOCK:
                same = max(block * LEAST_TIMES, LEAST_STRETCH) - block
                if end >= same + block and tail.endswith(tail[-same - block : -block]):
                    return block
        return 0

    def _stretch(self, block: int) -> int:
        """How many characters at the end are equal to those a block before them, and one block."""
        tail = self._tail
        same = 0
        limit = len(tail) - block
        while same < limit and tail[-1 - same] == tail[-1 - same - block]:
            same += 1
        return same + block
