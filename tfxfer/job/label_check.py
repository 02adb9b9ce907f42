"""The look at the labels within a training, on features that it has computed anyway."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfxfer.data.samples import SampleData
from tfxfer.head import Head
from tfxfer.job.request import TrainRequest
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.label_errors import judge_labels, list_classes, write_label_errors
from tfxfer.trust.label_search import list_groups
from tfxfer.trust.probe import can_judge, estimate_seconds

__all__ = ["LabelCheck", "plan_seconds"]

_BUDGET_SHARE = 0.05
_MOST_SECONDS = 60.0  # without a budget: more is a wait of its own, which `tfxfer audit` is for

_PARTS = ("train", "val")


def plan_seconds(request: TrainRequest, data: SampleData, head: Head, features: int) -> float:
    """Returns what the look at the labels takes of a training, at most; 0 where there is none.

    There is none where nobody can tell, and where it would take too much of the time.

    Args:
        request: what the training was asked for.
        data: its samples.
        head: what the labels mean.
        features: of a sample, how many there are.
    """
    classes = head.find_classes(np.concatenate([data.train.targets, data.val.targets]))
    # Features of random weights are no knowledge to hold labels against.
    if request.weights == "none" or classes is None:
        return 0.0
    if not can_judge(classes, list_groups(data, parts=_PARTS)):
        return 0.0
    seconds = estimate_seconds(len(classes), features, len(data.labels))
    budget = request.budget_seconds
    most = _MOST_SECONDS if budget is None else _BUDGET_SHARE * budget
    return seconds if seconds <= most else 0.0


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """Judges the labels of the training and the validation samples; what it finds, the run keeps.

    Not to be asked where `plan_seconds` is 0.

    Args:
        run: where `trust/label_errors.csv` goes.
        request: what the training was asked for.
        data: its samples. Those of the test say how good the model is; nothing looks at them here.
        head: what the labels mean.
        progress: told that it runs.
    """

    run: RunDirectory
    request: TrainRequest
    data: SampleData
    head: Head
    progress: Progress | None = None

    def __call__(self, train: np.ndarray, val: np.ndarray) -> None:
        """Writes the labels that look wrong.

        Shapes: train and val (samples, features); rows of NaN, of samples that the training does
            not draw, are not judged.
        """
        features = np.concatenate([train, val])
        known = np.isfinite(features).all(axis=1)
        of_train, of_val = np.split(known, [len(train)])
        parts = (self.data.train.select(of_train), self.data.val.select(of_val))
        groups = np.array(list_groups(self.data, parts=_PARTS))[known].tolist()
        if not can_judge(list_classes(parts, self.head), groups):
            return
        self._say(0)
        errors = judge_labels(
            features[known], parts, head=self.head, groups=groups, seed=self.request.seed
        )
        write_label_errors(self.run.label_errors_path, errors)
        self._say(1)

    def _say(self, done: int) -> None:
        if self.progress is not None:
            self.progress("looking at the labels", done, done)
