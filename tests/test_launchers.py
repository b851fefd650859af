"""What torchrun and SLURM tell is what Lightning is told."""

import pytest
from lightning.pytorch.plugins.environments import SLURMEnvironment

from lightning_inv.launchers import environment, layout


def test_devices_and_nodes_are_those_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "12"}
    for key, value in told.items():
        monkeypatch.setenv(key, value)
    assert layout() == {"devices": 4, "num_nodes": 3}


def test_lightning_does_not_queue_jobs_of_slurm_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment() == []
    for key, value in {"NTASKS": "2", "NTASKS_PER_NODE": "2", "JOB_NAME": "restore"}.items():
        monkeypatch.setenv(f"SLURM_{key}", value)
    (plugin,) = environment()
    assert isinstance(plugin, SLURMEnvironment)
    assert not plugin.auto_requeue
