"""Tables of wrong inputs by door; ``test_wrong_input`` walks them. Each row: what is given, the exit code, what the line says."""

import sys
from importlib import import_module

from forgetting_fakes import Own
from torch import nn

MAINS = {  # by door: the module, and the arguments that are given before
    "comparison": ("experiments.__main__", ["EXECUTOR=here"]), "audited": ("experiments.__main__", ["KIND=audit"]),
    "stages": ("experiments.__main__", ["KIND=stages"]), "maps": ("experiments.__main__", ["KIND=maps"]),
    "together": ("experiments.__main__", ["KIND=shadows"]), "experiments": ("experiments.__main__", []),
    "training": ("experiments.__main__", ["KIND=training"]), "search": ("experiments.__main__", ["KIND=tuning"]),
    "exhibits": ("book.results.__main__", []), "worker": ("experiments.worker", []),
}
LONG = "a" * 300
BAD_WHOLE = (
    "1_0", "٣", "９", "²", "x", "1.5", "-1", "nan", "inf", "1e400", "0x10", "1 0", "True", "1e3", "99999999999999999999",
    "9" * 5000,
    "[1]", "1,2", "½", "--1",
)
BAD_RATE = ("nan", "inf", "-inf", "-1", "0", "1_0", "x", "1e9", "٣", "1e400", "True", "0,1")
BAD_COUNT = ("1_0", "٣", "-1", "1.5", "99999999999999999999", "999999999999999999999999", "x", "nan")
COUNTS = ("EPOCHS", "BATCH_SIZE", "VAE_EPOCHS", "LATENT_DIMS", "IMAGES", "UNLEARNING_EPOCHS", "REPAIR_EPOCHS")
RATES = ("LR", "TEMPERATURE", "LR_UE", "LABELLED_SHARE")
BAD_DEVICE = ("cpu:foo", "cpu:", "cuda:", "cuda:x", "tpu", "CPU", "auto:0", "cpu:1:2", "mps:0", "cuda:-1", "²")
BAD_NAME = (LONG, "a" * 5000, "../x", "a/b", "..", "imagenet", "a b", "é", "x\x00y", "-x", "<b>")

LAUNCH = [
    *((f"SEED={text}", "SEED") for text in BAD_WHOLE),
    *((f"{name}={text}", name) for name in COUNTS for text in BAD_COUNT),
    *((f"{name}={text}", name) for name in RATES for text in BAD_RATE if (name, text) != ("LABELLED_SHARE", "0,1")),
    *((f"DEVICE={text}", "device") for text in BAD_DEVICE),
    *((f"DATASET={text}", "") for text in BAD_NAME),
    *((f"FORGET_CLASS={text}", "FORGET_CLASS") for text in (
        "3,3", "10", "-1", "x", "0,1,2,3,4,5,6,7,8,9", "1_0", "3,", ",", "٣", "1.5", "True", "3;4", "9" * 5000,
    )),
    ("TASK=data FORGET_CLASS=3", "FORGET_CLASS"), ("TASK=noisy FORGET_CLASS=0", "FORGET_CLASS"), ("SEED=1 SEED=2", "SEED"),
    ("SEED=1 SEED=1", "twice"), ("DATSET=mnist", "did you mean DATASET"), ("SEED", "NAME=VALUE"), ("SEED=", "NAME=VALUE"),
    ("=1", "NAME=VALUE"), ("TASK=clas", "task"), ("PROFILE=fast", "profile"), ("MODE=best", "mode"),
    ("PRECISION=int8", "precision"),
    ("USE_UE=yes", "use_ue"), ("STANDARDISE=1", "standardise"), ("FALLBACK=imagenet", "FALLBACK"), ("--frobnicate", "NAME=VALUE"),
]

