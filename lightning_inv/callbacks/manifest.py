"""What a folder of results holds, and of which images: so that an interrupted run can go on."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from torch import nn

import lightning_inv
from lightning_inv.callbacks.clearing import check_own, clear, holds_anything
from lightning_inv.callbacks.journal import Journal, Record
from lightning_inv.callbacks.own_code import code_digests
from lightning_inv.callbacks.places import DONE, PICTURES, name_fault, picture_place
from lightning_inv.configuration import texts
from lightning_inv.data import ImageDataModule
from lightning_inv.files import atomic_write, remove_parts
from lightning_inv.fingerprints import path_of, plain_data, weights_digest
from lightning_inv.modules import Restoration, Work
from lightning_inv.recipes import describe
from lightning_inv.regular import read_regular

LONGEST = 2**28
"""The bytes of a manifest, at most."""
MOST = 1e100
"""What is no measure any more; its square is still a number."""
STALE = 3600.0
"""Seconds after which a file that was begun is taken for left behind."""
CHECKSUM = "sha256"
"""The key of the hash of all other settings."""


def picture_path(folder: Path, index: int, name: str) -> Path:
    """Where the picture of an image lies: in ``folder``, from the image ``SHELF`` on in folders within it."""
    return folder / picture_place(index, name)


def write_json(path: Path, content: Any) -> None:
    """Writes plain data, whole or not at all."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False).encode())


