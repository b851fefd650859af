"""A target with known faults, by which the harness itself is tried; it imports nothing slow."""

import os
from pathlib import Path
from typing import NamedTuple


class Toy(NamedTuple):
    """What a target has."""

    words: tuple[str, ...] = ("error", "hang", "crash", "grow", "run")

    @staticmethod
    def seeds() -> dict[str, bytes]:
        """Words, two of them bad."""
        return {"a.dat": b"error", "b.dat": b"hang", "c.json": b'{"name": "calm"}'}

    @staticmethod
    def attack(path: Path) -> bool:
        """Does what the file asks for, in one of several bad ways."""
        text = path.read_bytes()
        if b"error" in text:
            raise KeyError("error")
        if b"hang" in text:
            while True:
                pass
        if b"crash" in text:
            os.abort()
        if b"grow" in text:
            return len(b"x" * (600 * 2**20)) > 0
        if b"run" in text:
            os.system("true")
        return True


TARGETS = {"toy": Toy()}
