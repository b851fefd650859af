"""Words that mutations put into files: names of classes, YAML and pickle that are meant to do harm."""

from fuzzing.seeds import COMMAND

CLASSES = (
    *("os.system", "subprocess.Popen", "builtins.eval", "builtins.open", "lightning_inv.cli.train"),
    *("lightning_inv.denoisers.EpsilonDenoiser", "lightning_inv.denoisers.tiled.TiledDenoiser"),
    *("lightning_inv.denoisers.exact.GaussianDenoiser", "lightning_inv.denoisers.sized.SizedDenoiser"),
    *(
        "lightning_inv.networks.tiny.ZeroNetwork",
        "lightning_inv.networks.UNet",
        "lightning_inv.schedules.Schedule",
    ),
    *(
        "lightning_inv.schedules.CosineSchedule",
        "lightning_inv",
        "lightning_inv..x",
        "lightning_inv.networks.",
    ),
)
PARTS = (
    *(
        "DDRM",
        "REDDiff",
        "PlugAndPlay",
        "Inpainting",
        "SampleImages",
        "Digits",
        "TensorBoardLogger",
        "ImageFolder",
    ),
    *(
        "${folder}",
        "${oc.env:HOME}",
        "${nowhere}",
        "${",
        "${model}",
        "${oc.decode:${folder}}",
        "${a:${b}}",
        "$",
    ),
    *(
        "class_path",
        "init_args",
        "include",
        "solvers",
        "problems",
        "<<",
        COMMAND,
        "args",
        "-",
        "=",
        "!!int x",
    ),
)
YAML = (
    *(
        "&a [*a, *a]",
        "<<: *a",
        "*a",
        "<<: [1]",
        "? [1]\n: 2\n",
        "- " * 3000,
        "[" * 3000,
        "{a: " * 3000,
        "\t",
        "|\n",
    ),
    *(
        f"!!python/object/apply:os.system ['{COMMAND}']",
        "!!binary a",
        "!!set {a}",
        "2020-01-01",
        "1e400",
        "0b2",
    ),
    *(
        "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n",
        "---\n",
        "%TAG ! x\n",
        "1:1:1",
        ".nan",
        "\x85",
    ),
)
PICKLE = (
    f"cos\nsystem\n(S'{COMMAND}'\ntR.",
    "\x80\x02",
    "\x85R",
    "2" * 90,
    "(d",
    "Q",
    "cbuiltins\neval\n",
    "}q\0",
)
