"""Compares the solvers with the best of scikit-image on five tasks and writes docs/results.md.

    pip install -e ".[benchmark]"
    python benchmarks/restoration.py --root FOLDER_OF_IDX_FILES

The measurements of the classical methods are those of infer.py, and their settings come from "val". All that
was computed stays in ``--folder``: the same command goes on where it was interrupted, and with --page_only it
writes the page again. Options not listed here are handed to infer.py, such as --model.prior.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import yaml
from classical import METHODS, Measured, Method, Setting, measure, name_of, restore, tune
from jsonargparse import ArgumentParser
from page import write_page

from lightning_inv.callbacks.manifest import Manifest, write_json
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.constraints import Measurement
from lightning_inv.data.fashion_mnist import FashionMNIST
from lightning_inv.metrics import psnr, ssim
from lightning_inv.priors import read_provenance
