"""Parquet as the `datasets` library reads it back: the types of the columns, with its own notes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labvla_data.dataset.features import Column, Features, Picture

_ARROW = {
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}

_PNG = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def schema(features: Features) -> pa.Schema:
    """Return the schema of a table with these features, pictures as PNG."""
    fields = [(name, _arrow_type(feature)) for name, feature in features.items()]
    notes = {"info": {"features": {name: _note(feature) for name, feature in features.items()}}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(notes)})


def _arrow_type(feature: Column | Picture) -> pa.DataType:
    if isinstance(feature, Picture):
        return _PNG
    value = _ARROW[feature.dtype]
    return value if feature.width == 1 else pa.list_(value, feature.width)


def _note(feature: Column | Picture) -> dict[str, Any]:
    """Return the library's own description of a type; without it PNG would be mere bytes."""
    if isinstance(feature, Picture):
        return {"_type": "Image"}
    value = {"dtype": feature.dtype, "_type": "Value"}
    if feature.width == 1:
        return value
    return {"feature": value, "length": feature.width, "_type": "Sequence"}


def numbers(column: Column, values: NDArray[Any]) -> pa.Array:
    """Return frames x components as an Arrow array."""
    flat = pa.array(np.ascontiguousarray(values).ravel(), _ARROW[column.dtype])
    return flat if column.width == 1 else pa.FixedSizeListArray.from_arrays(flat, column.width)


def texts(values: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow array."""
    return pa.array(list(values), pa.string())


def png(files: Sequence[bytes]) -> pa.Array:
    """Return pictures as an Arrow array."""
    return pa.array([{"bytes": data, "path": None} for data in files], _PNG)


def as_numpy(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Return a column as frames x components."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = whole.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        values = np.asarray(whole.flatten().to_numpy(zero_copy_only=False))
        return values.reshape(len(whole), -1) if len(whole) else values.reshape(0, 0)
    return np.asarray(whole.to_numpy(zero_copy_only=False))


def with_columns(table: pa.Table, more: Mapping[str, pa.Array], features: Features) -> pa.Table:
    """Return a table with exactly these features, in their order."""
    named = {name: more[name] if name in more else table[name] for name in features}
    return pa.table(named, schema=schema(features))
