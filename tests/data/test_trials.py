"""Files of trials: read, joined, written, and refused with file and line."""

import numpy as np
import pytest

from jaxbias.data.cue_conflict import Cues
from jaxbias.data.trials import COLUMNS, file_name, read_file, read_folder, write_file
from jaxbias.files import UsageError

HEADER = ",".join(COLUMNS)
LINES = (
    "subject-01,1,1,1.13,bird,bird,0,0001_s5n_s01_0_bird_00_bird3-bird2.png",
    "subject-01,1,2,0.87,clock,bird,0,0002_s5n_s01_0_bird_00_bird2-clock3.png",
    "subject-01,1,3,NaN,na,dog,0,0003_s5n_s01_0_dog_00_dog10-bicycle1.png",
)
NAME = "cue-conflict_subject-01_session_1.csv"


def write(folder, *lines, name=NAME, header=HEADER):
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_file_of_a_person(tmp_path):
    (found,) = read_file(write(tmp_path, *LINES))
    assert found.name == found.subject == "subject-01" and found.is_person
    assert found.experiment == "cue-conflict" and found.files == (NAME[:-4],)
    assert found.cues[1] == Cues("bird", 2, "clock", 3)
    np.testing.assert_array_equal(found.answers, [3, 9, -1])
    np.testing.assert_array_equal(found.shapes, [3, 3, 10])
    np.testing.assert_array_equal(found.textures, [3, 9, 2])


def test_headers_and_names_vary(tmp_path):
    header = "Subj, Session,trial,object_response,ImageName,category,IQA"
    lines = (
        "squeezenet1-1,1,1,cat, some/where/cat1-dog2.JPEG,cat,3",
        "squeezenet1-1,1,2,NA,C:\\x\\cat1-dog2.png,cat,",
        ",,,,,,",
        "",
    )
    path = write(
        tmp_path,
        *lines,
        header="\ufeff" + header,
        name="a-b_squeezenet1_1_session-1.csv",
    )
    (found,) = read_file(path)
    assert (found.experiment, found.is_person) == ("a-b", False)
    np.testing.assert_array_equal(found.answers, [7, -1])
    (found,) = read_file(write(tmp_path, *lines, header=header, name="any.csv"))
    assert found.experiment == "" and len(found.cues) == 2


def test_images_of_one_cue(tmp_path):
    path = write(tmp_path, "subject-01,1,1,1,cat,boat,0,0144_edg_0_boat_00_boat8.png")
    (found,) = read_file(path, conflict=False)
    assert found.cues == (Cues("boat", 8),) and found.textures[0] == -1
    with pytest.raises(UsageError, match="line 2: .*not named as cat7-elephant1.png"):
        read_file(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "line 1: no column subj"),
        (f"{HEADER}\n", "no trials"),
        (f"{HEADER},subj\n", "line 1: more than one column subj"),
        (f"{HEADER}\n{LINES[0][:30]}\n", "line 2: 7 values, 8 columns"),
        (f"{HEADER}\n{LINES[0]},1\n", "line 2: 9 values, 8 columns"),
        (
            "\n".join([HEADER, *LINES, LINES[0].replace("bird,bird", "brid,bird")]),
            "line 5",
        ),
        (
            "\n".join([HEADER, LINES[0].replace("bird,bird", "bird,cat")]),
            "category 'cat'",
        ),
        (
            "\n".join([HEADER, LINES[0].replace("bird3-bird2", "bird3")]),
            "line 2: '0001",
        ),
        ("\n".join([HEADER, LINES[0][10:]]), "line 2: no subj"),
        (f"{HEADER}\n{LINES[0]}\n\x00\x01", "line 3|not a CSV"),
        (
            "\n".join([HEADER, LINES[0].replace("-01", "-02", 1)]),
            "named of another obs",
        ),
    ],
)
def test_damaged_files_are_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / NAME
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        read_folder(tmp_path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_what_is_no_text_or_no_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no files of trials"):
        read_folder(tmp_path)
    (tmp_path / NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a CSV file"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        read_folder(tmp_path / NAME)
    with pytest.raises(UsageError, match="No such file"):
        read_file(tmp_path / "none.csv")


def test_sessions_of_an_observer_are_joined(tmp_path):
    write(tmp_path, *LINES)
    later = (line.replace("-01,1", "-01,2") for line in LINES[:2])
    write(tmp_path, *later, name="cue-conflict_subject-01_session_2.csv")
    write(tmp_path, LINES[0].replace("-01", "-02", 1), name="b.csv")
    (tmp_path / "notes.txt").write_text("no trials")
    (tmp_path / "._b.csv").write_bytes(b"\x00")
    first, second = read_folder(tmp_path)
    assert (first.name, second.name) == ("subject-01", "subject-02")
    np.testing.assert_array_equal(first.answers, [3, 9, -1, 3, 9])
    assert len(first.files) == 2 and len(first.cues) == 5


def test_two_networks_of_one_name_stay_apart(tmp_path):
    for name in ("x_alexnet_session_1", "x_alexnet_session-1"):
        write_file(
            tmp_path / f"{name}.csv", "alexnet", ["cat1-dog2.png"], np.array([7])
        )
    write_file(
        tmp_path / "x_vgg_session-1.csv", "vgg", ["cat1-dog2.png"], np.array([7])
    )
    found = read_folder(tmp_path)
    names = ["vgg", "x_alexnet_session-1", "x_alexnet_session_1"]
    assert [one.name for one in found] == names
    assert [one.subject for one in found] == ["vgg", "alexnet", "alexnet"]


def test_a_person_in_two_experiments_stays_apart(tmp_path):
    write(tmp_path, *LINES)
    later = (line.replace("-01,1", "-01,2") for line in LINES)
    write(tmp_path, *later, name="asked-for-shape_subject-01_session_2.csv")
    found = read_folder(tmp_path)
    assert [one.experiment for one in found] == ["asked-for-shape", "cue-conflict"]
    assert all(one.is_person and one.name == one.files[0] for one in found)


def test_a_file_of_several_observers(tmp_path):
    lines = (*LINES, LINES[1].replace("subject-01", "alexnet"))
    first, second = read_folder(write(tmp_path, *lines, name="all.csv").parent)
    assert (first.name, len(first.cues)) == ("alexnet", 1)
    assert (second.name, len(second.cues)) == ("subject-01", 3)


def test_what_is_written_is_read(tmp_path):
    images = ["cat1-dog2.png", "truck10-oven3.png", "bear1-bear1.png"]
    path = tmp_path / file_name("cue-conflict", "resnet50_x", 2)
    assert path.name == "cue-conflict_resnet50_x_session-2.csv"
    write_file(path, "resnet50_x", images, np.array([7, 14, -1]), session=2)
    assert path.read_text().splitlines()[:2] == [
        HEADER,
        "resnet50_x,2,1,NaN,cat,cat,NaN,cat1-dog2.png",
    ]
    (found,) = read_file(path)
    np.testing.assert_array_equal(found.answers, [7, 14, -1])
    assert [cue.name for cue in found.cues] == [name[:-4] for name in images]
    assert found.experiment == "cue-conflict"
    with pytest.raises(ValueError, match="not named"):
        write_file(tmp_path / "x.csv", "x", ["cat.png"], np.array([0]))
    with pytest.raises(ValueError, match="shorter"):
        write_file(tmp_path / "x.csv", "x", images, np.array([0]))
    assert not (tmp_path / "x.csv").exists()
