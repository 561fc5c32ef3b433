"""Detects repetition loops in a streamed answer.

OCR of tables and diagrams sometimes repeats a line or a block without end, reproducibly on specific
pages (QwenLM/Qwen3-VL issue 1611, ollama issues 11452, 16216). A repetition penalty does not help,
because it breaks text that does repeat. A loop is therefore only what no page contains: an
identical block, many times and over a long stretch.
"""

MIN_BLOCK = 20  # characters; several shorter blocks count as one
MIN_REPEATS = 8
# Characters. Sixty empty rows of a form are 1,200 to 1,800 characters of genuine repetition.
MIN_LENGTH = 2400
MAX_BLOCK = 2000
CHECK_INTERVAL = 64  # characters


class RepetitionDetector:
    """Detects a loop in an answer that arrives in pieces. It keeps only the end of the answer."""

    def __init__(self) -> None:
        self._tail = ""
        self._unchecked = 0

    def feed(self, text: str) -> int:
        """Add a piece. Returns the number of repeated characters at the end of the answer (all
        occurrences of the block but the first); 0 without a loop."""
        self._tail = (self._tail + text)[-MAX_BLOCK * MIN_REPEATS :]
        self._unchecked += len(text)
        if self._unchecked < CHECK_INTERVAL:
            return 0
        self._unchecked = 0
        block = self._repeated_block()
        return self._surplus(block) if block else 0

    def _surplus(self, block: int) -> int:
        """The characters after the first occurrence, which is kept to the end of its line."""
        surplus = self._repeated_length(block) - block
        again = self._tail[-surplus : len(self._tail) - surplus + block]
        if "\n" in again and not self._tail[: len(self._tail) - surplus].endswith("\n"):
            surplus -= again.index("\n") + 1
        return surplus

    def _repeated_block(self) -> int:
        """The length of the block that repeats at the end of the answer; 0 without one."""
        tail, end = self._tail, len(self._tail)
        last = tail[-MIN_BLOCK:]
        at = end - MIN_BLOCK
        while (at := tail.rfind(last, 0, at + MIN_BLOCK - 1)) >= 0:
            block = end - MIN_BLOCK - at
            if block * MIN_REPEATS > end:
                return 0
            if block >= MIN_BLOCK:
                same = max(block * MIN_REPEATS, MIN_LENGTH) - block
                if end >= same + block and tail.endswith(tail[-same - block : -block]):
                    return block
        return 0

    def _repeated_length(self, block: int) -> int:
        """The characters at the end that repeat with period `block`, first occurrence included."""
        tail = self._tail
        same = 0
        limit = len(tail) - block
        while same < limit and tail[-1 - same] == tail[-1 - same - block]:
            same += 1
        return same + block
