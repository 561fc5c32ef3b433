"""How much a JSON Schema is once its references are followed.

Two kilobytes can hold ten references to a schema of ten references, twelve levels deep: no
validator comes to an end with that, and the server would stand still meanwhile.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

MOST = 10_000  # objects; a validator then takes some 50 ms at worst
DEEPEST = 200  # levels of objects and lists, through references; JSON writers end at 254
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
DEFINITIONS = ("$defs", "definitions")  # of the schema itself: they count where they are used


def check(schema: Any) -> None:
    """Refuse what is too much, and what points out of the schema.

    Raises:
        ValueError: with the reason. References are `#` or `#/...`, as engines take no others.
    """
    if _Walk(schema).objects(schema, 0) > MOST:
        raise ValueError(f"with its references followed it has more than {MOST} parts")


class _Walk:
    """Through one schema; what was counted once is not walked again."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._counts: dict[int, int] = {}  # by identity; 0 while it is being walked: a circle

    def objects(self, node: Any, depth: int) -> int:
        """The objects in a part, those behind its references included."""
        if not isinstance(node, dict | list):
            return 0
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        if id(node) not in self._counts:
            self._counts[id(node)] = 0
            inner = sum(self.objects(part, depth + 1) for part in self._parts(node))
            self._counts[id(node)] = inner + isinstance(node, dict)
        return self._counts[id(node)]

    def _parts(self, node: dict[str, Any] | list[Any]) -> Iterator[Any]:
        if isinstance(node, list):
            yield from node
            return
        told = DEFINITIONS if node is self._root else ()
        yield from (part for name, part in node.items() if name not in told)
        for name in REFERENCES:
            if isinstance(reference := node.get(name), str):
                yield self._target(reference)

    def _target(self, reference: str) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise ValueError(
                f"{reference[:80]} is elsewhere; write references as #/..., into the schema itself"
            )
        place = self._root
        for written in unquote(reference[1:]).split("/")[1:]:
            step = written.replace("~1", "/").replace("~0", "~")
            if isinstance(place, list):
                place = place[int(step)] if step.isdecimal() and int(step) < len(place) else None
            else:
                place = place.get(step) if isinstance(place, dict) else None
        return place
