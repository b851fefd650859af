"""The Wiener filter, against what is known of stationary Gaussian images."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import GivenImages
from lightning import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from trainings import CONFIG, trained, words

from lightning_inv.callbacks import LinearBaseline
from lightning_inv.cli import train
from lightning_inv.denoisers import EpsilonDenoiser, GaussianDenoiser, StationaryDenoiser
from lightning_inv.modules import PriorTraining
from lightning_inv.networks import Network, ZeroNetwork
from lightning_inv.noise import generator

H, W = 6, 8
MEAN = torch.tensor([0.3, -0.2])


def spectrum() -> Tensor:
    """Channels that are correlated, one of them shifted against the other; less at high frequencies."""
    f, g = torch.meshgrid(torch.fft.fftfreq(H), torch.fft.fftfreq(W), indexing="ij")
    power = 1 / (0.2 + 40 * (f**2 + g**2))
    row = torch.stack([torch.ones(H, W), 0.8 * torch.exp(2j * torch.pi * (f + 2 * g))], -1)
    found = power[..., None, None] * row[..., :, None] * row[..., None, :].conj()
    found = found + 0.05 * torch.eye(2)
    flipped = found.flip(0, 1).roll((1, 1), (0, 1))
    return (found + flipped.conj()) / 2  # that of real images


def draws(count: int, seed: int = 0) -> Tensor:
    """Images of that spectrum, shape ``(B, 2, H, W)``."""
    white = torch.randn(count, 2, H, W, generator=generator("draws", seed), dtype=torch.double)
    variances, basis = torch.linalg.eigh(spectrum().to(torch.complex128))
    root = basis @ (variances.clamp(min=0).sqrt()[..., None] * basis.mH)
    spectra = torch.fft.fft2(white, norm="ortho").movedim(1, -1)
    coloured = torch.einsum("hwij,bhwj->bihw", root, spectra)
    return (torch.fft.ifft2(coloured, norm="ortho").real + MEAN[:, None, None]).float()


def closed_form(denoiser: StationaryDenoiser, time: int) -> float:
    """The least loss of eps: the mean of alpha^2 v / (alpha^2 v + sigma^2) over the variances v."""
    alpha_t, sigma_t = denoiser.schedule(torch.tensor(time))
    signal = alpha_t**2 * torch.linalg.eigvalsh(spectrum())
    return (signal / (signal + sigma_t**2)).mean().item()


# The denoiser


def dense(denoiser: StationaryDenoiser) -> GaussianDenoiser:
    """The same law with a covariance in pixels."""
    n = 2 * H * W
    columns = torch.fft.fft2(torch.eye(n).view(n, 2, H, W).double(), norm="ortho")
    spread = torch.einsum("hwij,bjhw->bihw", spectrum().to(torch.complex128), columns)
    covariance = torch.fft.ifft2(spread, norm="ortho").real.reshape(n, n)
    return GaussianDenoiser(denoiser.mean.expand(2, H, W), covariance.mT)


@pytest.mark.parametrize("time", [1, 100, 600, 1000])
def test_it_is_the_conditional_mean_of_stationary_images(time: int) -> None:
    denoiser, x_t, t = StationaryDenoiser(MEAN, spectrum()), torch.randn(5, 2, H, W), torch.tensor(time)
    torch.testing.assert_close(denoiser(x_t, t).x, dense(denoiser)(x_t, t).x, atol=1e-3, rtol=1e-3)


def batches(x: Tensor) -> Iterator[Tensor]:
    return iter(x.split(700))


def test_its_statistics_are_those_of_the_images() -> None:
    found = StationaryDenoiser.estimated(batches(draws(20000)))
    torch.testing.assert_close(found.mean.flatten(), MEAN, atol=0.02, rtol=0)
    known = torch.linalg.eigvalsh(spectrum())
    torch.testing.assert_close(found.variances, known, atol=0.01, rtol=0.05)


def test_no_other_filter_that_is_alike_at_all_pixels_does_better() -> None:
    """It is estimated from the very images that it is tried on, which are far from stationary."""
    x = draws(50).tanh() * torch.linspace(0, 1, W)
    denoiser, t = StationaryDenoiser.estimated([x]), torch.tensor(300)
    alpha_t, sigma_t = denoiser.schedule(t)
    best = expected_loss(denoiser, x, alpha_t, sigma_t)
    for name in ("variances", "mean"):
        for factor in (0.5, 2.0):
            other = StationaryDenoiser.estimated([x])
            setattr(other, name, factor * getattr(other, name))
            assert expected_loss(other, x, alpha_t, sigma_t) > best


def expected_loss(denoiser: StationaryDenoiser, x: Tensor, alpha_t: Tensor, sigma_t: Tensor) -> float:
    """The mean of the squared error of eps over all noise: that of none, and that of noise alone."""
    gain = sigma_t / (alpha_t**2 * denoiser.variances + sigma_t**2)
    bias = denoiser(alpha_t * x, torch.tensor(300)).eps.double().square().mean()
    return (bias + (1 - sigma_t * gain).double().square().mean()).item()


# The callback


def compared(network: Network | None = None, folder: Path | None = None, **settings: Any) -> LinearBaseline:
    """The comparison of an untrained network, or of the best denoiser of these images."""
    denoiser = EpsilonDenoiser(network or Best(), (2, H, W))
    module, callback = PriorTraining(denoiser, noise_levels=4, **settings), LinearBaseline(400)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=[callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    data = GivenImages({"train": draws(400, 1), "val": draws(400, 2)}, batch_size=90)
    callback.on_train_start(SimpleNamespace(datamodule=data), module)
    trainer.validate(module, data, verbose=False)
    return callback


class Best(Network):
    """Predicts as the best of all denoisers does."""

    def __init__(self) -> None:
        super().__init__()
        self.denoiser = StationaryDenoiser(MEAN, spectrum())

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return self.denoiser(x, t + 1).eps


def test_the_linear_loss_is_that_of_the_closed_form(tmp_path: Path) -> None:
    callback = compared(ZeroNetwork(2), tmp_path)
    assert len(callback.linear_losses) == 4
    for time, loss in callback.linear_losses.items():
        assert loss == pytest.approx(closed_form(callback.linear, time), rel=0.04)


def test_the_best_network_is_as_good_and_no_better(tmp_path: Path) -> None:
    callback = compared(None, tmp_path)
    for time, loss in callback.losses.items():
        assert loss == pytest.approx(callback.linear_losses[time], rel=0.02)


def test_a_blind_network_is_worse(tmp_path: Path) -> None:
    callback = compared(ZeroNetwork(2), tmp_path)
    assert all(loss > callback.linear_losses[time] for time, loss in callback.losses.items())


def test_the_linear_loss_depends_on_the_noise_of_validation_alone(tmp_path: Path) -> None:
    """It is the same noise, whatever the batches, the network and its parametrisation."""
    one, other = (compared(network, tmp_path).linear_losses for network in (ZeroNetwork(2), None))
    assert one == other
    assert compared(None, tmp_path, seed=1).linear_losses != one


def test_the_training_goes_its_way_as_without_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one, other = (trained(callbacks, tmp_path) for callbacks in ([LinearBaseline(50)], []))
    torch.testing.assert_close(one.state_dict(), other.state_dict(), atol=0, rtol=0)


def test_a_training_ends_with_a_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train(words(tmp_path / "run"))
    said = capsys.readouterr().out
    table = said.partition("beside the Wiener filter:\n")[2].splitlines()
    assert table[0].split() == ["t", "noise", "/", "signal", "filter", "network", "ratio"]
    cells = [row.split() for row in table[1:3]]
    assert [row[0] for row in cells] == ["251", "751"]
    for _, _, linear, network, ratio in cells:
        assert float(ratio) == pytest.approx(float(network) / float(linear), rel=1e-2)


def test_no_images_no_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train(words(tmp_path / "run", "--baseline.images", "0", "--trainer.max_steps", "2"))
    assert "filter" not in capsys.readouterr().out


def test_tensorboard_is_told_the_ratios(tmp_path: Path) -> None:
    (tmp_path / "logged.yaml").write_text(CONFIG.replace("  logger: false\n", ""))
    train(
        [
            "--config",
            str(tmp_path / "logged.yaml"),
            "--folder",
            str(tmp_path / "run"),
            "--trainer.max_steps=2",
        ]
    )
    seen = set(EventAccumulator(str(tmp_path / "run")).Reload().Tags()["scalars"])
    assert {"val_vs_linear/0251", "val_vs_linear/0751"} <= seen


def test_a_negative_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"baseline\.images must be at least 0, got -1"):
        LinearBaseline(-1)
