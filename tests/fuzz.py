"""Fuzzes what reads files; see ``tests/fuzzing``.

python tests/fuzz.py --minutes 30                          all targets in turn
python tests/fuzz.py --minutes 5 --seed 1 --target image   one of them
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzzing.harness import NAMES, fuzz, table


def main() -> None:
    """Fuzzes and tells of it; ends with 1 if there were findings."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="all in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=NAMES, help="all if none is given")
    parser.add_argument("--engine", action="append", choices=("random", "hypothesis", "atheris"))
    parser.add_argument("--findings", type=Path, help="where inputs that show a fault are kept")
    args = parser.parse_args()
    folder = args.findings or Path(tempfile.mkdtemp(prefix="fuzzing-"))
    engines = args.engine or ["random", "hypothesis"]
    rows = []
    for row in fuzz(args.target or NAMES, engines, args.minutes * 60, args.seed, folder):
        rows.append(row)
        sys.stderr.write(f"{table([row])}\n")  # a long run may be interrupted
    sys.stdout.write(f"{table(rows)}\nfindings: {folder}\n")
    raise SystemExit(any(row.findings for row in rows))


if __name__ == "__main__":
    main()
