"""Prepared TensorFlow-Datasets sets, read without TensorFlow.

Such a set is a folder of ArrayRecord files. Preparing most sets takes TensorFlow once;
reading never does, and nothing here downloads or prepares anything.
"""

import difflib
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias.data.archives import SourceError
from jaxbias.data.images import ImageError, decode_named


@dataclass(frozen=True, eq=False)
class TfdsSource:
    """Images of one split of a prepared set, read when they are asked for.

    May be used by several threads, and pickled into other processes, which open the files
    again.

    Attributes:
        dataset: Name of the set, as it was asked for.
        split: The split, or a part of one such as `train[:90%]`.
        classes: Names, in the order of the labels.
        labels: Class of each image, int64.
        splits: Every split that the set has.
        image: The feature that holds the images.
        records: The set's records by number; images in them are not decoded.
    """

    dataset: str
    split: str
    classes: tuple[str, ...]
    labels: np.ndarray
    splits: tuple[str, ...]
    image: str
    records: Any = field(repr=False)

    @classmethod
    def open(
        cls,
        name: str,
        split: str,
        *,
        data_dir: str | Path | None = None,
        image: str = "image",
        label: str = "label",
    ) -> "TfdsSource":
        """Open a split of a set.

        Labels lie beside the images: every record is read once for them, though no image
        is decoded. 10,000 records of 3 kB take half a second; a large set takes as long
        as its files take to read.

        Args:
            name: The set, `NAME[/CONFIG][:VERSION]`; the newest version that is prepared.
            split: Such as `train`, `test` or `train[:90%]`.
            data_dir: Where sets are; None takes TensorFlow-Datasets' own folder
                (`~/tensorflow_datasets`, or what TFDS_DATA_DIR says).
            image: The feature to take as image.
            label: The feature to take as class.

        Raises:
            SourceError: If the set is unknown, not prepared, prepared in files without
                random access, damaged, or has no such split or features; says how to
                prepare it.
        """
        builder = _builder(name, data_dir)
        _check_features(name, builder.info.features, image, label)
        records = _records(builder, name, split, data_dir, image)
        labels = _labels(records, f"{name}/{split}", label)
        classes = tuple(builder.info.features[label].names)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(classes):
            # Splits without labels have -1 in every record.
            raise SourceError(
                f"{name}/{split}: labels from {low} to {high}, but there are "
                f"{len(classes)} classes"
            )
        splits = tuple(builder.info.splits)
        return cls(name, split, classes, labels, splits, image, records)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """The pixels of an image (uint8, height, width, RGB), and its label.

        Raises:
            ImageError: If it cannot be read or decoded; names the set and the record.
        """
        pixels = decode_named(self.encoded(index), self.name(index))
        return pixels, int(self.labels[index])

    def encoded(self, index: int) -> bytes:
        """The bytes of an image as its record has them.

        Raises:
            ImageError: If it cannot be read; names the set and the record.
        """
        index = range(len(self))[index]
        try:
            return self.records[index][self.image]
        except MemoryError:
            raise
        except Exception as error:  # ArrayRecord has a `RuntimeError` for everything.
            raise ImageError(f"{self.name(index)}: {_reason(error)}") from error

    def name(self, index: int) -> str:
        """`SET/SPLIT[INDEX]`, for messages."""
        return f"{self.dataset}/{self.split}[{index}]"


def split_names(name: str, *, data_dir: str | Path | None = None) -> tuple[str, ...]:
    """The splits of a prepared set; no records are read.

    Raises:
        SourceError: If the set is unknown, not prepared, or damaged.
    """
    return tuple(_builder(name, data_dir).info.splits)


