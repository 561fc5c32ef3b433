"""Fuzz for a time: python -m tests.fuzz --seconds 600 [--target html]

Where atheris is installed it guides by coverage; it is no dependency of the project:

    pip install atheris && python -m tests.fuzz --guided --target html --seconds 600

What is found is printed in base64 for `tests/fuzz/found.py`.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from types import FunctionType

from tests.fuzz.oracle import Found, run
from tests.fuzz.targets import TARGETS, written

LONGEST = 200  # bytes of an input
KEPT = 400  # inputs that are changed into new ones


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--target", choices=TARGETS, action="append")
    asked.add_argument("--guided", action="store_true", help="by coverage, of one target")
    told = asked.parse_args()
    names = told.target or list(TARGETS)
    if told.guided:
        guided(names[0], told.seconds, told.seed)
        return
    for name in names:
        found, runs = fuzz(name, told.seconds / len(names), random.Random(told.seed))
        print(f"{name}: {runs} runs, {len(found)} found", flush=True)
        for data, why in found[:5]:
            print(f"    {why}\n    {written(data)}", flush=True)


def fuzz(name: str, seconds: float, chance: random.Random) -> tuple[list[tuple[bytes, str]], int]:
    """Inputs that were found, each with why, and how many were run. What costs much for its size
    is changed into more of it."""
    found: list[tuple[bytes, str]] = []
    dearest: list[tuple[float, bytes]] = []
    runs = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        data = chance.randbytes(chance.randint(1, LONGEST))
        if dearest and chance.random() < 0.7:
            data = changed(chance.choice(dearest)[1], chance)
        started = time.thread_time()
        try:
            run(TARGETS[name], data)
        except Found as why:
            found.append((data, str(why)))
        runs += 1
        dearest.append((time.thread_time() - started, data))
        if len(dearest) > KEPT:
            dearest.sort(key=lambda one: one[0], reverse=True)
            del dearest[KEPT // 2 :]
    return found, runs


def changed(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0:
                made[at:at] = chance.randbytes(chance.randint(1, 8))
            case 1:
                del made[at : at + chance.randint(1, 8)]
            case 2:
                made[at : at + 1] = chance.randbytes(1)
            case _:
                made[at:at] = made[at : at + chance.randint(1, 20)]
    return bytes(made[:LONGEST])


def own_functions() -> Iterator[FunctionType]:
    """Of the modules of `app` that were imported, methods included."""
    for name, module in list(sys.modules.items()):
        if name.startswith("app."):
            for thing in vars(module).values():
                inner = list(vars(thing).values()) if isinstance(thing, type) else []
                for one in (thing, *inner):
                    if isinstance(one, FunctionType) and one.__module__ == name:
                        yield one


def guided(name: str, seconds: float, seed: int) -> None:
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415

    def once(data: bytes) -> None:
        try:
            run(TARGETS[name], data)
        except Found as why:
            print(f"{name}: {why}\n    {written(data)}", flush=True)

    for function in own_functions():
        atheris.instrument_func(function)
    flags = [
        "-len_control=0",
        f"-max_total_time={int(seconds)}",
        f"-max_len={LONGEST}",
        f"-seed={seed + 1}",
    ]
    atheris.Setup([sys.argv[0], *flags, "-print_final_stats=1", "-timeout=60"], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
