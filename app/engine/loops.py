"""Detects repetition loops in a streamed answer.

OCR of tables and diagrams sometimes repeats a line or a block without end, reproducibly on specific
pages (QwenLM/Qwen3-VL issue 1611, ollama issues 11452, 16216). A repetition penalty does not help,
because it breaks text that does repeat. A loop is therefore only what no page contains: an
identical block, many times and over a long stretch.
"""

LEAST_BLOCK = 20  # characters; several shorter blocks count as one
LEAST_TIMES = 8
# Characters. Sixty empty rows of a form are 1,200 to 1,800 characters of genuine repetition.
LEAST_STRETCH = 2400
LONGEST_BLOCK = 2000
LOOK_EVERY = 64  # characters


class LoopGuard:
    """Detects a loop in an answer that arrives in pieces. It keeps only the end of the answer."""

    def __init__(self) -> None:
        self._tail = ""
        self._unseen = 0

    def feed(self, text: str) -> int:
        """Add a piece. Returns the number of repeated characters at the end of the answer (all
        occurrences of the block but the first); 0 without a loop."""
        self._tail = (self._tail + text)[-LONGEST_BLOCK * LEAST_TIMES :]
        self._unseen += len(text)
        if self._unseen < LOOK_EVERY:
            return 0
        self._unseen = 0
        block = self._block()
        return self._surplus(block) if block else 0

    def _surplus(self, block: int) -> int:
        """The characters after the first occurrence, which is kept to the end of its line."""
        surplus = self._stretch(block) - block
        again = self._tail[-surplus : len(self._tail) - surplus + block]
        if "\n" in again and not self._tail[: len(self._tail) - surplus].endswith("\n"):
            surplus -= again.index("\n") + 1
        return surplus

    def _block(self) -> int:
        """The length of the block that repeats at the end of the answer; 0 without one."""
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
        """The characters at the end that repeat with period `block`, first occurrence included."""
        tail = self._tail
        same = 0
        limit = len(tail) - block
        while same < limit and tail[-1 - same] == tail[-1 - same - block]:
            same += 1
        return same + block
