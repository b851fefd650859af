"""Settings that are numbers: what a file may say of them is checked before any work."""

import math


def need_positive(owner: object, *names: str) -> None:
    """Raises ValueError unless these settings are positive and finite."""
    for name in names:
        if not 0 < (value := getattr(owner, name)) < math.inf:
            raise ValueError(f"{type(owner).__name__}.{name} must be positive and finite, got {value}.")


def need_nonnegative(owner: object, *names: str) -> None:
    """Raises ValueError unless these settings are numbers of at least 0, and finite."""
    for name in names:
        if not 0 <= (value := getattr(owner, name)) < math.inf:
            raise ValueError(f"{type(owner).__name__}.{name} must be at least 0 and finite, got {value}.")
