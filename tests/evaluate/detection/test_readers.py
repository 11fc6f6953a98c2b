"""Every kind of annotation: read rightly, and refused in words where it is damaged, hostile or missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pocketface.errors import InvalidData
from pocketface.evaluate.detection import open_detection_set

Paint = Callable[..., Path]


def cells(values: list[object]) -> np.ndarray:
    out = np.empty((len(values), 1), object)
    out[:, 0] = values
    return out


def write_lists(folder: Path, **changes: object) -> None:
    """Two events; the first with two pictures. Boxes are left, top, width, height; faces are numbered from 1."""
    folder.mkdir(exist_ok=True)
    none = np.empty((0, 1))
    boxes = [[[[1, 2, 10, 20], [5, 5, 3, 3], [9, 9, 2, 2]], [[0, 0, 4, 4]]], [[[2, 2, 8, 8]]]]
    lists = {
        "event_list": cells(["0--Parade", "1--Handshaking"]),
        "file_list": cells([cells(["a", "b"]), cells(["c"])]),
        "face_bbx_list": cells([cells([np.array(b, np.int32) for b in event]) for event in boxes]),
    }
    savemat(folder / "wider_face_val.mat", {**lists, **changes})
    kept = {
        "easy": [[[1], none], [none]],
        "medium": [[[1], [1]], [none]],
        "hard": [[[1, 2], [1]], [none]],
    }
    for level, events in kept.items():
        numbers = cells([cells([np.array(n, np.uint8).reshape(-1, 1) for n in event]) for event in events])
        savemat(folder / f"wider_{level}_val.mat", {"gt_list": numbers}, do_compression=True)


@pytest.fixture
def wider(tmp_path: Path, paint: Paint) -> Path:
    for name in ("0--Parade/a", "0--Parade/b", "1--Handshaking/c"):
        paint(f"WIDER_val/images/{name}.jpg", 0)
    write_lists(tmp_path / "ground_truth")
    return tmp_path


class TestWiderLists:
    def test_boxes_and_subsets(self, wider: Path) -> None:
        data = open_detection_set(wider)
        assert data.official
        assert [p.name for p in data.pictures] == ["0--Parade/a", "0--Parade/b", "1--Handshaking/c"]
        a, b, c = data.pictures
        assert a.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 8, 8], [9, 9, 11, 11]]
        assert {level: mask.tolist() for level, mask in a.subsets.items()} == {
            "easy": [True, False, False],
            "medium": [True, False, False],
            "hard": [True, True, False],
        }
        assert [p.ignore.tolist() for p in (a, b, c)] == [[False, False, True], [False], [True]]
        assert data.faces == 3

    def test_the_folder_of_pictures_may_be_named(self, wider: Path, tmp_path: Path) -> None:
        (wider / "WIDER_val" / "images").rename(tmp_path / "elsewhere")
        with pytest.raises(InvalidData, match="--images"):
            open_detection_set(wider)
        lists = wider / "ground_truth" / "wider_face_val.mat"
        assert len(open_detection_set(lists, tmp_path / "elsewhere").pictures) == 3

    def test_a_missing_picture_is_counted_and_strict_stops(self, wider: Path) -> None:
        (wider / "WIDER_val/images/0--Parade/b.jpg").unlink()
        data = open_detection_set(wider)
        assert len(data.pictures) == 2
        assert len(data.problems) == 1
        assert "b.jpg" in data.problems[0]
        with pytest.raises(InvalidData, match=r"b\.jpg.*--strict"):
            open_detection_set(wider, strict=True)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"file_list": cells([cells(["a"]), cells(["c"])])}, "fit together"),
            ({"face_bbx_list": np.eye(3)}, "fit together"),
            ({"event_list": cells(["../../etc", "1--Handshaking"])}, "out of the folder"),
        ],
    )
    def test_lists_that_do_not_fit(self, wider: Path, changes: dict[str, object], words: str) -> None:
        write_lists(wider / "ground_truth", **changes)
        with pytest.raises(InvalidData, match=words):
            open_detection_set(wider)

    def test_a_missing_list_is_named(self, wider: Path) -> None:
        (wider / "ground_truth" / "wider_hard_val.mat").unlink()
        with pytest.raises(InvalidData, match="wider_hard_val"):
            open_detection_set(wider)


WIDER_TEXT = """0--Parade/a.jpg
3
1 2 10 20 0 0 0 0 0 0
5 5 3 3 2 0 0 1 2 0
7 7 0 5 0 0 0 0 0 0
0--Parade/none.jpg
0
0 0 0 0 0 0 0 0 0 0
0--Parade/empty.jpg
0
1--Handshaking/c.jpg
1
2 2 8 8
"""


class TestWiderText:
    @pytest.fixture
    def file(self, tmp_path: Path, paint: Paint) -> Path:
        for name in ("0--Parade/a", "0--Parade/none", "0--Parade/empty", "1--Handshaking/c"):
            paint(f"WIDER_val/images/{name}.jpg", 0)
        path = tmp_path / "wider_face_split" / "wider_face_val_bbx_gt.txt"
        path.parent.mkdir()
        path.write_text(WIDER_TEXT)
        return path

    def test_boxes_invalid_faces_and_pictures_without_any(self, file: Path) -> None:
        for data in (open_detection_set(file), open_detection_set(file.parent.parent)):
            assert not data.official
            assert [len(p.boxes) for p in data.pictures] == [3, 0, 0, 1]
            assert data.pictures[0].ignore.tolist() == [False, True, True]
            assert data.pictures[3].boxes.tolist() == [[2, 2, 10, 10]]

    @pytest.mark.parametrize(
        "text", ["a.jpg\n", "a.jpg\nmany\n", "a.jpg\n2\n1 2 3 4\n", "a.jpg\n1\n1 2 3\n", "a.jpg\n-1\n", "a.jpg\n1\nx\n"]
    )
    def test_damage_is_named(self, file: Path, text: str) -> None:
        file.write_text(text)
        with pytest.raises(InvalidData, match=r"a\.jpg"):
            open_detection_set(file)

    @pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd"])
    def test_no_way_out_of_the_folder(self, file: Path, name: str) -> None:
        file.write_text(f"{name}\n0\n")
        with pytest.raises(InvalidData, match="out of the folder"):
            open_detection_set(file)

    def test_bytes_that_are_no_text(self, file: Path) -> None:
        file.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InvalidData, match="text"):
            open_detection_set(file)


def voc(*objects: str, filename: str = "a.png", head: str = "") -> str:
    return f"{head}<annotation><filename>{filename}</filename>{''.join(objects)}</annotation>"


def an_object(box: str = "1 2 11 22", name: str = "face", extra: str = "") -> str:
    sides = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=False))
    return f"<object><name>{name}</name>{extra}<bndbox>{sides}</bndbox></object>"


class TestVoc:
    @pytest.fixture
    def folder(self, tmp_path: Path, paint: Paint) -> Path:
        paint("set/JPEGImages/a.png", 0)
        (tmp_path / "set" / "Annotations").mkdir()
        return tmp_path / "set" / "Annotations"

    def test_boxes_difficult_faces_and_classes(self, folder: Path) -> None:
        hard = an_object("5 5 8 8", "mask", "<difficult>1</difficult>")
        (folder / "a.xml").write_text(voc(an_object(), hard))
        for data in (open_detection_set(folder), open_detection_set(folder.parent)):
            assert data.pictures[0].boxes.tolist() == [[1, 2, 11, 22], [5, 5, 8, 8]]
            assert data.pictures[0].ignore.tolist() == [False, True]
            assert "face, mask" in data.notes[0]

    @pytest.mark.parametrize("filename", ["", "C:\\shots\\a.png", "other.png", "../../../a.png"])
    def test_the_picture_is_found_by_its_own_name(self, folder: Path, filename: str) -> None:
        (folder / "a.xml").write_text(voc(an_object(), filename=filename))
        assert open_detection_set(folder).pictures[0].path == folder.parent / "JPEGImages" / "a.png"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("<annotation>", "XML"),
            ("", "XML"),
            (voc(an_object("1 2 11")), "ymax"),
            (voc(an_object("1 2 x 4")), "numbers"),
            (voc(an_object("1 2 nan 4")), "finite"),
            (voc("<object/>"), "numbers"),
            (voc(an_object(), head='<!DOCTYPE a [<!ENTITY b "face">]>'), "document type"),
            (voc(an_object(), head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "document type"),
        ],
    )
    def test_damage_and_entities_are_refused(self, folder: Path, text: str, words: str) -> None:
        (folder / "a.xml").write_text(text)
        with pytest.raises(InvalidData, match=words) as e:
            open_detection_set(folder)
        assert "a.xml" in str(e.value)

    def test_a_bomb_in_another_encoding_is_refused_too(self, folder: Path) -> None:
        levels = "".join(f'<!ENTITY b{i + 1} "{f"&b{i};" * 10}">' for i in range(9))
        bomb = f'<!DOCTYPE a [<!ENTITY b0 "lol">{levels}]><annotation>&b9;</annotation>'
        (folder / "a.xml").write_bytes(bomb.encode("utf-16"))
        with pytest.raises(InvalidData, match="document type"):
            open_detection_set(folder)


class TestJson:
    @pytest.fixture
    def write(self, tmp_path: Path, paint: Paint) -> Callable[[object], Path]:
        paint("a.png", 0)
        paint("b.png", 0)

        def make(listed: object) -> Path:
            path = tmp_path / "faces.json"
            path.write_text(listed if isinstance(listed, str) else json.dumps(listed))
            return path

        return make

    def test_boxes_landmarks_and_ignored_faces(self, write: Callable[[object], Path]) -> None:
        points = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
        faces = [{"box": [0, 0, 5, 5], "landmarks": points}, {"box": [1, 1, 3, 3], "ignore": True}]
        listed = [{"file": "a.png", "faces": faces}, {"file": "b.png", "faces": [{"box": [5, 5, 1, 1]}]}]
        a, b = open_detection_set(write(listed)).pictures
        assert a.landmarks is not None
        assert a.landmarks[0].tolist() == points
        assert np.isnan(a.landmarks[1]).all()
        assert a.ignore.tolist() == [False, True]
        assert b.ignore.tolist() == [True], "a box turned inside out cannot be found"

    @pytest.mark.parametrize(
        ("listed", "words"),
        [
            ("[", "list of pictures"),
            ([{"file": "a.png"}], "faces"),
            ([{"file": "a.png", "faces": [{"box": [1, 2, 3]}]}], "box"),
            ([{"file": "../a.png", "faces": []}], "out of the folder"),
            ([{"file": "none.png", "faces": []}], "none of its 1"),
            ([{"file": "a.png", "faces": []}], "no face"),
            ([], "none of its 0"),
        ],
    )
    def test_damage_is_named(self, write: Callable[[object], Path], listed: object, words: str) -> None:
        with pytest.raises(InvalidData, match=words):
            open_detection_set(write(listed))


def test_a_folder_with_nothing_known_says_what_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidData, match=r"wider_face_val\.mat.*\.xml.*\.json"):
            open_detection_set(path)
