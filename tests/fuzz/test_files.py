"""A short run of the fuzzer of files; a long one: `python -m tests.fuzz.files --seconds 3600`."""

import random

from tests.fuzz.files import changed, fuzz, seeds


async def test_changed_files_are_pictures_or_refusals() -> None:
    told, found = await fuzz(5, random.Random(3))
    print(dict(told))
    assert found == []
    assert sum(told.values()) > 0


def test_every_format_is_changed() -> None:
    chance = random.Random(1)
    assert all(changed(data, chance) for data in seeds().values())
    assert len(seeds()) >= 15
