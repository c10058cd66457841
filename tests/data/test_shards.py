"""Tar shards: every image where its header says, and what is unsafe refused by name."""

import gzip
import io
import itertools
import lzma
import multiprocessing
import operator
import os
import pickle
import random
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxbias.data import images, shards
from jaxbias.data.archives import SourceError
from jaxbias.data.images import ImageError, decode
from jaxbias.data.shards import TarShards


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def member(name, data=b"", **changes):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def write(path, members, kind=tarfile.GNU_FORMAT):
    """A tar file of (name, bytes) or of what `member` makes; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=kind, encoding="utf-8") as tar:
        for each in members:
            info, data = each if isinstance(each[0], tarfile.TarInfo) else member(*each)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def folder(tmp_path):
    """Three shards of four images, with labels before and after them."""
    for shard in (2, 0, 1):
        members = []
        for i in (3, 0, 2, 1):
            pair = [(f"s{i}.png", png(10 * shard + i)), (f"s{i}.cls", b"%d" % (i % 3))]
            members += pair if i % 2 else pair[::-1]
            members.append((f"s{i}.json", b"{}"))
        write(tmp_path / f"t-{shard:02d}.tar", members)
    (tmp_path / "notes.txt").write_text("not a shard")
    (tmp_path / "._t-00.tar").write_text("nor this")
    return tmp_path


def check_folder(source):
    assert len(source) == 12 and source.classes == ("0", "1", "2")
    np.testing.assert_array_equal(source.labels, [0, 0, 2, 1] * 3)
    assert source.labels.dtype == np.int64
    order = [(shard, i) for shard in range(3) for i in (3, 0, 2, 1)]
    for index in random.Random(0).sample(range(12), 12):
        shard, i = order[index]
        assert source.name(index) == f"t-{shard:02d}.tar: s{i}.png"
        pixels, label = source[index]
        np.testing.assert_array_equal(pixels, decode(png(10 * shard + i)))
        assert pixels.dtype == np.uint8 and (type(label), label) == (int, i % 3)


def test_shards_in_order_and_images_in_any(folder):
    check_folder(TarShards.open(folder))
    check_folder(TarShards.open(str(folder)))
    check_folder(TarShards.open(folder / "t-{00..02}.tar"))
    check_folder(TarShards.open(f"{folder}/t-{{0..0}}{{0..2}}.tar"))
    one = TarShards.open(folder / "t-01.tar")
    assert [one.name(i) for i in (0, 3)] == ["t-01.tar: s3.png", "t-01.tar: s1.png"]
    np.testing.assert_array_equal(one[1][0], decode(png(10)))
    np.testing.assert_array_equal(one[-1][0], one[3][0])
    with pytest.raises(IndexError):
        one[4]
    assert len(list(one)) == 4


def test_patterns_over_folders_name_the_folder(tmp_path):
    for part in ("a1", "a2"):
        write(tmp_path / part / "x.tar", [("1.png", png(1))])
    source = TarShards.open(tmp_path / "a{1..2}" / "x.tar")
    assert [source.name(i) for i in range(2)] == ["a1/x.tar: 1.png", "a2/x.tar: 1.png"]


def test_a_relative_path(tmp_path, monkeypatch):
    write(tmp_path / "x-0.tar", [("1.png", png(1))])
    monkeypatch.chdir(tmp_path)
    for text in ("x-{0..0}.tar", "x-0.tar", "."):
        source = TarShards.open(text)
        assert source.name(0) == "x-0.tar: 1.png" and source[0][1] == 0


def test_a_file_may_have_braces_in_its_name(tmp_path):
    path = write(tmp_path / "x{0..3}.tar", [("1.png", png(1))])
    assert TarShards.open(path).shards == ("x{0..3}.tar",)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("x-{0..12}.tar", r"\{0\.\.12\} is no range"),
        ("x-{12..10}.tar", "is no range"),
        ("x-{a,b}.tar", "only ranges of numbers"),
        ("x-{a..c}.tar", "only ranges of numbers"),
        ("x-{0..3.tar", "only ranges of numbers"),
        ("x-{00..03..2}.tar", "only ranges of numbers"),
        ("x-{0000000..9999999}.tar", "more than 1000000 files"),
        ("x-{000000000000000000000..999999999999999999999}.tar", "only ranges"),
        ("{000..999}/{000..999}/{000..999}.tar", "more than 1000000 files"),
        ("x-{0..3}.tar", r"x-0\.tar: No such file"),
        ("absent.tar", r"absent\.tar: No such file"),
        ("", "no .tar files are in it"),
    ],
)
def test_patterns_that_are_refused(tmp_path, pattern, message):
    with pytest.raises(SourceError, match=message) as found:
        TarShards.open(tmp_path / pattern)
    assert str(tmp_path) in str(found.value)


def test_compressed_shards_in_a_folder_are_not_passed_over(folder):
    (folder / "t-03.tar.gz").write_bytes(b"")
    with pytest.raises(SourceError, match=r"t-03\.tar\.gz: compressed; unpack it"):
        TarShards.open(folder)


# Labels


def test_without_labels_there_is_one_class(tmp_path):
    path = write(tmp_path / "a.tar", [(f"{i}.png", png(i)) for i in range(3)])
    source = TarShards.open(path)
    assert source.classes == ("0",) and source.labels.tolist() == [0, 0, 0]
    assert TarShards.open(path, classes=["photo"]).classes == ("photo",)
    with pytest.raises(SourceError, match="no labels .* for the 2 classes"):
        TarShards.open(path, classes=["a", "b"])
    with pytest.raises(SourceError, match="list of classes is empty"):
        TarShards.open(path, classes=[])


def test_keys_are_webdataset_s(tmp_path):
    path = write(
        tmp_path / "a.tar",
        [
            *(("./x/1.png", png(1)), ("./y/1.JPG", png(2)), ("./y/1.cls", b" 4\n")),
            *(("x.y/2.seg.png", png(3)), ("x.y/2.cls", b"1"), ("./x/1.CLS", b"0")),
            ("orphan.cls", b"9"),
        ],
    )
    source = TarShards.open(path)
    assert source.labels.tolist() == [0, 4, 1]
    assert source.classes == ("0", "1", "2", "3", "4")
    assert TarShards.open(path, classes=list("abcdefghij")).classes[4] == "e"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"-1", "label -1, not from 0 to 2"),
        (b"3", "label 3, not from 0 to 2"),
        (b"", "'' is no label"),
        (b"1.0", "'1.0' is no label"),
        (b"1_0", "'1_0' is no label"),
        (b"cat\n", r"'cat\\n' is no label"),
        (b"\xff", r"'.ufffd' is no label"),
        (b"0" * 10_000, "'0+' is no label"),
    ],
)
def test_labels_that_are_refused(tmp_path, text, message):
    path = write(tmp_path / "a.tar", [("k/1.png", png(1)), ("k/1.cls", text)])
    with pytest.raises(SourceError, match=f"a.tar: k/1.cls: .*{message}") as found:
        TarShards.open(path, classes=["a", "b", "c"])
    assert "\n" not in str(found.value)


def test_absurd_labels_are_not_counted_up_to(tmp_path):
    path = write(tmp_path / "a.tar", [("1.png", png(1)), ("1.cls", b"1" + b"0" * 15)])
    with pytest.raises(SourceError, match="1.cls: label 10+, not from 0 to 1048575"):
        TarShards.open(path)


def test_a_label_that_is_missing_is_named(tmp_path):
    write(tmp_path / "0.tar", [("1.png", png(1)), ("2.png", png(2))])
    write(tmp_path / "1.tar", [("1.png", png(1)), ("1.cls", b"0")])
    with pytest.raises(SourceError, match=r"/0\.tar: 1\.png: has no label"):
        TarShards.open(tmp_path)


# Members


def test_what_is_no_image_is_left_out(tmp_path):
    path = write(
        tmp_path / "a.tar",
        [
            member("dir.jpg", type=tarfile.DIRTYPE),
            *(("._1.png", b"resource fork"), (".hidden/1.png", b"x"), (".png", b"x")),
            *(("1.txt", b"a caption"), ("/etc/notes", b"x"), ("1.png", png(1))),
            member("latest", type=tarfile.SYMTYPE, linkname="1.png"),
        ],
    )
    assert TarShards.open(path).members == ("1.png",)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (member("/1.png", png(1)), "/1.png: its name leads out"),
        (member("a/../../1.png", png(1)), r"a/\.\./\.\./1\.png: its name leads out"),
        (member("../1.cls", b"0"), r"\.\./1\.cls: its name leads out"),
        (member("1.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
        (member("1.png", type=tarfile.LNKTYPE, linkname="0.png"), "a link"),
        (member("1.png", type=tarfile.CHRTYPE), "a device"),
        (member("1.png", type=tarfile.FIFOTYPE), "a device"),
        (member("1.cls", type=tarfile.SYMTYPE, linkname="0.cls"), "1.cls: a link"),
        (
            member("1.png", png(1), pax_headers={"GNU.sparse.size": "9"}),
            "sparse, not a plain",
        ),
        (member("0.jpg", png(1)), r"0\.jpg: its sample has an image already, 0\.png"),
        (member("0.png", png(1)), r"0\.png: its sample has an image already, 0\.png"),
        (member("0.cls", b"0"), "0.cls: a second label"),
    ],
)
def test_members_that_are_refused(tmp_path, odd, message):
    ordinary = [("0.png", png(0)), ("0.cls", b"0")]
    path = write(tmp_path / "a.tar", [*ordinary, odd], tarfile.PAX_FORMAT)
    with pytest.raises(SourceError, match=message) as found:
        TarShards.open(path)
    assert str(found.value).startswith(f"{path}: {odd[0].name}: ")


def test_a_member_that_is_too_large(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tar", [("1.png", png(1))])
    monkeypatch.setattr(images, "MOST_FILE_BYTES", 10)
    with pytest.raises(SourceError, match=r"a\.tar: 1\.png: \d+ bytes, over 10"):
        TarShards.open(path)


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_every_kind(tmp_path, kind):
    names = [
        *(
            "ümlaut 名.png",
            "with space/ü/1.png",
            "a" * 300 + ".png",
            "b/" * 120 + "c.png",
        ),
        *("line\nbreak.png", "\udcff\udcfe.png", "emoji \U0001f600.png"),
    ]
    members = [(name, png(i)) for i, name in enumerate(names)]
    labels = [(name[:-4] + ".cls", b"%d" % i) for i, name in enumerate(names)]
    source = TarShards.open(write(tmp_path / "ä b.tar", members + labels, kind))
    assert list(source.members) == names
    assert source.labels.tolist() == list(range(len(names)))
    for i in range(len(names)):
        np.testing.assert_array_equal(source[i][0], decode(png(i)))
    assert source.name(0) == "ä b.tar: ümlaut 名.png"
    assert source.name(4) == r"ä b.tar: line\nbreak.png"
    assert source.name(5) == r"ä b.tar: \udcff\udcfe.png"


# Files that are no tar, or no longer


def damaged(whole):
    """Changed archives, and the message that each gets."""
    flipped = bytearray(whole)
    flipped[1024 + 150] ^= 1  # The checksum of the second header.
    return {
        "gz": (gzip.compress(whole), "compressed; unpack it"),
        "xz": (lzma.compress(whole), "compressed; unpack it"),
        "html": (b"\n <!DOCTYPE html>" + bytes(2000), "a web page"),
        "text": (b"just text" * 200, "not a tar file"),
        "short": (b"text", "not a tar file"),
        "nothing": (b"", "empty, not a tar file"),
        "payload": (whole[:600], "0.png: reaches beyond the file's 600 bytes"),
        "header": (whole[:1100], "damaged or cut short at byte 1024"),
        "members": (whole[:2048], "damaged or cut short at byte 2048"),
        "end": (whole[: 3 * 1024 + 100], "damaged or cut short at byte 3072"),
        "flipped": (bytes(flipped), "damaged or cut short at byte 1024"),
        "two": (whole + whole, "goes on after its end at byte 3072"),
    }


WHOLE = [("0.png", png(0)), ("1.png", png(1)), ("2.png", png(2))]


@pytest.mark.parametrize("change", list(damaged(bytes(10_240))))
def test_damaged_shards_are_named(tmp_path, change):
    path = write(tmp_path / "a.tar", WHOLE)
    data, message = damaged(path.read_bytes())[change]
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as found:
        TarShards.open(path)
    assert str(found.value).startswith(f"{path}: ") and "\n" not in str(found.value)


PLAIN = [tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE]
LONG = [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME]


def header(name, size, kind):
    """One block that claims a size, which may be below 0."""
    info, _ = member(name, type=kind)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (b"\x80" if size >= 0 else b"\xff") + size.to_bytes(
        11, "big", signed=True
    )
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        *itertools.product([2**40, 2**80, -512, -1024, -(2**40)], LONG + PLAIN),
        # An extended header with it is of no blocks.
        *itertools.product([-1], PLAIN),
    ],
)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.timeout(20)
def test_sizes_that_lie(tmp_path, size, kind, first):
    """Nothing of that size is allocated, and no member is read for ever."""
    path = write(tmp_path / "a.tar", WHOLE)
    data, lie = path.read_bytes(), header("9.png", size, kind)
    path.write_bytes(lie + data if first else data[:1024] + lie + data[1024:])
    with pytest.raises(SourceError, match=r"a\.tar: "):
        TarShards.open(path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar")
    (tmp_path / "folder" / "x.tar").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"pipe\.tar: not a file"):
        TarShards.open(tmp_path / "pipe.tar")
    with pytest.raises(SourceError, match=r"folder/x\.tar: not a file"):
        TarShards.open(tmp_path / "folder")


def test_an_empty_set(tmp_path):
    write(tmp_path / "0.tar", [])
    write(tmp_path / "1.tar", [("1.txt", b"x")])
    for name in ("0.tar", "1.tar", ""):
        with pytest.raises(SourceError, match="no images are in it"):
            TarShards.open(tmp_path / name)
    write(tmp_path / "2.tar", [("1.png", png(1))])
    assert TarShards.open(tmp_path).name(0) == "2.tar: 1.png"


@given(st.lists(st.tuples(st.integers(0, 10_239), st.integers(1, 255)), max_size=3))
@settings(
    max_examples=150,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_damage_is_refused_or_harmless(tmp_path, changes):
    path = write(tmp_path / "a.tar", WHOLE)
    data = bytearray(path.read_bytes())
    for place, bits in changes:
        data[place] ^= bits
    path.write_bytes(data)
    try:
        source = TarShards.open(path)
    except SourceError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
        return
    for index in range(len(source)):
        try:
            source[index]
        except ImageError as error:
            assert str(error).startswith("a.tar: ")


PARTS = st.text("aü名 _-", min_size=1, max_size=60)


@given(
    st.lists(
        st.tuples(st.lists(PARTS, min_size=1, max_size=3), st.integers(0, 9)),
        min_size=1,
        max_size=8,
        unique_by=lambda pair: "/".join(pair[0]),
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.randoms(use_true_random=False),
)
@settings(
    max_examples=60,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_tar_comes_back(tmp_path, samples, kind, order):
    members = [("/".join(p) + ".png", png(i)) for i, (p, _) in enumerate(samples)]
    labels = [("/".join(parts) + ".cls", b"%d" % label) for parts, label in samples]
    mixed = members + labels
    order.shuffle(mixed)
    source = TarShards.open(write(tmp_path / "a.tar", mixed, kind))
    expected = [name for name, _ in mixed if name.endswith(".png")]
    assert list(source.members) == expected
    found = dict(zip(source.members, range(len(source)), strict=True))
    for i, (parts, label) in enumerate(samples):
        pixels, mark = source[found["/".join(parts) + ".png"]]
        np.testing.assert_array_equal(pixels, decode(png(i)))
        assert mark == label


# Reading


def test_an_image_that_cannot_be_decoded_is_named(tmp_path):
    members = [("0.png", png(0)), ("k/1.png", b"nothing"), ("2.jpg", b"")]
    source = TarShards.open(write(tmp_path / "a.tar", members))
    with pytest.raises(ImageError, match=r"^a\.tar: k/1\.png: cannot identify"):
        source[1]
    with pytest.raises(ImageError, match=r"^a\.tar: 2\.jpg: cannot identify"):
        source[2]
    assert source[0][1] == 0


def test_a_shard_that_changes_is_named(tmp_path):
    path = write(tmp_path / "a.tar", WHOLE)
    source = TarShards.open(path)
    with path.open("r+b") as file:
        file.truncate(1024)
    with pytest.raises(ImageError, match=r"^a\.tar: 1\.png: .*size has changed"):
        source[1]
    write(path, WHOLE)
    source[0]
    with path.open("r+b") as file:
        file.truncate(600)
    with pytest.raises(ImageError, match=r"^a\.tar: 1\.png: .*became shorter"):
        source[1]
    source.close()
    path.unlink()
    with pytest.raises(ImageError, match=r"^a\.tar: 1\.png: No such file"):
        source[1]


def open_shards(folder):
    """Descriptors of this process that lead below a folder."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    return sum(target.startswith(str(folder)) for target in targets)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux tells")
