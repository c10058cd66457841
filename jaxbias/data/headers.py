"""What image files say before their pixels: sizes, codecs and JPEG's tables.

None of it is content, and much of it is one constant for a whole data set: a network that
is to tell data sets apart may read it from the pixels it left its marks on.
"""

import hashlib
from dataclasses import dataclass

from PIL.JpegImagePlugin import JpegImageFile

from jaxbias.data import images
from jaxbias.data.images import ImageError, opened
from jaxbias.data.sources import Source, Subset

_SUBSAMPLINGS = {
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (1, 2): "4:4:0",
    (2, 2): "4:2:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
}
"""Names by how many times wider and higher brightness is sampled than colour."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself; nothing of its pixels was decoded.

    Attributes:
        width: In pixels as they are stored, before the camera's orientation is applied.
        height: The same.
        codec: Pillow's name of the format in lower case: "jpeg", "png", ...
        mode: Pillow's mode, such as "RGB", "L" or "CMYK".
        quantisation: JPEG's tables by their number, 64 values each in rows of 8; () where
            there are none.
        digest: Eight hexadecimal digits of the tables; "" where there are none.
        subsampling: Of JPEG's colours: "4:2:0", ...; sampling factors of every component,
            such as "2x2,1x1,2x1", where there is no name; None without colours.
        progressive: Whether a JPEG is.
        bytes: Of the file.
    """

    width: int
    height: int
    codec: str
    mode: str
    quantisation: tuple[tuple[int, ...], ...]
    digest: str
    subsampling: str | None
    progressive: bool
    bytes: int


def read_header(data: bytes) -> Header:
    """Read the header of an image file.

    Args:
        data: The file's bytes, in one of `images.FORMATS`.

    Raises:
        ImageError: If it is no image, or over the limits that `images.decode` has. What
            comes after the header is not looked at: it may be damaged or absent.
    """
    if len(data) > images.MOST_FILE_BYTES:
        raise ImageError(f"{len(data)} bytes, over {images.MOST_FILE_BYTES}")
    with opened(data) as image:
        jpeg = isinstance(image, JpegImageFile)
        tables = _tables(image) if jpeg else ()
        return Header(
            *image.size,
            # Pillow has a format of its own for JPEG files with further pictures.
            codec="jpeg" if jpeg else (image.format or "").lower(),
            mode=image.mode,
            quantisation=tables,
            digest=hashlib.sha256(repr(tables).encode()).hexdigest()[:8]
            if tables
            else "",
            subsampling=_subsampling(image) if jpeg else None,
            # Any PNG can claim one in its texts.
            progressive=jpeg and bool(image.info.get("progression")),
            bytes=len(data),
        )


def _tables(image: JpegImageFile) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(table) for _, table in sorted(image.quantization.items()))


def _subsampling(image: JpegImageFile) -> str | None:
    factors = [(across, down) for _, across, down, _ in image.layer]
    if len(factors) > 4:
        raise ImageError(f"{len(factors)} JPEG components")
    if len(factors) < 3:
        return None
    (across, down), *colours = factors
    # Four components are inks, of which none is brightness.
    if len(factors) == 3 and set(colours) == {(1, 1)}:
        name = _SUBSAMPLINGS.get((across, down))
        if name:
            return name
    return ",".join(f"{across}x{down}" for across, down in factors)


def header(source: Source, index: int) -> Header | None:
    """The header of an image's file, or None where a source keeps no files.

    Raises:
        ImageError: If the file cannot be read or is no image; names it.
    """
    while isinstance(source, Subset):
        source, index = source.source, int(source.indices[index])
    encoded = getattr(source, "encoded", None)
    if encoded is None:
        return None
    data = encoded(index)
    try:
        return read_header(data)
    except ImageError as error:
        raise ImageError(f"{source.name(index)}: {error}") from error
