"""Arrays as bytes: sealed npz files for chunks, Parquet and CSV for tables.

A seal says whose a chunk is and that no bit of it has changed: a chunk of another run,
or a damaged one, is computed anew.
"""

import csv
import hashlib
import io
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias.files import UsageError

ROW_GROUP = 65_536

_SEAL_LENGTH = 64


def pack_chunk(arrays: Mapping[str, np.ndarray], owner: bytes) -> bytes:
    """Make an npz file whose comment is a checksum of its bytes and its owner.

    Args:
        arrays: Any shapes and plain dtypes, by name.
        owner: Says which run and which part this is; not in the file.

    Raises:
        ValueError: If an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
        archive.comment = bytes(_SEAL_LENGTH)
    return _sealed(buffer.getvalue()[:-_SEAL_LENGTH], owner)


def _sealed(body: bytes, owner: bytes) -> bytes:
    # The zip format protects its contents (CRC-32) but not its own headers.
    return body + hashlib.sha256(owner + body).hexdigest().encode()


def unpack_chunk(data: bytes, owner: bytes, max_bytes: int) -> dict[str, np.ndarray]:
    """Read what `pack_chunk` made, without trusting it.

    Raises:
        ValueError: If the seal is not the owner's, or the arrays are over `max_bytes`.
        Exception: Whatever NumPy and zipfile raise at a forged file.
    """
    if data != _sealed(data[:-_SEAL_LENGTH], owner):
        raise ValueError("the checksum is not this run's")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
        if size > max_bytes:
            raise ValueError(f"{size} bytes unpacked, more than {max_bytes}")
        return {
            entry.filename.removesuffix(".npy"): _read_array(archive.read(entry))
            for entry in entries
        }


def _read_array(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    # NumPy allocates what the header claims before it looks whether it is there.
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > len(data):
        raise ValueError(f"an array of {shape} {dtype} in {len(data)} bytes")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def columns_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Rows with the same keys as columns; at least one row."""
    rows = list(rows)
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


def rows_of(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Columns as rows of plain numbers and words; none of a table without columns."""
    plain = (values.tolist() for values in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]


def stacked(
    parts: Iterable[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]],
) -> dict[str, np.ndarray]:
    """Tables with the same columns below one another, at least one.

    Args:
        parts: Each table, with what is the same in all of its rows: columns to add.
    """
    whole = []
    for columns, labels in parts:
        count = len(next(iter(columns.values())))
        added = {name: np.full(count, value) for name, value in labels.items()}
        whole.append(dict(columns) | added)
    return {name: np.concatenate([one[name] for one in whole]) for name in whole[0]}


def arrow_table(columns: Mapping[str, np.ndarray | Sequence], metadata: bytes) -> Any:
    """Build an Arrow table of plain columns.

    Raises:
        ValueError: If columns differ in length or hold anything but numbers, booleans
            and strings; names the column.
    """
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.dtype.kind in "OU":
            values = values.tolist()
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, TypeError) as error:
            raise ValueError(f"column {name}: {error}") from error
        if pa.types.is_nested(arrays[name].type):
            raise ValueError(f"column {name}: must have one plain value per row")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of different lengths: {lengths}")
    return pa.table(arrays).replace_schema_metadata({b"jaxbias": metadata})


def parquet_bytes(table: Any) -> bytes:
    """Encode a table as Parquet; the same table gives the same bytes."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        row_group_size=ROW_GROUP,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def csv_bytes(table: Any) -> bytes:
    """Encode a table as CSV; floats in the fewest digits that give them back."""
    import pyarrow as pa

    columns = [
        map(str, column.to_numpy())  # NumPy's str knows float32 from float64.
        if pa.types.is_floating(column.type)
        else column.to_pylist()
        for column in table.columns
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def verify_parquet(path: Path) -> Any:
    """Read a whole table, its checksums compared, and leave it as Arrow has it.

    Raises:
        UsageError: If the file is absent or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such table") from error
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: damaged: {' '.join(str(error).split())}") from error


def read_parquet(path: Path) -> dict[str, np.ndarray]:
    """Read the columns of a table; strings come as NumPy strings.

    Raises:
        UsageError: If the file is absent or damaged.
    """
    import pyarrow as pa

    table = verify_parquet(path)
    return {
        name: np.array(column.to_pylist(), dtype=str)
        if pa.types.is_string(column.type) and not column.null_count
        else np.array(column.to_numpy())
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
