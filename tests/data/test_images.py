"""Image files: every mode read as RGB, and what is damaged named."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxbias.data import images
from jaxbias.data.images import ImageError, ImageFolder, decode, read_image

NASTY = Path(__file__).parents[2].parent / "shared" / "data" / "nasty"


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_colours_come_back(pixels, kind):
    found = decode(encoded(Image.fromarray(pixels), kind))
    np.testing.assert_array_equal(found, pixels)
    assert found.dtype == np.uint8


def test_lossy_colours_nearly_come_back():
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    for kind in ("JPEG", "WEBP"):
        found = decode(encoded(Image.fromarray(smooth), kind, quality=95))
        assert np.abs(found.astype(int) - smooth).max() <= 4


def test_grey_and_one_bit(pixels):
    grey = pixels[..., 0]
    found = decode(encoded(Image.fromarray(grey)))
    np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, -1))
    bits = Image.fromarray(grey > 127)
    assert set(np.unique(decode(encoded(bits)))) == {0, 255}


def test_sixteen_bits_are_scaled():
    values = np.asarray([[0, 257, 128 * 257, 65_535]], np.uint16)
    found = decode(encoded(Image.fromarray(values)))
    np.testing.assert_array_equal(found[0, :, 0], [0, 1, 128, 255])


def test_floats_are_scaled_or_refused():
    values = np.asarray([[0.0, 0.5, 1.0]], np.float32)
    found = decode(encoded(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(found[0, :, 2], [0, 128, 255])
    for wrong in (2.0, -0.1, np.nan):
        bad = np.asarray([[0.0, wrong]], np.float32)
        with pytest.raises(ImageError, match="float values"):
            decode(encoded(Image.fromarray(bad), "TIFF"))


@pytest.mark.parametrize("background", [0, 255])
def test_transparency_lies_on_the_background(pixels, background):
    alpha = np.asarray([0, 64, 128, 255, 255], np.uint8)
    rgba = np.concatenate([pixels, np.tile(alpha[:, None], (6, 1, 1))], axis=-1)
    found = decode(encoded(Image.fromarray(rgba)), background=background)
    share = alpha[None, :, None] / 255
    expected = pixels * share + background * (1 - share)
    assert np.abs(found - expected).max() <= 0.51
    grey = Image.fromarray(rgba[..., :2].copy(), "LA")
    with_alpha = np.asarray(grey.convert("RGBA"))
    assert decode(encoded(grey)).shape == with_alpha.shape[:2] + (3,)


def test_palettes_with_and_without_transparency(pixels):
    image = Image.fromarray(pixels).quantize(4)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode(encoded(image)), expected)
    index = int(np.asarray(image)[0, 0])
    found = decode(encoded(image, transparency=index))
    clear = np.asarray(image) == index
    assert (found[clear] == 255).all()
    np.testing.assert_array_equal(found[~clear], expected[~clear])


def test_the_camera_s_orientation_is_applied():
    smooth = np.zeros((16, 32, 3), np.uint8)
    smooth[:, 16:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise by a quarter.
    found = decode(encoded(Image.fromarray(smooth), "JPEG", exif=exif))
    assert found.shape == (32, 16, 3)
    assert found[:14].mean() < 5 and found[18:].mean() > 250


def test_of_an_animation_the_first_frame(pixels):
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(data) == 10).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: b"", "cannot identify"),
        (lambda d: b"just text", "cannot identify"),
        (lambda d: d[: len(d) // 2], "truncated"),
        (lambda d: d[:-30], "truncated"),
        (lambda d: d[:60] + bytes([d[60] ^ 255]) + d[61:], "data stream|broken"),
    ],
)
def test_damaged_files_are_refused(change, message):
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    with pytest.raises(ImageError, match=message):
        decode(change(encoded(Image.fromarray(noise))))


def test_bombs_are_refused_before_they_are_decoded():
    data = encoded(Image.new("1", (3000, 3000)))
    with pytest.raises(ImageError, match="3000 x 3000 is over 1000000 pixels"):
        decode(data, most_pixels=10**6)
    with pytest.raises(ImageError, match="over 50000000 pixels"):
        decode(encoded(Image.new("1", (20_000, 20_000))))


def test_formats_that_start_other_programs_are_not_tried():
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    with pytest.raises(ImageError, match="cannot identify"):
        decode(script)


# Folders


@pytest.fixture
def folder(tmp_path, pixels):
    data = encoded(Image.fromarray(pixels))
    for name in (
        "b/2.png",
        "b/10.PNG",
        "a/deep/x.png",
        "a/ümlaut 名.png",
        "a/.hidden.png",
        "a/.thumbnails/y.png",
        ".git/z.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "README.md").write_text("not a class")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    return tmp_path


def test_folders_are_listed_in_order(folder, pixels):
    found = ImageFolder.open(folder)
    assert found.classes == ("a", "b") and len(found) == 4
    names = [str(path.relative_to(folder)) for path in found.paths]
    assert names == ["a/deep/x.png", "a/ümlaut 名.png", "b/10.PNG", "b/2.png"]
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1])
    image, label = found[2]
    np.testing.assert_array_equal(image, pixels)
    assert label == 1


def test_unusable_folders_are_named(folder, tmp_path):
    (folder / "c").mkdir()
    with pytest.raises(ImageError, match="/c: no images"):
        ImageFolder.open(folder)
    with pytest.raises(ImageError, match="/c: no folders"):
        ImageFolder.open(folder / "c")
    with pytest.raises(ImageError, match="absent: No such file"):
        ImageFolder.open(folder / "absent")


def test_an_unreadable_image_is_named(folder, monkeypatch):
    broken = folder / "b" / "2.png"
    broken.write_bytes(b"nothing")
    found = ImageFolder.open(folder)
    with pytest.raises(ImageError, match=r"b/2\.png: cannot identify"):
        found[3]
    with pytest.raises(ImageError, match=r"gone\.png: No such file"):
        read_image(folder / "gone.png")
    monkeypatch.setattr(images, "MOST_FILE_BYTES", 3)
    with pytest.raises(ImageError, match=r"2\.png: 7 bytes, over 3"):
        found[3]


# The collection of odd files beside the project

REFUSED = {
    "bad_crc.png": "unrecognized data stream",
    "bomb_10000x10000.png": "over 50000000 pixels",
    "bomb_20000x20000.png": "over 50000000 pixels",
    "empty.jpg": "cannot identify",
    "header_lie_60000.png": "over 50000000 pixels",
    "header_only.jpg": "[Tt]runcated",
    "text.jpg": "cannot identify",
    "truncated_half.jpg": "truncated",
    "truncated_tail.jpg": "truncated",
}

# What the picture is compared with, and the largest mean difference in levels.
RIGHT = {
    "UPPER.JPG": ("ok_rgb.jpg", 0),
    "anim.gif": ("ok_rgb.png", 8),
    "cmyk.jpg": ("ok_rgb.jpg", 4),
    "float32.tiff": ("ok_gray.jpg", 3),
    "gray16.png": ("ok_gray.jpg", 3),
    "la.png": ("ok_gray.jpg", 3),
    "ok_progressive.jpg": ("ok_rgb.jpg", 0),
    "ok_webp.webp": ("ok_rgb.png", 4),
    "palette.png": ("ok_rgb.png", 8),
    "png_named.JPEG": ("ok_rgb.png", 0),
    "spaces and ünïcode 名.jpg": ("ok_rgb.jpg", 0),
}

needs_nasty = pytest.mark.skipif(
    not NASTY.is_dir(), reason="the odd files are not at hand"
)


@needs_nasty
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_hostile_files_are_refused(name, message):
    with pytest.raises(ImageError, match=message):
        read_image(NASTY / name)


@needs_nasty
@pytest.mark.parametrize(("name", "like"), RIGHT.items())
def test_odd_files_are_read_rightly(name, like):
    found = read_image(NASTY / name).astype(int)
    expected = read_image(NASTY / like[0]).astype(int)
    assert np.abs(found - expected).mean() <= like[1]


@needs_nasty
def test_a_turned_photograph_is_put_upright():
    upright = np.rot90(read_image(NASTY / "ok_rgb.jpg"), 3)
    np.testing.assert_array_equal(read_image(NASTY / "exif_rot90.jpg"), upright)
