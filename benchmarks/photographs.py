"""Gathers the photographs that the prior ``photographs`` was trained on, out of Debian's packages.

    apt-get download $(python benchmarks/photographs.py --packages)
    for package in *.deb; do dpkg-deb -x $package unpacked; done
    python benchmarks/photographs.py --root unpacked --folder photographs

Where the packages are installed the root is ``/``. ``photographs.tsv`` has name, package, file, author and
licence of each; what is drawn rather than photographed in those packages is left out.
"""

import argparse
import csv
import shutil
import sys
from pathlib import Path

LIST = Path(__file__).with_suffix(".tsv")


def photographs() -> list[dict[str, str]]:
    """Name, package, file, author and licence of each photograph."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def gather(root: Path, folder: Path) -> None:
    """Copies all photographs into one folder.

    Args:
        root: Where the packages are unpacked or installed.
        folder: The folder.

    Raises:
        FileNotFoundError: A photograph is not there; nothing was copied.
    """
    found = {row["name"]: root / row["file"] for row in photographs()}
    for row in photographs():
        if not found[row["name"]].is_file():
            raise FileNotFoundError(
                f"{found[row['name']]} is not there; it is of the package {row['package']}."
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in found.items():
        shutil.copyfile(file, folder / f"{name}{file.suffix}")


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the packages are unpacked")
    parser.add_argument("--folder", type=Path, default=Path("photographs"), help="where photographs are put")
    parser.add_argument("--packages", action="store_true", help="print the names of the packages, and end")
    args = parser.parse_args(words)
    if args.packages:
        print(" ".join(dict.fromkeys(row["package"] for row in photographs())))
        return
    try:
        gather(args.root, args.folder)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    print(f"{len(photographs())} photographs: {args.folder}")


if __name__ == "__main__":
    main()
