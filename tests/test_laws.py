"""The self-check passes on every operator and finds what is wrong with broken ones."""

from pathlib import Path

import pytest
import torch
from families import OPERATORS
from torch import Tensor

from lightning_inv.check import main
from lightning_inv.operators import Identity, Images, Inpainting, LinearOperator, Operator, check_operator

SHAPE = (2, 8, 8)


@pytest.mark.parametrize("name", OPERATORS)
def test_ours_obey_the_laws(name: str) -> None:
    case = OPERATORS[name]
    assert len(check_operator(case.operator, case.shape)) >= 6


class Halved(LinearOperator):
    """Its adjoint is half of what it should be."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(-1)

    def adjoint(self, y: Tensor) -> Tensor:
        return y.flip(-1) / 2


class Shifted(LinearOperator):
    """Adds one."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1

    def adjoint(self, y: Tensor) -> Tensor:
        return y


class Moody(Operator):
    """Measures another thing each time."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Crowded(Operator):
    """Looks at its neighbours in the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


class Forgetful(Inpainting):
    """Draws a mask that does not belong to its image."""

    def prepare(self, images: Images) -> Operator:
        return self.with_buffers(images, s=torch.rand(len(images.names), 1, *SHAPE[1:]).round())


class Stretched(Identity):
    """Its V is not orthogonal."""

    def V(self, z: Tensor) -> Tensor:
        return 2 * z


class Double(Operator):
    """Returns another precision."""

    def forward(self, x: Tensor) -> Tensor:
        return x.double()


@pytest.mark.parametrize(
    ("operator", "law"),
    [
        (Halved(), r"<A x, w> = <x, A\^T w>"),
        (Shifted(), r"A\(2 x - 3 z\) = 2 A\(x\) - 3 A\(z\)"),
        (Moody(), "measuring twice gives the same"),
        (Crowded(), "a batch equals its images one by one"),
        (Forgetful(), "preparing twice gives the same"),
        (Stretched(), r"V V\^T = 1"),
        (Double(), "in the precision of x"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Operator) else "",
)
def test_a_broken_operator_is_found_out(operator: Operator, law: str) -> None:
    with pytest.raises(ValueError, match=f"{type(operator).__name__} breaks: .*{law}"):
        check_operator(operator, SHAPE)


def test_an_operator_of_a_users_file_is_checked_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "my_operators.py").write_text(
        "from lightning_inv.operators import LinearOperator\n\n\n"
        "class Gain(LinearOperator):\n"
        "    def __init__(self, gain: float = 2.0, back: float = 2.0) -> None:\n"
        "        super().__init__()\n"
        "        self.gain, self.back = gain, back\n\n"
        "    def forward(self, x):\n        return self.gain * x\n\n"
        "    def adjoint(self, y):\n        return self.back * y\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--operator", "my_operators.Gain", "--operator.gain", "3", "--shape", "[1,4,4]"]
    assert main([*words, "--operator.back", "3"]) == 0
    assert "<A x, w> = <x, A^T w>" in capsys.readouterr().out
    assert main(words) == 1
    assert "Gain breaks: <A x, w> = <x, A^T w> (relative error" in capsys.readouterr().err