LISTS = ("1_0", "٣", "²", "x", "-1", "1,", ",", "1,1", "99999999999999999999", "1.5", "nan")
DOORS = [
    *(("comparison", f"SEED={text}", "SEED") for text in LISTS), *(("audited", f"SEED={text}", "SEED") for text in LISTS),
    *(("stages", f"SEED={text}", "SEED") for text in LISTS), *(("maps", f"SEED={text}", "SEED") for text in LISTS),
    *(("together", f"MODELS={text}", "MODELS") for text in (*LISTS, "0", "3")),
    *(("stages", f"AT_ONCE={text}", "AT_ONCE") for text in (*LISTS, "0")),
    *(("experiments", f"WORKERS={text}", "WORKERS") for text in (*LISTS, "0")),
    *((door, "--frobnicate", "NAME=VALUE") for door in (
        "comparison", "audited", "stages", "maps", "together", "experiments", "exhibits", "search", "worker",
    )),
    *((door, "SEED=1 SEED=2", "twice") for door in ("comparison", "audited", "stages", "maps", "experiments")),
    *((door, "TASK=klass", "") for door in ("comparison", "audited", "stages", "together", "experiments")),
    *((door, f"DATASET={LONG}", "") for door in ("comparison", "audited", "stages", "together", "experiments", "maps")),
    ("comparison", "PLAN=maybe", "PLAN"), ("comparison", "PLAN=0,1", "PLAN"), ("comparison", "METHOD=magic", "magic"),
    ("comparison", "PROFILE=paper,quick", "PROFILE"), ("comparison", "VARIANT=nothing", "variant"),
    ("comparison", "SETTINGS=best", "choice"), ("experiments", "PLAN=3", "PLAN"), ("experiments", "KIND=all", "KIND"),
    ("maps", "KIND=audit", "twice"), ("training", "MODE=best", "MODE"),
    ("experiments", "EXECUTOR=../x", "EXECUTOR"),
    ("experiments", "GRID=/nowhere.toml", "grid"), ("experiments", "GRID=/proc", "grid"),
    ("experiments", "METHOD=magic", "METHOD"),
    ("experiments", "METHOD=laf,,jit", "METHOD"), ("stages", "STAGE=laf", "STAGE"), ("stages", "FOR=gpu", "FOR"),
    ("stages", "STAGE=original,again", "STAGE"), ("worker", "", "lock"), ("worker", "SEED=1", "lock"),
    ("worker", "/proc/x/lock", "LOCK"),
    ("exhibits", "FOLDER=/proc/x", "FOLDER"), ("exhibits", "FOLDER=/dev/null", "FOLDER"),
    ("exhibits", "FOLDER=~nosuchuser/x", "FOLDER"),
    ("exhibits", f"FOLDER={LONG}", "FOLDER"), ("exhibits", "FOLDER=/etc/passwd", "FOLDER"),
]

GRIDS = {
    "text": "no toml", "binary": b"\x80\x81", "a number": "cells = 3", "numbers": "cells = [1, 2]",
    "deep": "cells = " + "[" * 5000,
    "other": "[[cell]]\na = 1", "nothing": "[[cells]]",
    **{name: '[[cells]]\ndatasets = ["mnist"]\ntasks = ["class"]\nmethods = ["laf"]\nseeds = [0]\n'.replace(*change)
       for name, change in {
           "seed no list": ("[0]", "0"), "seed text": ("[0]", '["0"]'), "seed negative": ("[0]", "[-1]"),
           "seed true": ("[0]", "[true]"),
           "seed float": ("[0]", "[1.5]"), "no seeds": ("[0]", "[]"), "task unknown": ("class", "klass"),
           "method unknown": ("laf", "x"),
           "task a text": ('["class"]', '"class"'), "method a number": ('["laf"]', "[3]"),
           "data set a path": ("mnist", "../mnist"),
           "more": ("seeds", "sedes = [1]\nseeds"), "profile a list": ("seeds", 'profile = ["paper"]\nseeds'),
           "many": ("[0]", str(list(range(100_001)))),
       }.items()},
}

PLACES = ["/proc/x", "/dev/null", "~nosuchuser/x", LONG, "/sys/x", "/etc/passwd", "/etc/passwd/x"]

