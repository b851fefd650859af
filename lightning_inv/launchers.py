"""What torchrun and SLURM tell of the processes they have started, so that nobody has to say it twice."""

import os
from typing import Any

from lightning.pytorch.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_warn

OWN_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
"""A variable of torchrun: by 1, processes that are started again meet in a store of their own."""


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


def check_restarts() -> None:
    """Warns where processes that torchrun starts again would meet the addresses of those before them.

    Torch keeps one store for all of these meetings, and does not empty it: connections fail, or wait for
    half an hour. Seen with torch 2.15.
    """
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if shared and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")):
        rank_zero_warn(
            f"torchrun may not succeed in starting processes again: set {OWN_STORE}=1 before torchrun."
        )
