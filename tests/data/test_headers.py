"""Headers: what a file says of itself, from every kind of source, pixels unread."""

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxbias.data import images
from jaxbias.data.archives import ImageSet
from jaxbias.data.headers import header, read_header
from jaxbias.data.images import ImageError, ImageFolder
from jaxbias.data.prepared import TfdsSource
from jaxbias.data.shards import TarShards
from jaxbias.data.sources import Subset

NASTY = Path(__file__).parents[2].parent / "shared" / "data" / "nasty"

# Luminance at quality 50 is the table of the JPEG standard (Annex K.1), first row.
STANDARD = (16, 11, 10, 16, 24, 40, 51, 61)


def encoded(kind="JPEG", size=(24, 16), mode="RGB", **options):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def test_a_jpeg_says_all():
    data = encoded(quality=50, subsampling=2)
    found = read_header(data)
    assert (found.width, found.height) == (24, 16)
    assert (found.codec, found.mode, found.bytes) == ("jpeg", "RGB", len(data))
    assert found.quantisation[0][:8] == STANDARD and len(found.quantisation) == 2
    assert not found.progressive and len(found.digest) == 8
    assert read_header(encoded(quality=50, progressive=True)).progressive


@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:2:0"])
def test_subsampling_is_named(name):
    assert read_header(encoded(subsampling=name)).subsampling == name


def test_odd_subsamplings_are_spelled_out():
    data = encoded(subsampling="4:2:0")
    place = data.index(b"\xff\xc0") + 11  # The first component's factors.
    assert data[place] == 0x22
    for factors, name in ((0x41, "4:1:1"), (0x12, "4:4:0"), (0x31, "3x1,1x1,1x1")):
        changed = data[:place] + bytes([factors]) + data[place + 1 :]
        assert read_header(changed).subsampling == name
    assert read_header(encoded(mode="L")).subsampling is None
    assert read_header(encoded(mode="CMYK")).subsampling == "1x1,1x1,1x1,1x1"


def test_the_digest_tells_tables_apart_and_nothing_else():
    digest = lambda **options: read_header(encoded(**options)).digest  # noqa: E731
    assert digest(quality=75) == digest(quality=75, size=(8, 8), progressive=True)
    assert len({digest(quality=q) for q in (50, 75, 76, 95)}) == 4


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "LA"), ("GIF", "P"), ("WEBP", "RGB"), ("BMP", "L")]
)
def test_other_codecs_have_no_tables(kind, mode):
    found = read_header(encoded(kind, mode=mode))
    assert (found.codec, found.mode) == (kind.lower(), mode)
    assert (found.quantisation, found.digest) == ((), "")
    assert found.subsampling is None and not found.progressive


def test_pixels_are_not_needed():
    data = encoded("PNG")
    assert read_header(data[:60]).width == 24
    data = encoded(size=(200, 100))
    assert read_header(data[:1000]).height == 100


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot identify"),
        (b"just text", "cannot identify"),
        (encoded()[:30], "cannot identify|[Tt]runcated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify"),
    ],
)
def test_what_is_no_image_is_refused(data, message):
    with pytest.raises(ImageError, match=message):
        read_header(data)


def test_the_limits_of_decoding_hold(monkeypatch):
    file = io.BytesIO()
    Image.new("1", (8000, 8000)).save(file, "PNG")
    with pytest.raises(ImageError, match="8000 x 8000 is over 50000000 pixels"):
        read_header(file.getvalue())
    monkeypatch.setattr(images, "MOST_FILE_BYTES", 9)
    with pytest.raises(ImageError, match="10 bytes, over 9"):
        read_header(bytes(10))


def test_a_frame_of_countless_components_is_refused():
    data = encoded()
    start = data.index(b"\xff\xc0")
    frame = b"\xff\xc0" + (8 + 3000).to_bytes(2, "big") + data[start + 4 : start + 10]
    forged = data[:start] + frame + b"\x01\x11\x00" * 1000 + data[start + 19 :]
    with pytest.raises(ImageError, match="1000 JPEG components"):
        read_header(forged)


BASE = encoded(size=(9, 9)), encoded("PNG", size=(9, 9)), encoded("GIF", mode="P")


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(
    st.sampled_from(BASE),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6),
    st.integers(0, 900),
)
def test_flipped_bytes_give_a_header_or_an_image_error(data, changes, length):
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    try:
        found = read_header(bytes(changed[:length]))
    except ImageError:
        return
    assert found.width * found.height <= images.MOST_PIXELS
    assert hash(found) == hash(found) and len(found.subsampling or "") < 30


# From sources


def check(source, data):
    """The second image is the one whose header is looked for."""
    assert source.encoded(1) == data
    assert header(source, 1) == read_header(data)
    inner = Subset(Subset(source, np.asarray([1, 0])), np.asarray([1, 0, 0]))
    assert header(inner, 2) == read_header(data)


@pytest.fixture
def pair():
    return encoded("PNG"), encoded(quality=60)


def test_folders(tmp_path, pair, monkeypatch):
    (tmp_path / "a").mkdir()
    for name, data in zip(("1.png", "2.jpg"), pair, strict=True):
        (tmp_path / "a" / name).write_bytes(data)
    source = ImageFolder.open(tmp_path)
    check(source, pair[1])
    (tmp_path / "a" / "1.png").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"1\.png: cannot identify"):
        header(source, 0)
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(ImageError, match=r"1\.png: No such file"):
        header(source, 0)
    monkeypatch.setattr(images, "MOST_FILE_BYTES", 3)
    with pytest.raises(ImageError, match=r"2\.jpg: \d+ bytes, over 3"):
        header(source, 1)


def test_shards(tmp_path, pair):
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, data in zip(("1.png", "2.jpg", "3.jpg"), (*pair, b"x"), strict=True):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    source = TarShards.open(tmp_path)
    check(source, pair[1])
    with pytest.raises(ImageError, match=r"s\.tar: 3\.jpg: cannot identify"):
        header(source, 2)
    source.close()


def test_prepared_sets(pair):
    records = [{"image": pair[0]}, {"image": pair[1]}, SimpleNamespace()]
    labels = np.zeros(3, np.int64)
    source = TfdsSource("set", "train", ("a",), labels, ("train",), "image", records)
    check(source, pair[1])
    with pytest.raises(ImageError, match=r"set/train\[2\]: "):
        header(source, 2)


def test_arrays_have_none():
    pixels, labels = np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int64)
    source = ImageSet(pixels, labels, ("a",))
    assert header(source, 0) is None
    assert header(Subset(source, np.asarray([1])), 0) is None


# The collection of odd files beside the project

needs_nasty = pytest.mark.skipif(
    not NASTY.is_dir(), reason="the odd files are not at hand"
)

REFUSED = (
    *("bomb_10000x10000.png", "bomb_20000x20000.png", "empty.jpg"),
    *("header_lie_60000.png", "header_only.jpg", "text.jpg"),
)


@needs_nasty
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_odd_files_are_described_or_refused():
    found, refused = {}, set()
    for path in sorted(NASTY.glob("*.*")):
        if path.suffix == ".json":
            continue
        try:
            found[path.name] = read_header(path.read_bytes())
        except ImageError:
            refused.add(path.name)
    assert refused == set(REFUSED)
    assert found["png_named.JPEG"].codec == "png"
    assert found["ok_progressive.jpg"].progressive
    assert found["UPPER.JPG"] == found["bitrot_middle.jpg"] == found["ok_rgb.jpg"]
    modes = [found[n].mode for n in ("gray16.png", "float32.tiff", "cmyk.jpg")]
    assert modes == ["I;16", "F", "CMYK"]
