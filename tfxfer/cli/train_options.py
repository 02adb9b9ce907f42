"""The options of `tfxfer train`, and those of them that `tfxfer demo` has, too."""

from __future__ import annotations

from typing import Any

import click

from tfxfer.cli.options import (
    FRACTION,
    TIME,
    Names,
    break_lock_option,
    column_options,
    seed_option,
    size_option,
    weights_option,
)
from tfxfer.keeping.methods import METHODS

__all__ = ["shared_options", "train_options"]


def train_options(command: Any) -> Any:
    """Adds what only `train` takes."""
    options: list[Any] = [
        click.option(
            "--backbone",
            help="Name of a backbone; `tfxfer plugins` lists them.  [default: what an installed "
            "distribution declares]",
        ),
        click.option("--head", help="Name of a head.  [default: what the installed heads declare]"),
        click.option(
            "--out",
            help="Folder of the run; made anew.  [default: runs/N, the next number that is free]",
        ),
        weights_option,
        size_option,
        click.option(
            "--schedule",
            type=click.Choice(["two_phase", "progressive", "head", "scratch"]),
            default="two_phase",
            show_default=True,
            help="Which phases: the head and then the upper network, step by step, one of "
            "them, or all.",
        ),
        click.option("--head-epochs", type=click.IntRange(1), help="Epochs of the head's phase."),
        click.option("--epochs", type=click.IntRange(1), help="Epochs of each later phase."),
        click.option(
            "--unfreeze-from",
            type=FRACTION,
            help="Stage up to which everything stays frozen in phase two, or the fraction of "
            "stages.",
        ),
        click.option(
            "--batch-size",
            type=click.IntRange(1),
            default=32,
            show_default=True,
            help="Samples a step.",
        ),
        click.option(
            "--augment",
            help="How far samples may vary: none, light or strong.  [default: light]",
        ),
        click.option(
            "--no-flip", is_flag=True, help="Never mirror: for text, or left and right hands."
        ),
        click.option(
            "--views", type=click.IntRange(1), help="Cached augmented versions of each sample."
        ),
        click.option(
            "--balance",
            type=click.Choice(["none", "weights", "oversample"]),
            default="none",
            show_default=True,
            help="What to do about rare classes.",
        ),
        click.option(
            "--no-cache",
            is_flag=True,
            help="Train every phase through the whole network; much slower.",
        ),
        column_options,
        click.option("--strict", is_flag=True, help="Stop at the first fault in the data."),
        click.option(
            "--split-from",
            metavar="RUN",
            help="Leave the samples that an earlier run knows in its train, val and test.",
        ),
        click.option(
            "--slices",
            metavar="FILE.csv",
            help="What else is known of the samples: path, and a column for each thing, such "
            "as hospital.",
        ),
        click.option(
            "--on-collapse",
            type=click.Choice(["warn", "stop", "rollback"]),
            default="warn",
            show_default=True,
            help="What to do where the model collapses onto one label or the loss diverges: "
            "say so, end "
            "the training, or go back to the best epoch and on with the next phase.",
        ),
        click.option(
            "--no-calibration",
            is_flag=True,
            help="Leave the scores as training made them, and do not make them mean what they say.",
        ),
        click.option(
            "--baselines",
            type=Names(("probe", "scratch")),
            default=(),
            metavar="NAME,…",
            help="Also train what transfer must beat, and say whether it does: probe (the "
            "head alone), "
            "scratch (random weights, in the same time).",
        ),
        click.option(
            "--fair",
            type=click.Choice(["equal_opportunity", "equalized_odds", "demographic_parity"]),
            help="Train the head again, with a penalty on the gap between the groups of --slice.",
        ),
        click.option(
            "--slice",
            metavar="COLUMN",
            help="For --fair: the column whose groups are treated alike.",
        ),
        click.option(
            "--target",
            metavar="FOLDER",
            help="Samples as they will look in use, without labels: the model is fitted to their "
            "look. Those in folders named as the labels are only test it.",
        ),
        click.option(
            "--adapt",
            type=click.Choice(
                [
                    "auto",
                    "adabn",
                    "coral",
                    "self_training",
                    "deep_coral",
                    "mmd",
                    "dann",
                    "pseudo_labels",
                ]
            ),
            help="How to fit the model to --target: after the training (auto, adabn, coral, "
            "self_training), or while its upper layers train (deep_coral, mmd and dann draw the "
            "features of both looks together, pseudo_labels learns what self_training says).  "
            "[default: auto, which keeps what helps of those that come after, or nothing]",
        ),
        click.option(
            "--adapt-strength",
            type=float,
            metavar="NUMBER",
            help="What the penalty of deep_coral, mmd, dann or pseudo_labels is multiplied by.  "
            "[default: the method's own]",
        ),
        click.option(
            "--domain",
            metavar="COLUMN",
            help="Where each sample is from, such as camera: every source counts the same in an "
            "epoch, and is told apart in the result. `folders` where DATA holds one folder a "
            "source, with class folders in each.",
        ),
        click.option(
            "--leave-out",
            metavar="SOURCE",
            help="With --domain: keep one source out of training and validation; it is the test.",
        ),
        click.option(
            "--reweight",
            type=click.Choice(["target"]),
            help="With --target: training samples count by how like the target they are. Leaves "
            "--adapt out, unless it is given.",
        ),
        click.option(
            "--style",
            metavar="FOLDER",
            help="Samples whose look some of the training samples are given as augmentation, such "
            "as photos of the camera that counts; without labels. May be that of --target.",
        ),
        click.option(
            "--style-method",
            type=click.Choice(["fda", "mixstyle", "both"]),
            help="fda: varied views get the low frequencies (light, colours) of its samples; "
            "mixstyle: activations get the statistics of theirs.  [default: mixstyle]",
        ),
        click.option(
            "--from",
            "from_run",
            metavar="RUN",
            help="Go on from the model of an earlier run, with new samples or new labels in DATA; "
            "says what was forgotten.",
        ),
        click.option(
            "--keep",
            type=click.Choice(list(METHODS)),
            help="What holds on to what the model knows: "
            + ", ".join(f"{name} ({method.words})" for name, method in METHODS.items())
            + ".",
        ),
        click.option(
            "--keep-strength",
            type=float,
            metavar="NUMBER",
            help="What the penalty of --keep is multiplied by.  [default: the method's own]",
        ),
        click.option(
            "--replay",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            metavar="N",
            help="With --from: learn N samples of each of its labels again.",
        ),
        click.option(
            "--shots",
            type=click.Choice(["auto", "off"]),
            default="off",
            show_default=True,
            help="auto: with few samples a class to learn from, take the head, schedule and "
            "augmentation that were measured to be best, where none is named.",
        ),
        click.option("--plan", metavar="FILE", help="Train as `tfxfer advise --out FILE` says."),
        click.option(
            "--resume",
            is_flag=True,
            help="Go on with the run at --out, at the epoch that it had reached.",
        ),
        click.option(
            "--data",
            "moved",
            metavar="PATH",
            help="With --resume: where the same samples are now, if they have moved.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def shared_options(command: Any) -> Any:
    """Adds the options that `train` and `demo` share."""
    options = [
        click.option(
            "--budget", type=TIME, help="Finish within this time; chooses views, depth and epochs."
        ),
        seed_option("Seed for the split, the head's weights and the order of samples."),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "gpu"]),
            default="auto",
            show_default=True,
            help="Where to compute; auto takes a GPU where the backend sees one.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the run at --out."),
        break_lock_option,
        click.option(
            "--cache-dir",
            help="Folder for caches while the run is not done.  [default: in the run]",
        ),
        click.option(
            "--no-report",
            is_flag=True,
            help="Make no report.html; `tfxfer report` makes one later.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
