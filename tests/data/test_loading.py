from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.data import load_samples, load_split
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import DataError, StorageError, UsageError
from tfxfer.images.modality import ImageModality
from tfxfer.preprocessing import Preprocessing
from tfxfer_heads import Multilabel

Folders = Callable[..., Path]
Picture = Callable[..., Image.Image]


IMAGES: Any = {"modality": ImageModality(), "size": 32, "contract": Preprocessing()}


def load(path: Path, head: Any, **options: Any) -> SampleData:
    return load_samples(path, head=head, **{**IMAGES, **options})


def load_part(path: Path, head: Any, labels: tuple[str, ...]) -> SampleSplit:
    return load_split(path, head=head, labels=labels, **IMAGES)


def places(data: SampleData) -> dict[str, str]:
    return {row.path: row.split for row in data.rows}


def test_a_folder_becomes_three_parts(folders: Folders, head: Any) -> None:
    data = load(folders(ants=20, bees=40), head)
    assert len(data.train) + len(data.val) + len(data.test) == 60
    assert 30 <= len(data.train) <= 52
    assert data.labels == data.train.labels == ("ants", "bees")
    assert data.train.targets.shape == (len(data.train), 2)
    assert data.train.targets.dtype == np.float32
    assert all(len(set(part.raw_labels)) == 2 for part in (data.train, data.val, data.test))
    assert [part.name for part in (data.train, data.val, data.test)] == ["train", "val", "test"]
    paths = [*data.train.paths, *data.val.paths, *data.test.paths]
    assert len(set(paths)) == 60
    assert data.val.raw_labels == tuple(path.split("/")[0] for path in data.val.paths)
    assert data.audit.problems == ()


def test_the_seed_decides(folders: Folders, head: Any) -> None:
    root = folders(a=20, b=20)
    first, again, other = (load(root, head, seed=seed) for seed in (1, 1, 2))
    assert places(first) == places(again)
    assert places(first) != places(other)
    assert first.fingerprint == again.fingerprint == other.fingerprint
    assert first.train.seed == 1


def test_the_fingerprint_tells_data_apart(folders: Folders, head: Any, picture: Picture) -> None:
    root = folders(a=6, b=6)
    before = load(root, head).fingerprint
    assert len(before) == 64
    moved = shutil.copytree(root, root.parent / "elsewhere")
    assert load(moved, head).fingerprint == before
    picture(555).save(root / "a/000.png")
    changed = load(root, head).fingerprint
    assert changed != before
    (root / "a/001.png").rename(root / "b/new.png")
    assert load(root, head).fingerprint not in (before, changed)


def test_copies_are_never_on_two_sides(folders: Folders, head: Any) -> None:
    root = folders(a=20, b=20)
    for number in range(20):
        with Image.open(root / f"a/{number:03}.png") as image:
            image.save(root / f"a/{number:03}.jpg", quality=90)

    def count_leaks(data: SampleData) -> int:
        of = places(data)
        return sum(of[f"a/{n:03}.png"] != of[f"a/{n:03}.jpg"] for n in range(20))

    assert count_leaks(load(root, head)) == 0
    assert count_leaks(load(root, head, near_duplicates=False)) > 3


