"""Errors that say that memory is short, told from all others."""

import gc

import torch

SHORT = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What a RuntimeError says then: on accelerators, on a CPU under Linux and Windows, in libraries."""
KILLED = ("is killed by signal: Killed", "is killed by signal: Bus error")
"""What a loader says of a worker that the system has ended for want of memory, own or shared."""
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""What is said of a process that others wait for and that has ended."""
FAILED = "CUDA error"
"""What is said where an accelerator has failed."""


class OutOfMemory(RuntimeError):
    """Memory is short, and nothing more can be done about it here; the message says what to lower."""


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was short."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT)


def lost_worker(error: BaseException) -> bool:
    """Whether the system has ended a process that loads images, as it does where memory is short."""
    told = f"{error} {error.__cause__}"  # the loader may only say that a worker is gone
    return isinstance(error, RuntimeError) and any(words in told for words in KILLED)


def of_surroundings(error: BaseException) -> bool:
    """Whether an error is no fault of what was read: memory is short, or a process or device lost."""
    lost = isinstance(error, RuntimeError) and any(words in str(error) for words in (*GONE, FAILED))
    return lost or isinstance(error, OutOfMemory) or lacks_memory(error) or lost_worker(error)


def release(device: torch.device) -> None:
    """Gives back memory that is held for nothing."""
    gc.collect()
    empty = getattr(torch.get_device_module(device), "empty_cache", None)
    if empty is not None:
        empty()