# Of laf forget: what replaces or follows the right arguments, the exit code, and what is told. Each is tried dry and wet.
FORGET = [
    *((["--seed", text], 2, "seed") for text in ("-1", "1_0", "٣", "x", "1.5", "9223372036854775808", "nan", "²")),
    *((["--floor", text], 2, "floor") for text in ("nan", "2", "-0.1", "inf", "x", "0_1", "٠")),
    *((["--memory", text], 2, "size") for text in ("much", "1e400GB", "0MB", "-1GB", "1", "nanGB", "٣GB", "1_0MB", "1e99GB",
    "GB")),
    *((["--size", text], 2, "size") for text in ("0", "-5", "100000", "x", "1_6", "1.5", "²")),
    *((["--size", text], 3, "takes no images") for text in ("16", "1", "7")),
    *((["--mean", text], 2, "mean") for text in ("0.5", "nan,nan,nan", "0.5,0.5", "x", "inf,0,0", "0.5,0.5,0.5,0.5", "٠,0,0")),
    *((["--mean", "0.5,0.5,0.5", "--std", text], 2, "std") for text in (
        "nan,1,1", "0.5,0.5", "0,1,1", "-1,1,1", "1,1,-1", "x", "1_0,1,1")),
    (["--mean", None, "--std", "1,1,1"], 2, "std needs mean"), (["--classes", "0"], 2, "classes"),
    (["--classes", "1_0"], 2, "classes"), (["--classes", "99999999999"], 2, "classes"), (["--classes", "7"], 3, "num_classes"),
    *((["--device", text], 2, "device") for text in BAD_DEVICE),
    *((["--arch", text], 3, "[bad_architecture]") for text in (
        ":f", "wrong_inputs:boom", "wrong_inputs:notmodel", "wrong_inputs:notthere", "wrong_inputs:LAUNCH", "..x:y", "./x:y",
        "resnet18",
        "torchvision:nothing", "nosuchmodule:f", "torchvision:", "a:b:c", "wrong_inputs:raises", "", "os:getcwd", "x\x00:y")),
    (["--arch", "torchvision:resnet18"], 3, "do not fit"),
    (["--method", "nosuch"], 4, "[method]"), (["--method", "sisa"], 4, "[method]"), (["--method", ""], 4, "[method]"),
    (["--accept", "everything"], 2, "accept"), (["--scope", "some"], 2, "scope"), (["--overlap", "ignore"], 2, "overlap"),
    (["--copies", "some"], 2, "copies"), (["--image-key", "FILE"], 2, "needs --sign"), (["--sign", "/proc"], 3, "[bad_key]"),
    (["--sign", "/nowhere"], 3, "[bad_key]"), (["--sign", "FILE"], 3, "[bad_key]"),
    (["--method", "certified_heads"], 4, "certified_head"),
    (["--head", "nothing"], 4, "nothing"), (["--frobnicate"], 2, "frobnicate"), (["--see", "3"], 2, "--see"),
    (["--seed"], 2, "seed"), (["--data", "/nowhere"], 3, "no folder"), (["--data", "/proc/self"], 3, ""),
    (["--ids", "/nowhere"], 3, "cannot be read"), (["--ids", "/dev/null"], 3, "no plain file"),
    (["--ids", "/proc"], 3, "[bad_ids]"),
    (["--unseen", "/nowhere"], 3, "no folder"), (["--unseen", "EMPTY"], 3, "no images"),
    (["--model", "/nowhere.pt"], 3, "no file"),
    (["--model", "/dev/null"], 3, "no plain file"), (["--model", "/proc"], 3, "[bad_weights]"),
    *((["--out", text], 2, "--out") for text in (*PLACES, "FILE", "FILE/below")),
    *((["--checkpoint", text], 2, "--checkpoint") for text in (*PLACES, "FILE", "FILE/below")),
    *((["--checkpoint-minutes", text], 2, "checkpoint-minutes") for text in ("-1", "nan", "x", "1_0", "٣", "1e9")),
    *((["--ledger", text], 2, "--ledger") for text in ("/proc/x/ledger", "/dev/null", "/sys/x/ledger", "FILE/below", "EMPTY",
                                                       "~nosuchuser/x", LONG)),
]

# Of laf verify and laf key, whole.
PROOF = [
    *((f"key --out {text}", 2, "--out") for text in (*PLACES, "FILE")),
    *((f"verify {text} --public-key FILE --model FILE", 4, "cannot be read as a certificate") for text in (
        "/nowhere", "/dev/null", "/proc", "FILE", "EMPTY")),
    ("verify FILE --public-key FILE --model FILE --key FILE", 2, "go together"),
    ("verify FILE --public-key FILE --model FILE --images EMPTY", 2, "go together"),
    ("verify FILE --model FILE", 2, "--public-key"), ("verify FILE --public-key FILE", 2, "--model"),
    ("verify FILE FILE --public-key FILE --model FILE", 2, "FILE"), ("verify --public-key FILE --model FILE", 2, "CERTIFICATE"),
]


# Of laf queue: the step, what follows the right arguments or replaces them, the exit code, and what is told.
QUEUE = [
    ("add", ["--ids", "/nowhere"], 3, "cannot be read"), ("add", ["--ids", "IDS"], 3, "no image"),
    ("add", ["--data", "/nowhere"], 3, "no folder"), ("add", ["--ledger", "FILE"], 2, "ledger"),
    *(("status", ["--batch", text], 2, "batch") for text in ("0", "-1", "x", "1.5", "1_0", "٣", "nan")),
    *(("status", ["--days", text], 2, "days") for text in ("-1", "nan", "x", "1e9", "٣", "inf")),
    ("status", ["--ledger", "FILE"], 4, "[changed_ledger]"), ("status", ["--frobnicate"], 2, "frobnicate"),
    ("run", ["--batch", "0"], 2, "batch"), ("run", ["--seed", "x"], 2, "seed"),
    ("retrained", ["--model", "/nowhere.pt"], 3, "no file"), ("retrained", [], 4, "no request has been carried out"),
    ("begin", [], 2, "begin"),
]
NO_QUEUE = [*PLACES, "FILE", "FILE/below"]  # of laf queue add


def boom():
    raise KeyError("boom")


def two_answers():
    return Own(classes=2)


def tied_head():
    """A head whose weights are made of two parameters."""
    model = Own()
    model.decide = nn.utils.parametrizations.weight_norm(model.decide)
    return model


def raises():
    raise SystemError("of its own")


notmodel = 3


def by_argv(monkeypatch, door, words):
    module, before = MAINS[door]
    monkeypatch.setattr(sys, "argv", [door, *before, *words])
    return import_module(f"laf_utils.{module}").main


def short(value):
    return ascii(value)[:60]
