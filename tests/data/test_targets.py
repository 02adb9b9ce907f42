from __future__ import annotations

import numpy as np
import pytest

from tfxfer import DataError
from tfxfer.data.targets import check_label_order, encode_class_numbers, read_class_numbers


@pytest.mark.parametrize(
    "targets", [[0, 2, 1], [[0], [2], [1]], [0.0, 2.0, 1.0], np.array([0, 2, 1], np.uint8)]
)
def test_class_numbers_are_known_in_every_form(targets: object) -> None:
    found = read_class_numbers(np.array(targets))
    assert found is not None
    assert found.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    "targets", [np.eye(3), [0.5, 1.0], [np.nan, 1.0], [np.inf, 1.0], ["a", "b"], 3]
)
def test_other_targets_are_no_class_numbers(targets: object) -> None:
    assert read_class_numbers(np.array(targets)) is None


def test_numbers_become_rows() -> None:
    rows = encode_class_numbers(np.array([2, 0]), 3, where="data")
    assert (rows.dtype, rows.tolist()) == (np.float32, [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(DataError, match=r"^data: .* 0 to 2.*Received: -1 for sample 1, and 1 of 2"):
        encode_class_numbers(np.array([0, -1]), 3, where="data")
    with pytest.raises(DataError, match=r"Received: 3 for sample 2.*They count from 1"):
        encode_class_numbers(np.array([1, 2, 3]), 3, where="data")
    with pytest.raises(DataError) as told:
        encode_class_numbers(np.array([0, 4]), 3, where="data")
    assert "count from 1" not in str(told.value)


def test_the_order_of_labels_matters() -> None:
    check_label_order(["ant", "bee"], ("ant", "bee"), where="data")
    with pytest.raises(DataError, match=r"data: .*'ant', 'bee'.*the same in another order, 'bee'"):
        check_label_order(["bee", "ant"], ("ant", "bee"), where="data")
    with pytest.raises(DataError, match=r"other ones, 'ant'\. "):
        check_label_order(["ant"], ("ant", "bee"), where="data")
    with pytest.raises(DataError, match="and 90 more"):
        check_label_order([str(x) for x in range(100)], ("ant", "bee"), where="data")