def _builder(name: str, data_dir: str | Path | None) -> Any:
    """The description of a set, from its folder alone."""
    # Half a second, and a library that most runs do without.
    from tensorflow_datasets.core import read_only_builder, registered

    if data_dir is not None and "://" in str(data_dir):
        raise SourceError(f"{data_dir}: not a folder on this machine")
    places = {} if data_dir is None else {"data_dir": str(Path(data_dir).expanduser())}
    try:
        # `tfds.builder` may ask Google's servers, and knows its code's version alone.
        return read_only_builder.builder_from_files(name, **places)
    except registered.DatasetNotFoundError as error:
        raise SourceError(_absent(name, data_dir)) from error
    except Exception as error:  # Whatever damaged descriptions raise.
        raise SourceError(f"{name}: {_reason(error)}") from error


def _absent(name: str, data_dir: str | Path | None) -> str:
    """Why a set is not there, and what to do."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import constants

    where = data_dir or constants.DATA_DIR
    plain = re.split("[/:]", name)[0]
    folder = Path(where).expanduser() / plain
    if folder.is_dir():
        held = sorted(path.name for path in folder.iterdir() if path.is_dir())
        return (
            f"{name}: {folder} holds {', '.join(held) or 'nothing'}, but not what is "
            f"asked for. To prepare it: {_how_to_prepare(name, data_dir)}"
        )
    known = tfds.list_builders(with_community_datasets=False)
    if plain not in known:
        like = difflib.get_close_matches(plain, known, n=1)
        hint = f"; did you mean {like[0]}?" if like else ""
        return (
            f"{name}: not prepared in {where}, and no set that TensorFlow Datasets "
            f"knows{hint}"
        )
    return (
        f"{name}: not prepared in {where}. Preparing needs TensorFlow once: "
        f"{_how_to_prepare(name, data_dir)}"
    )


def _how_to_prepare(name: str, data_dir: str | Path | None) -> str:
    place = "" if data_dir is None else f", data_dir={str(data_dir)!r}"
    code = (
        f"import tensorflow_datasets as tfds; tfds.builder({name!r}{place}, "
        "file_format='array_record').download_and_prepare()"
    )
    special = set(code) & set('"$`\\!')
    quoted = shlex.quote(code) if special else f'"{code}"'
    return f"pip install tensorflow-cpu && python -c {quoted}"


def _check_features(name: str, features: Any, image: str, label: str) -> None:
    import tensorflow_datasets as tfds

    kinds = ((image, tfds.features.Image), (label, tfds.features.ClassLabel))
    for wanted, kind in kinds:
        if wanted not in features:
            held = ", ".join(features) or "none"
            raise SourceError(f"{name}: no feature {wanted!r}; it has {held}")
        found = features[wanted]
        if not isinstance(found, kind):
            raise SourceError(
                f"{name}: {wanted!r} is of kind {type(found).__name__}, not "
                f"{kind.__name__}"
            )
    # Float images are kept as the bytes of their numbers, in the guise of colours.
    if np.dtype(features[image].np_dtype).kind != "u":
        raise SourceError(f"{name}: {image!r} has {features[image].np_dtype} values")


def _records(
    builder: Any, name: str, split: str, data_dir: str | Path | None, image: str
) -> Any:
    import tensorflow_datasets as tfds

    formats = sorted(x.value for x in builder.info.available_file_formats())
    # Parquet would be read whole, and without regard to parts of a split.
    if "array_record" not in formats:
        raise SourceError(
            f"{name}: prepared as {', '.join(formats)}, which cannot be read in any "
            f"order. Remove {builder.data_dir} or choose another folder, and: "
            f"{_how_to_prepare(name, data_dir)}"
        )
    try:
        return builder.as_data_source(
            split,
            decoders={image: tfds.decode.SkipDecoding()},
            file_format="array_record",
        )
    except Exception as error:
        raise SourceError(f"{name}/{split}: {_reason(error)}") from error


def _labels(records: Any, where: str, label: str) -> np.ndarray:
    labels = np.empty(len(records), np.int64)
    for index in range(len(records)):
        try:
            labels[index] = records[index][label]
        except Exception as error:
            raise SourceError(f"{where}[{index}]: {_reason(error)}") from error
    return labels


def _reason(error: Exception) -> str:
    """The first line of a message; others of TensorFlow Datasets list every set."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
