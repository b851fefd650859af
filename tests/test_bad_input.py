"""What a user may get wrong: the answer names it, is short, and comes before any work."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import refusal, tiny_prior
from PIL import Image

from lightning_inv.cli import infer, train
from lightning_inv.priors import save_prior

pytestmark = pytest.mark.faults

Words = Callable[..., list[str]]
MASK = "--model.measurement.operator Inpainting --model.measurement.operator.mask"
OF_INFER = [
    # the prior
    ("--model.prior {}/nowhere.safetensors", "no prior at {}/nowhere.safetensors; train one with train.py"),
    ("--model.prior {}/cut.safetensors", "{}/cut.safetensors is truncated or not a safetensors file"),
    ("--model.prior {}", "no prior at {}; train one with train.py"),
    ("--model.prior {}/rgb.safetensors", "the images have shape (1, 8, 8) (C, H, W), but the .* (3, 8, 8)."),
    # the data
    ("--data SampleImages", "the images have shape (1, 32, 32) (C, H, W), but the .* (1, 8, 8)."),
    ("--data ImageFolder --data.root {}/broken --data.size 8", "{}/broken/a.png cannot be read as an image"),
    ("--data ImageFolder --data.root {}/nowhere --data.size 8", "there is no folder {}/nowhere."),
    ("--data ImageFolder --data.root {}/empty --data.size 8", "no image (.*) in {}/empty or below."),
    (
        "--data FashionMNIST --data.root {} --data.download false",
        "no Fashion-MNIST idx files in {} and data.d",
    ),
    (
        "--data MeasurementFolder --data.root {}/small --model.measurement.operator Identity",
        "the measurements have shape (3, 5, 5), .* (1, 8, 8)",
    ),
    # the measurement
    (f"{MASK} MaskFile {MASK}.path {{}}/small/a.png", "the mask {}/small/a.png has 5 x 5 pixels, .* 8 x 8."),
    (f"{MASK} MaskFile {MASK}.path {{}}/nowhere.png", "there is no mask {}/nowhere.png."),
    (f"{MASK} MaskFile {MASK}.path {{}}/broken/a.png", "the mask {}/broken/a.png cannot be read"),
    (f"{MASK} MaskFolder {MASK}.folder {{}}/masks", "the mask {}/masks/digit0019.png has 5 x 5 pixels"),
    (f"{MASK} MaskFolder {MASK}.folder {{}}/small", "there is no mask {}/small/digit0009.png."),
    (f"{MASK} RandomMask {MASK}.keep 0", "RandomMask.keep must be in (0, 1], got 0"),
    (f"{MASK} BoxMask {MASK}.height 9 {MASK}.width 2", "box of 9 x 2 .* does not fit into 8 x 8"),
    ("--model.measurement.operator Grayscale", "Grayscale needs images of 3 channels, got shape (1, 8, 8)."),
    (
        "--model.measurement.operator HighDynamicRange",
        "DDRM needs a linear operator .*, got HighDynamicRange; .*PlugAndPlay or .* can do without.",
    ),
    ("--model.measurement null", "DDRM needs a linear operator .*, got none."),
    # the solvers
    ("--model.solvers.mine.steps 0", "DDRM.steps must be in [1, 1000], the times of the prior, got 0."),
    ("--model.solvers.mine.steps 1001", "DDRM.steps must be in [1, 1000], the times of the prior, got 1001."),
    ("--model.solvers.mine.eta 2", "DDRM.eta must be in [0, 1], got 2.0."),
    ("--model.solvers={{}}", "model.solvers must name at least one solver."),
    ("--model.samples 0", "model.samples must be at least 1, got 0."),
    # keys, types and files
    ("--modle.samples 2", "unrecognized arguments: --modle.samples .*did you mean --model.samples?"),
    ("--trainer.acelerator cpu", "--trainer.acelerator cpu did you mean --trainer.accelerator?"),
    ("--model.samples many", "model.samples.*int.* many"),
    (
        "--trainer.inference_mode true",
        "trainer.inference_mode must be false, got true: solvers differentiate.",
    ),
    ("--trainer.accelerator abacus", "accelerator.*'abacus'.*cpu"),
    ("--config {}/nowhere.yaml", "{}/nowhere.yaml"),
    ("--config {}/broken.yaml", "{}/broken.yaml"),
    ("--config {}/list.yaml", "{}/list.yaml"),
    ("--config {}/undefined.yaml", "'no_such_key' not found.* model.seed"),
    ("--config {}/unknown.yaml", "volume"),
    ("--config {}/several.yaml", "include in {}/several.yaml must name one file, got "),
    ("--config {}/circle.yaml", "{}/circle.yaml includes itself, by way of .*/half.yaml."),
    ("--model.seed ${{no_such_key}}", "'no_such_key' not found.* model.seed"),
    ("--seed_everything -1", "seed_everything must be from 0 to 4294967295, got -1."),
    ("--seed_everything 4294967296", "seed_everything must be from 0 to 4294967295, got 4294967296."),
]
OF_TRAIN = [
    (
        "--data.batch_size 5000",
        "1 x 5000 images on each of 1 devices, got 1439; make data.batch_size smaller.",
    ),
    ("--data SampleImages", "SampleImages has no images to train on."),
    (
        "--model.denoiser.shape [8,8]",
        "shape must be three positive numbers (C, H, W), or (C, null, null) for any size, got [8, 8].",
    ),
    (
        "--model.denoiser.shape [1,16,16]",
        "images have shape (1, 8, 8) (C, H, W), but model.denoiser.shape is",
    ),
    ("--model.lr_scheduler.warmup 5000", "model.lr_scheduler.warmup must be in [0, steps=1200)"),
    ("--model.ema_decay 1", "model.ema_decay must be in [0, 1), got 1.0."),
    ("--model.optimizer.lr=-1", "-1"),
    ("--samples.steps 2000", "Unconditional.steps must be in [1, 1000], the times of the prior, got 2000."),
    ("--ckpt_path {}/nowhere.ckpt", "{}/nowhere.ckpt"),
    ("--trainer.max_steps many", "trainer.max_steps.*int.* many"),
]
# What jsonargparse finds out, put in a sentence.
EXPLAINED = [
    ("--model.prior {}/notes.txt", "{}/notes.txt is truncated or not a safetensors file"),
    ("--model.sample 2", "unrecognized arguments: --model.sample 2 did you mean --model.samples?"),
    ("--model.solvers.mine DDMR", "model.solvers: .*'DDMR'; known: .*DDRM, .*REDDiff, .*Unconditional."),
    ("--model.solvers.mine.steps many", "model.solvers: DDRM: steps: expected int, got many."),
    ("--model.solvers.mine.stepz 3", "model.solvers: DDRM: there is no 'stepz', did you mean 'steps'?"),
    ("--model.measurement.sigma=-1", "error: measurement.sigma must be a number of at least 0, got -1.0."),
    ("--model.measurement.sigma .nan", "error: measurement.sigma must be a number of at least 0, got nan."),
    ("--model.measurement.sigma loud", "model.measurement: Measurement: sigma: expected float, got loud."),
    (
        "--model.measurement.operator Blur",
        "operator: there is no class 'Blur'; known: AntialiasedResize, .*Identity",
    ),
    (
        "--data Digitz",
        "data: there is no class 'Digitz'; known: Digits, FashionMNIST, .*ImageCrops, ImageFolder, .*Measure",
    ),
    ("--data.batch_siz 3", "data: Digits: there is no 'batch_siz', did you mean 'batch_size'?"),
    ("--data.limit 0", "error: data.limit must be at least 1, got 0."),
    ("--data.batch_size 0", "error: data.batch_size must be at least 1, got 0."),
    ("--data.split best", "error: Digits has the splits train, val, test; got 'best'."),
    ("--data ImageFolder --data.size 8", "data: ImageFolder: .*root"),
    ("--config {}/bytes.yaml", "{}/bytes.yaml"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind, good ones and bad ones."""
    root = tmp_path_factory.mktemp("files")
    save_prior(root / "prior.safetensors", tiny_prior(), {})
    save_prior(root / "rgb.safetensors", tiny_prior((3, 8, 8)), {})
    (root / "cut.safetensors").write_bytes((root / "prior.safetensors").read_bytes()[:300])
    for folder in ("broken", "empty", "small", "masks"):
        (root / folder).mkdir()
    (root / "broken" / "a.png").write_text("no image at all")
    (root / "notes.txt").write_text("a few words")
    Image.new("RGB", (5, 5)).save(root / "small" / "a.png")
    Image.new("L", (8, 8)).save(root / "masks" / "digit0009.png")
    Image.new("L", (5, 5)).save(root / "masks" / "digit0019.png")
    (root / "broken.yaml").write_text("model: [1, 2\nseed: x: y")
    (root / "list.yaml").write_text("- 1\n- 2\n")
    (root / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (root / "undefined.yaml").write_text("model:\n  seed: ${no_such_key}\n")
    (root / "several.yaml").write_text("include: [half.yaml]\n")
    (root / "circle.yaml").write_text("include: half.yaml\n")
    (root / "half.yaml").write_text("include: circle.yaml\n")
    (root / "unknown.yaml").write_text("model:\n  volume: 3\n")
    return root


@pytest.fixture
def words(files: Path, tmp_path: Path) -> Words:
    """The arguments of a short run of infer.py into ``results``, with more arguments to break it."""
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}\n")

    def make(more: str = "") -> list[str]:
        return [
            *("--config", str(tmp_path / "solvers.yaml"), "--folder", str(tmp_path / "results")),
            *("--model.prior", str(files / "prior.safetensors"), "--data", "Digits", "--data.limit", "2"),
            *("--trainer.logger", "false", "--trainer.enable_progress_bar", "false"),
            *("--trainer.accelerator", "cpu"),
            *more.format(files).split(),
        ]

    return make


