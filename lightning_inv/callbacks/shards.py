"""Which tasks of an array are done."""

from pathlib import Path

from lightning_inv.data import Shard
from lightning_inv.files import atomic_write


def finish_shard(folder: Path, shard: Shard) -> int:
    """Notes that a shard is done; of as many shards, how many are not yet.

    Nobody reads the records of all for that. The last shard to end is told of none, perhaps not it alone.

    Args:
        folder: The folder of results.
        shard: The shard.
    """
    marks = folder / "shards"
    with atomic_write(marks / f"{shard.number}-of-{shard.count}"):
        pass
    return shard.count - len(list(marks.glob(f"*-of-{shard.count}")))
