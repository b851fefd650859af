"""Where a run goes on, in Lightning's counts of batches."""

from typing import Any


def begin_with_a_step(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Lets a run go on with the first batch of a step.

    The weights are those after the last whole step, so the batches after it come again; and the batches
    before it count as they would with the present accumulation.

    Args:
        checkpoint: The checkpoint; changed in place.
        accumulate: The batches of one step.
    """
    if "loops" not in checkpoint:  # of weights alone; Lightning says that nothing can go on from it
        return
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counts in (progress["total"], progress["current"]):
        before = counts["completed"]
        batches = before // checkpoint.get("accumulate", accumulate) * accumulate
        if batches != before:
            counts.update(dict.fromkeys(counts, batches))
