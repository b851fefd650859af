"""What torchrun and SLURM tell of the processes they have started, so that nobody has to say it twice."""

import os
from typing import Any

from lightning.pytorch.plugins.environments import SLURMEnvironment, TorchElasticEnvironment


def layout() -> dict[str, int]:
    """``devices`` of each node and ``num_nodes``, as the launcher has it; empty where there is none."""
    if TorchElasticEnvironment.detect():
        each, all_of_them = (int(os.environ[key]) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
        return {"devices": each, "num_nodes": all_of_them // each}
    if SLURMEnvironment.detect() and "SLURM_NTASKS_PER_NODE" in os.environ:
        each, nodes = (int(os.environ[key]) for key in ("SLURM_NTASKS_PER_NODE", "SLURM_NNODES"))
        return {"devices": each, "num_nodes": nodes}
    return {}


def environment() -> list[Any]:
    """Plugins for the launcher.

    Lightning would save a checkpoint within the handler of a signal, requeue a job of SLURM by itself, and
    then not listen to SIGTERM. Here SIGTERM ends a run after the present batch, and the script of the job
    queues it again.
    """
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