def test_groups_of_a_table_stay_together(folders: Folders, head: Any) -> None:
    root = folders(a=24, b=24)
    rows = [f"{c}/{n:03}.png,{c},m{n // 4}" for c in "ab" for n in range(24)]
    (root / "t.csv").write_text("\n".join(["path,label,group", *rows]))
    data = load(root / "t.csv", head)
    sides = {(path.split("/")[1][:3], part) for path, part in places(data).items()}
    assert len({(int(n) // 4, part) for n, part in sides}) == 6
    assert {row.group for row in data.rows} == {f"a/{4 * n:03}.png" for n in range(6)}


def test_given_parts_stay_and_the_test_part_is_kept_clean(folders: Folders, head: Any) -> None:
    root = folders("photos/train", a=8, b=8).parent
    for part in ("val", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
    for number, part in ((5, "val"), (6, "val"), (6, "test"), (7, "test")):
        for name in ("a", "b"):
            # Both a move and a copy: image 6 is in all three parts.
            source = root / f"train/{name}/{number:03}.png"
            if number == 6:
                shutil.copy(source, root / f"{part}/{name}/copy.png")
            else:
                source.rename(root / f"{part}/{name}/{number:03}.png")
    data = load(root, head)
    assert Counter(places(data).values()) == {"train": 10, "val": 2, "test": 4}
    leaks = {p.path for p in data.audit.problems if p.kind == "split_leak"}
    assert leaks == {
        "train/a/006.png", "train/b/006.png", "val/a/copy.png", "val/b/copy.png"
    }  # fmt: skip
    assert all(p.skipped for p in data.audit.problems if p.kind == "split_leak")
    with pytest.raises(DataError, match="split_leak"):
        load(root, head, strict=True)


def test_a_missing_test_part_is_taken_from_train(folders: Folders, head: Any) -> None:
    root = folders("photos/train", a=34, b=34).parent
    for name in ("a", "b"):
        (root / "val" / name).mkdir(parents=True)
        for number in range(6):
            (root / f"train/{name}/{number:03}.png").rename(root / f"val/{name}/{number:03}.png")
    data = load(root, head)
    assert (len(data.val), len(data.train) + len(data.test)) == (12, 56)
    assert 2 <= len(data.test) <= 20
    assert all(path.startswith("val/") for path in data.val.paths)
    assert all(path.startswith("train/") for path in data.test.paths)


def test_a_split_is_repeated_from_its_table(folders: Folders, head: Any, tmp_path: Path) -> None:
    root = folders(a=20, b=20)
    shutil.copy(root / "a/000.png", root / "b/wrong.png")
    data = load(root, head, seed=3)
    table = tmp_path / "run" / "split.csv"
    table.parent.mkdir()
    data.write_split(table)
    assert table.read_text().splitlines()[0] == "path,label,split,group,fingerprint"
    assert [p.name for p in table.parent.iterdir()] == ["split.csv"]
    again = load(root, head, seed=99, split_file=table)
    assert places(again) == places(data)
    assert again.rows == data.rows
    assert again.fingerprint == data.fingerprint
    ignored = [p.path for p in again.audit.problems if p.detail == "not in the split table"]
    assert ignored == ["a/000.png", "b/wrong.png"]


def test_a_table_that_no_longer_fits(folders: Folders, head: Any, tmp_path: Path) -> None:
    root = folders(a=8, b=8)
    table = tmp_path / "split.csv"
    load(root, head).write_split(table)
    text = table.read_text()
    (root / "a/000.png").rename(root / "b/moved.png")
    with pytest.raises(DataError, match=r"gone, first 'a/000\.png'"):
        load(root, head, split_file=table)
    (root / "b/moved.png").rename(root / "a/000.png")
    table.write_text(text.replace("a/000.png,a,", "a/000.png,b,"))
    with pytest.raises(DataError, match="is 'a' now and was 'b'"):
        load(root, head, split_file=table)
    for broken in ("", "path,label\n", text.replace(",train,", ",trian,"), text + "x\n"):
        table.write_text(broken)
        with pytest.raises(DataError, match="split table"):
            load(root, head, split_file=table)
    with pytest.raises(DataError, match="No such file"):
        load(root, head, split_file=tmp_path / "none.csv")


def test_an_unwritable_table(folders: Folders, head: Any, tmp_path: Path) -> None:
    data = load(folders(a=4, b=4), head)
    with pytest.raises(StorageError, match="No such file"):
        data.write_split(tmp_path / "no" / "folder" / "split.csv")
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError):
        data.write_split(tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_small_classes(folders: Folders, head: Any) -> None:
    root = folders(a=6, b=6, rare=2)
    data = load(root, head)
    assert data.labels == ("a", "b")
    assert [p.path for p in data.audit.skipped] == ["rare"]
    with pytest.raises(DataError, match="rare: small_class"):
        load(root, head, strict=True)


def test_numbers(folders: Folders, number_head: Any) -> None:
    root = folders(a=60)
    rows = [f"a/{n:03}.png,{n / 10}" for n in range(60)]
    (root / "t.csv").write_text("\n".join(["path,label", *rows]))
    data = load(root / "t.csv", number_head)
    assert data.labels == ("value",)
    assert data.train.targets.shape == (len(data.train), 1)
    for part in (data.val, data.test):
        assert part.targets.min() < 2
        assert part.targets.max() > 4


def test_several_labels(folders: Folders, word_head: Any) -> None:
    root = folders(a=40)
    names = ["x", "y", "x|y", "z|x"]
    rows = [f"a/{n:03}.png,{names[min(n // 12, 3)]}" for n in range(40)]
    (root / "t.csv").write_text("\n".join(["path,label", *rows]))
    data = load(root / "t.csv", word_head)
    assert data.labels == ("x", "y", "z")
    assert data.train.targets.sum(axis=1).max() == 2
    # `z|x` occurs four times: a class of its own would be too small, a combination is not.
    assert len(data.rows) == 40


def test_nothing_usable(folders: Folders, head: Any) -> None:
    root = folders(a=0, b=0)
    for name in ("a", "b"):
        (root / name / "x.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"none of them; a/x\.png: corrupt"):
        load(root, head)
    with pytest.raises(DataError, match="none of them"):
        load_part(root, head, ("a", "b"))


def test_numbers_that_cannot_be_meant(folders: Folders, head: Any) -> None:
    root = folders(a=4, b=4)
    with pytest.raises(UsageError, match="image size"):
        load(root, head, size=0)
    with pytest.raises(UsageError, match="seed"):
        load(root, head, seed=-1)
    with pytest.raises(UsageError, match="fractions"):
        load(root, head, fractions=(0.5, 0.5, 0.5))


def test_one_part_for_evaluation(folders: Folders, head: Any) -> None:
    root = folders(a=5, b=2)
    (root / "a/broken.png").write_bytes(b"x")
    shutil.copy(root / "a/000.png", root / "a/again.png")
    part = load_part(root, head, ("b", "other", "a"))
    assert part.name == "test"
    assert len(part) == 8
    assert part.labels == ("b", "other", "a")
    assert part.targets.sum(axis=0).tolist() == [2, 0, 6]
    assert [(p.path, p.kind) for p in part.skipped] == [("a/broken.png", "corrupt")]


def test_evaluation_takes_the_test_part_where_there_is_one(folders: Folders, head: Any) -> None:
    root = folders("photos/train", a=5, b=5).parent
    folders("photos/test", a=3, b=3)
    part = load_part(root, head, ("a", "b"))
    assert {path.split("/")[0] for path in part.paths} == {"test"}


def test_evaluation_refuses_unknown_labels(folders: Folders, head: Any) -> None:
    with pytest.raises(DataError, match="Received: 'b', 'c'"):
        load_part(folders(a=3, b=3, c=3), head, ("a", "x"))


def test_photos_of_other_kinds_never_vanish(folders: Folders, head: Any) -> None:
    root = folders(a=6, b=6)
    (root / "star").mkdir()
    for number in range(5):
        (root / f"star/{number}.avif").write_bytes(b"\0\0\0\x14ftypavif" + bytes(100 + number))
    (root / "a/phone.jpg").write_bytes(b"\0\0\0\x14ftypavif" + bytes(50))
    data = load(root, head)
    skipped = {problem.path: problem.detail for problem in data.audit.skipped}
    assert skipped.pop("star") == "none of its 5 images can be used"
    assert set(skipped) == {"a/phone.jpg", *(f"star/{number}.avif" for number in range(5))}
    assert all(detail.startswith("AVIF, which is not read") for detail in skipped.values())
    assert any("star: none of its 5" in line for line in data.audit.summary())
    with pytest.raises(DataError, match="Received: 7") as caught:
        load(root, head, strict=True)
    assert "star: small_class" in str(caught.value)


def test_a_class_of_broken_photos_is_told(folders: Folders, head: Any) -> None:
    root = folders(a=6, b=6, c=4)
    for path in (root / "c").iterdir():
        path.write_bytes(b"x")
    data = load(root, head)
    assert {"c": "none of its 4 images can be used"}.items() <= {
        p.path: p.detail for p in data.audit.skipped
    }.items()
    assert data.labels == ("a", "b")


def test_what_was_understood_is_said_first(folders: Folders, head: Any) -> None:
    root = folders("photos/training_set", a=8, b=8).parent
    folders("photos/test_set", a=3, b=3)
    for path in root.glob("test_set/*/*.png"):
        # Other pixels than those of train.
        with Image.open(path) as image:
            flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).convert("L")
        flipped.save(path)
    data = load(root, head)
    assert data.audit.summary()[:3] == [
        "understood training_set/ as train, test_set/ as test",
        "2 labels: a 11, b 11",
        "22 of 22 images are used",
    ]
    assert all(path.startswith("test_set/") for path in data.test.paths)
    assert not any(path.startswith("test_set/") for path in (*data.train.paths, *data.val.paths))


def test_one_level_off_is_in_the_error(folders: Folders, head: Any) -> None:
    root = folders("data/photos", a=4, b=4).parent
    with pytest.raises(DataError, match=r"at least two.*lie one level deeper.*data/photos'"):
        load(root, head)


def test_a_class_that_is_one_scene_is_told(folders: Folders, head: Any, picture: Picture) -> None:
    root = folders(a=12, b=12)
    (root / "burst").mkdir()
    scene = np.asarray(picture(999)).astype(np.int16)
    for number in range(8):
        noise = np.random.default_rng(number).integers(-2, 3, scene.shape)
        copy = (scene + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(copy).save(root / f"burst/{number}.png")
    data = load(root, head)
    (note,) = [line for line in data.audit.summary() if line.startswith("one sided class")]
    assert "burst: its 8 images are copies of one another and lie in train alone" in note
    assert not [p for p in data.audit.skipped if p.path == "burst"]
    apart = load(root, head, near_duplicates=False)
    assert "one_sided_class" not in apart.audit.count_kinds()


def test_the_range_of_deep_files_is_settled_once(
    tmp_path: Path, head: Any, picture: Picture
) -> None:
    for rank, name in enumerate(("dark", "bright")):
        (tmp_path / "d" / name).mkdir(parents=True)
        for number in range(6):
            rng = np.random.default_rng([rank, number])
            grey = (400 + 2800 * rank + rng.normal(0, 60, (32, 32))).astype(np.uint16)
            Image.fromarray(grey).save(tmp_path / "d" / name / f"{number}.tif")
    data = load(tmp_path / "d", head)
    assert data.train.contract == data.test.contract == Preprocessing(white=4095)
    assert "one colour all over" not in {p.detail for p in data.audit.problems}
    assert any("white is 4,095" in line for line in data.audit.summary())
    means = [data.train.read_views([i]).mean() for i in range(len(data.train))]
    assert max(means) - min(means) > 150
    # A model that has settled it keeps it.
    for white, told in ((65535, False), (4095, False), (1023, True)):
        settled = Preprocessing(white=white)
        kept = load(tmp_path / "d", head, contract=settled)
        assert kept.train.contract == settled
        assert any("what is brighter becomes white" in line for line in kept.audit.notes) is told
        options = {**IMAGES, "contract": settled}
        part = load_split(tmp_path / "d", head=head, labels=("bright", "dark"), **options)
        assert part.contract == settled
        assert [note for note in part.notes if "becomes white" in note] == list(part.notes)
        assert bool(part.notes) is told
    # One that was trained on 8 bits reads these as it would read any.
    part = load_part(tmp_path / "d", head, ("bright", "dark"))
    assert part.contract == Preprocessing()
    assert part.notes == (
        "the model reads images as those it was trained on, though these ask for white=4095",
    )


def test_tags_in_any_order_and_none(folders: Folders) -> None:
    root = folders(a=40)
    rows = [f"a/{n:03}.png,{('x|y', 'y|x', '', 'x')[n % 4]}" for n in range(40)]
    shutil.copy(root / "a/000.png", root / "a/copy.png")
    (root / "t.csv").write_text("\n".join(["path,label", *rows, "a/copy.png,y|x"]))
    data = load(root / "t.csv", Multilabel(), strict=True)
    assert data.labels == ("x", "y")
    assert len(data.rows) == 41
    assert data.audit.count_kinds() == {"duplicate": 1}
    assert "2 labels: x 31, y 21; 10 without any" in data.audit.summary()
    again = load_part(root / "t.csv", Multilabel(), ("x", "y"))
    assert len(again) == 41


def test_photos_that_are_added_moved_or_renamed_leave_the_split(
    folders: Folders, head: Any, picture: Picture
) -> None:
    root = folders(a=50, b=50)
    before = {row.fingerprint: row.split for row in load(root, head).rows}
    assert len(before) == 100
    for number in range(20):
        picture(5000 + number).save(root / f"a/added {number}.png")
    for number in range(50):
        (root / f"b/{number:03}.png").rename(root / f"b/renamed {49 - number}.png")
    after = {row.fingerprint: row.split for row in load(root, head).rows}
    assert len(after) == 120
    assert {key: after[key] for key in before} == before
    other = {row.fingerprint: row.split for row in load(root, head, seed=1).rows}
    assert {key: other[key] for key in before} != before


def test_an_earlier_split_is_followed(
    folders: Folders, head: Any, picture: Picture, tmp_path: Path
) -> None:
    root = folders(a=20, b=20)
    earlier = load(root, head, seed=5)
    table = tmp_path / "split.csv"
    earlier.write_split(table)
    before = {row.fingerprint: row.split for row in earlier.rows}
    for number in range(10):
        picture(5000 + number).save(root / f"a/added {number}.png")
    (root / "a/000.png").rename(root / "a/renamed.png")
    picture(7000).save(root / "b/001.png")  # edited: known by its path
    data = load(root, head, seed=0, split_from=table)
    after = {row.fingerprint: row.split for row in data.rows}
    assert {key: after[key] for key in set(before) & set(after)} == {
        key: part for key, part in before.items() if key in after
    }
    assert places(data)["b/001.png"] == places(earlier)["b/001.png"]
    assert data.split_words.startswith("40 of 50 images are where")
    # The control: another seed alone is another split.
    drawn = {row.fingerprint: row.split for row in load(root, head, seed=0).rows}
    assert any(drawn[key] != before[key] for key in set(before) & set(drawn))


def test_an_earlier_split_that_cannot_be_meant(folders: Folders, head: Any, tmp_path: Path) -> None:
    root = folders(a=8, b=8)
    table = tmp_path / "split.csv"
    table.write_text("path,label,split,group\nother/1.png,a,train,other/1.png\n")
    with pytest.raises(DataError, match="none of which it knows"):
        load(root, head, split_from=table)
    rows = [f"a/{n:03}.png,a,train" for n in range(8)] + [f"b/{n:03}.png,b,train" for n in range(8)]
    (root / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    with pytest.raises(DataError, match="no parts of their own"):
        load(root / "t.csv", head, split_from=table)
