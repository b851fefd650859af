"""What a folder of results holds, and of which images: so that an interrupted run can go on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import lightning_inv
from lightning_inv.data import ImageDataModule
from lightning_inv.files import atomic_write
from lightning_inv.modules import Restoration
from lightning_inv.recipes import describe


def write_json(path: Path, content: Any) -> None:
    """Writes plain data, whole or not at all."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def digest(content: Any) -> str:
    """A hash of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Manifest:
    """The manifest of a folder: ``manifest.json`` with all that decides the results, and one record an image.

    A record is written after everything else of its image, so an image with a record is done.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.path, self.records = self.folder / "manifest.json", self.folder / "records"

    def open(self, settings: dict[str, Any], overwrite: bool) -> set[int]:
        """Prepares the folder and says which images are done.

        Args:
            settings: All that decides the results.
            overwrite: Whether to start anew where the folder holds results of other settings.

        Raises:
            ValueError: The folder holds results of other settings.
        """
        done = list(self.records.glob("*.json"))
        if done and self.path.exists():
            held = self._read(self.path)
            differ = sorted(
                key for key in settings.keys() | held.keys() if settings.get(key) != held.get(key)
            )
            if differ and not overwrite:
                raise ValueError(
                    f"{self.folder} holds results of another run, which differs in: {', '.join(differ)}. "
                    "Give --folder another name, or --output.overwrite true to begin anew."
                )
            if differ:
                for record in done:
                    record.unlink()
        for part in self.folder.rglob(".*.part"):  # left behind by a process that was killed
            part.unlink()
        write_json(self.path, settings)
        return {int(record.stem) for record in self.records.glob("*.json")}

    def add(self, index: int, record: dict[str, Any]) -> None:
        """Says that the image ``index`` is done."""
        write_json(self.records / f"{index:06d}.json", record)

    def read(self, indices: range) -> list[dict[str, Any]]:
        """The records of these images, in order, of those that are done."""
        paths = (self.records / f"{index:06d}.json" for index in indices)
        return [self._read(path) for path in paths if path.exists()]

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}); remove it to go on.") from None


def settings_of(module: Restoration, data: ImageDataModule, precision: str) -> dict[str, Any]:
    """All that decides the results, as hashes and plain data; batch size and devices do not."""
    weights = hashlib.sha256()
    for name, tensor in sorted(module.prior.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    measurement = module.measurement
    return {
        "version": lightning_inv.__version__,
        "prior": weights.hexdigest(),
        "operator": measurement and measurement.operator.recipe,
        "masks": measurement and digest(measurement.operator.fingerprint()),
        "sigma": measurement and measurement.sigma,
        "solvers": {name: describe(solver) for name, solver in module.solvers.items()},
        "samples": module.samples,
        "seed": module.seed,
        "data": digest([type(data).__name__, data.split, data.dataset(data.split).fingerprint()]),
        "precision": precision,
    }
