"""Tries an operator: ``python -m lightning_inv.check --operator my_file.MyOperator --shape [3,64,64]``."""

import sys

from jsonargparse import ArgumentParser

from lightning_inv.operators import Operator, check_operator
from lightning_inv.trusted import check_classes, trust, trusted_by


def main(args: list[str] | None = None) -> int:
    """Prints each law that an operator obeys, or which it breaks; returns the exit code."""
    sys.path.append("")  # operators of yours lie where you are
    parser = ArgumentParser(
        prog="python -m lightning_inv.check",
        description="Tries the laws of operators.",
        parser_mode="omegaconf+",
    )
    parser.add_subclass_arguments(Operator, "operator", required=True)
    parser.add_argument("--shape", type=list[int], default=[3, 32, 32], help="the images' shape [C, H, W]")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="the largest relative error allowed")
    trust(trusted := trusted_by(sys.argv[1:] if args is None else args))
    config = parser.parse_args(args)
    try:
        check_classes(config, trusted)
        operator = parser.instantiate_classes(config).operator
        laws = check_operator(operator, config.shape, config.tolerance)
    except (TypeError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 (a command line speaks to its user)
        return 1
    for law, error in laws.items():
        print(f"{error:8.1e}  {law}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