def pattern(text: str, root: Path) -> str:
    """A pattern in which ``.*`` alone has a meaning."""
    return ".*".join(re.escape(part.replace("{}", str(root))) for part in text.split(".*"))


def remains(folder: Path) -> list[str]:
    """What a run has done in ``folder``, besides saying how it was configured."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name != "config.yaml"]


def test_without_a_mistake_the_run_succeeds(words: Words, tmp_path: Path) -> None:
    summary = infer(words("--model.solvers.mine.steps 2"))
    assert summary["images"] == 2
    assert "summary.json" in remains(tmp_path / "results")


def assert_refused(said: str, expected: str, root: Path) -> None:
    """The answer says what is expected in one sentence, and where to look."""
    assert re.search(pattern(expected, root), " ".join(said.split())), said
    assert len(said.splitlines()) <= 3, said


@pytest.mark.parametrize(
    ("more", "expected"),
    [*OF_INFER, *EXPLAINED],
    ids=lambda text: text.replace("--model.", "")[:70],
)
def test_infer_names_the_mistake_before_any_work(
    words: Words, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str, expected: str
) -> None:
    assert_refused(refusal(infer, words(more), capsys), expected, files)
    assert remains(tmp_path / "results") == []


@pytest.mark.parametrize(("more", "expected"), OF_TRAIN, ids=lambda text: text.replace("--model.", "")[:70])
def test_train_names_the_mistake_before_any_work(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str, expected: str
) -> None:
    fixed = ["--folder", str(tmp_path / "run"), "--trainer.logger", "false", "--trainer.accelerator", "cpu"]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    assert_refused(refusal(train, [*fixed, *quiet, *more.format(files).split()], capsys), expected, files)
    assert remains(tmp_path / "run") == []


@pytest.mark.parametrize("more", ["--model.samples 0", "--data SampleImages"])
def test_whoever_asks_for_a_traceback_gets_the_error(words: Words, more: str) -> None:
    with pytest.raises(ValueError, match=r"model\.samples must be|the images have shape"):
        infer(words(f"--traceback true {more}"))


def test_a_folder_is_free_after_a_refusal(
    words: Words, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    refusal(infer, words("--data SampleImages"), capsys)
    assert infer(words("--model.solvers.mine.steps 2"))["images"] == 2