def test_descriptors_are_opened_late_few_and_closed(folder, monkeypatch):
    source = TarShards.open(folder)
    assert open_shards(folder) == 0
    check_folder(source)
    assert open_shards(folder) == 3
    source.close()
    assert open_shards(folder) == 0
    check_folder(source)
    del source
    assert open_shards(folder) == 0
    monkeypatch.setattr(shards, "MOST_OPEN", 2)
    source = TarShards.open(folder)
    check_folder(source)
    assert open_shards(folder) == 2


def test_threads_share_a_source(folder, monkeypatch):
    """Also while shards fall out of the cache below the readers' feet."""
    monkeypatch.setattr(shards, "MOST_OPEN", 1)
    source = TarShards.open(folder)
    expected = [image.tobytes() for image, _ in source]
    indices = [random.Random(1).randrange(12) for _ in range(1500)]
    with ThreadPoolExecutor(8) as threads:
        for index, (image, _) in zip(
            indices, threads.map(source.__getitem__, indices), strict=True
        ):
            assert image.tobytes() == expected[index]


def test_pickles_hold_no_descriptors(folder):
    source = TarShards.open(folder)
    check_folder(source)
    check_folder(pickle.loads(pickle.dumps(source)))
    check_folder(source)


def test_worker_processes_read_for_themselves(folder):
    source = TarShards.open(folder)
    expected = [image for image, _ in source]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as workers:
        jobs = [workers.submit(operator.getitem, source, i) for i in (5, 11)]
        for index, job in zip((5, 11), jobs, strict=True):
            image, label = job.result()
            np.testing.assert_array_equal(image, expected[index])
            assert label == source.labels[index]


@pytest.mark.filterwarnings("ignore:.*fork")  # JAX and Python advise against it.
def test_a_fork_reads_on(folder):
    source = TarShards.open(folder)
    expected = [image.tobytes() for image, _ in source]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = all(source[i][0].tobytes() == expected[i] for i in range(12))
            source.close()
            os.write(writing, b"same" if same else b"other")
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        assert file.read() == b"same"
    os.waitpid(child, 0)
    check_folder(source)