def digest(content: Any) -> str:
    """A hash of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Manifest:
    """The manifest of a folder: ``manifest.json`` with all that decides the results, and a record an image.

    A record is written after everything else of its image, so an image with a record is done.

    Args:
        folder: The folder.
        names: The names of the images that are to be restored, in order.
    """

    def __init__(self, folder: str | Path, names: Sequence[str] = ()) -> None:
        self.folder, self.names = Path(folder), names
        self.path, self.parts = self.folder / "manifest.json", self.folder / ".parts"
        self.journal, self.tallies = Journal(self.folder / "records"), self.folder / "tallies"

    def open(self, settings: dict[str, Any], overwrite: bool, shared: bool = False) -> set[int]:
        """Prepares the folder and says which images are done; arguments and errors are those of ``look``."""
        done, held = self.look(settings, overwrite, shared), self._held()
        differ = _different(settings, held)
        if differ and overwrite and held:  # else there is nothing of ours
            known = self._pictures()
            for path in self._left(held):  # a kill leaves no record of lost pictures
                clear(path, known)
        for folder in (self.parts, self.folder):  # left behind by a process that was killed
            remove_parts(folder, STALE)
        if differ and not self._begin(settings | {CHECKSUM: digest(settings)}, shared):
            self.look(settings, overwrite, shared)
        return done

    def _begin(self, content: dict[str, Any], shared: bool) -> bool:
        """Writes the manifest; False if others share the folder and one of them has done so meanwhile."""
        if not shared:
            write_json(self.path, content)
            return True
        part = self.folder / f".{uuid4().hex}.part"
        write_json(part, content)
        if self.path.is_symlink():  # it leads nowhere, else it would have been read
            self.path.unlink()
        try:
            os.link(part, self.path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            write_json(self.path, content)
        finally:
            part.unlink(missing_ok=True)
        return True

    def look(self, settings: dict[str, Any], overwrite: bool, shared: bool = False) -> set[int]:
        """The images that are done and stay; nothing is touched.

        Args:
            settings: All that decides the results.
            overwrite: Whether to start anew where the folder holds results of other settings.
            shared: Whether other runs may be writing to the folder; not with ``overwrite``.

        Raises:
            ValueError: The folder holds results of other settings, or nobody can tell of which, or files of
                somebody else where results would be written or cleared.
        """
        done, held = self.done(), self._held()
        differ = _different(settings, held)
        if differ:
            self._check_left(settings, held)
        left = shared or any(self._left(held))  # by one that was killed before a record, too
        begun = bool(done) or any(self.tallies.glob("*")) or (bool(held) and left)
        if differ and begun and not overwrite:
            anew = "" if shared else ", or --output.overwrite true to begin anew"
            raise ValueError(
                f"{self.folder} holds results of another run, which differs in: {', '.join(differ)}. "
                f"Give --folder another name{anew}."
            )
        if not (differ and overwrite):
            return done
        for path in self._left(held) if held else ():
            check_own(path)
        return set()

    def _check_left(self, settings: dict[str, Any], held: dict[str, Any]) -> None:
        """Raises ValueError if files lie where results would, and no run of ours can have left them."""
        own = self._left(held) if held else ()
        found = [path for path in self._left(settings) if path not in own and holds_anything(path)]
        if found and (held or not self.path.exists()):  # or another shard has begun meanwhile
            raise ValueError(
                f"{found[0]} holds files that no manifest in {self.folder} tells of: move them away, or give "
                "--folder another name."
            )

    def done(self) -> set[int]:
        """The images that have a record."""
        return self.journal.indices()

    def solvers(self) -> tuple[str, ...]:
        """The solvers whose results the folder holds; errors are those of ``look``."""
        return _solvers(self._held())

    def _held(self) -> dict[str, Any]:
        """The settings that the folder was made with; empty if it is new."""
        try:
            content = json.loads(read_regular(self.path, LONGEST))
            whole = content.pop(CHECKSUM, None) == digest(content)
        except FileNotFoundError:
            return {}
        except (AttributeError, RecursionError, TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError(
                f"{self.path} is damaged, so nobody can tell what the results beside it are of. "
                "Give --folder another name, or put back a copy of that file."
            )
        return content

    def _left(self, held: dict[str, Any]) -> list[Path]:
        """The folders that a run of these settings has left: first those that tell what is done."""
        outputs = {f"{name}{end}" for name in _solvers(held) for end in ("", "_std", "_samples")}
        left = {*DONE, *PICTURES, *outputs}  # the file could tell of folders elsewhere
        found = (path for path in self.folder.glob("*") if path.name in left)
        return sorted(found, key=lambda path: path.name not in DONE)

    def _pictures(self) -> set[str]:
        """Where pictures lie in a folder of them: of images that are to be restored, or have a record."""
        records = self.journal.read(sorted(self.done()))
        told = ((record["index"], record["name"]) for record in records if "name" in record)
        return {picture_place(index, name) for index, name in chain(enumerate(self.names), told)}

    def add(self, records: Iterable[Record]) -> None:
        """Says that the images of these records are done."""
        self.journal.append(records)

    def each(self, indices: range) -> Iterator[Record]:
        """The records of these images, in order, of those that are done.

        Raises:
            ValueError: A record is none: it was changed by hand, or came from elsewhere.
        """
        for record in self.journal.read(indices):
            if not _is_record(record):
                why = "has no name of a place within a folder, or no measures that are numbers."
                raise ValueError(f"{self.journal.folder} is damaged: the record {record['index']} {why}")
            yield record

    def read(self, indices: range) -> list[Record]:
        """The records of these images, in order, of those that are done."""
        return list(self.each(indices))


def _solvers(held: dict[str, Any]) -> tuple[str, ...]:
    """The names of the solvers of a manifest."""
    return tuple(told) if isinstance(told := held.get("solvers"), dict) else ()


def _different(settings: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """The names of the settings that are not those held."""
    return sorted(key for key in settings.keys() | held.keys() if settings.get(key) != held.get(key))


def _is_record(record: Record) -> bool:
    """Whether a record names an image and tells of each solver numbers or None, and why it has failed."""
    solvers = record.get("solvers")
    if not isinstance(solvers, dict) or any(map(name_fault, (record.get("name"), *solvers))):
        return False
    return all(map(are_measures, solvers.values()))


def are_measures(told: Any) -> bool:
    """Whether these are measures by name, numbers or None, and why a solver has failed."""
    return isinstance(told, dict) and all(
        _is_measure(value, str if key == "failed" else float) for key, value in told.items()
    )


def _is_measure(value: Any, kind: type) -> bool:
    """Whether a value is of a kind, and no huge number, or None."""
    if value is None or kind is str:
        return value is None or isinstance(value, str)
    return isinstance(value, int | float) and abs(value) < MOST


def settings_of(module: Restoration, data: ImageDataModule, precision: str) -> dict[str, dict[str, Any]]:
    """All that decides the results of each problem, as hashes and plain data; batch size does not."""
    images, recipe = data.dataset(data.split), plain_data(module.prior.recipe)
    labels = images.labels if module.needs_labels else None
    shared = {
        "version": lightning_inv.__version__,
        "prior": weights_digest(module.prior),
        "denoiser": hashlib.sha256(json.dumps(recipe).encode()).hexdigest(),
        "samples": module.samples,
        "spread_samples": module.spread_samples,
        "seed": module.seed,
        "label": module.label,
        "data": digest([type(data).__name__, data.split, images.fingerprint()]),
        "labels": None if labels is None else digest(labels.tolist()),
        "precision": precision,
    }
    shared |= code_digests([*texts(recipe), path_of(type(data)), path_of(type(images))])
    return {name: shared | _settings(work) for name, work in module.work.items()}


def _settings(work: Work) -> dict[str, Any]:
    """What decides the results of one problem alone."""
    measurement, solvers = work.measurement, work.solvers
    parts = {name: nn.ModuleList(solver.modules()) for name, solver in solvers.items()}
    told = {
        "operator": measurement and plain_data(measurement.operator.recipe),
        "noise": measurement and plain_data(describe(measurement.noise)),
        "files": measurement and digest(plain_data(measurement.fingerprint())),
        "solvers": {name: plain_data(describe(solver)) for name, solver in solvers.items()},
        "parts": {name: weights_digest(part) for name, part in parts.items() if len(part)} or None,
    }
    return told | code_digests(texts(told))
