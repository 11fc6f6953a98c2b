"""The operators of a .tflite file and their tensors, read with the standard library alone.

Enough of the format to see what an engine would be given: ``schema.fbs`` of TensorFlow Lite, version 3. Numbers are
little-endian; a table begins with the distance back to its vtable, which lists where each field lies.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

# Positions of the fields in their tables.
_MODEL_CODES, _MODEL_GRAPHS, _MODEL_BUFFERS, _MODEL_METADATA = 1, 2, 4, 6
_CODE_OLD, _CODE_NEW = 0, 3
_GRAPH_TENSORS, _GRAPH_OUTPUTS, _GRAPH_OPS = 0, 2, 3
_OP_CODE, _OP_INPUTS, _OP_OUTPUTS = 0, 1, 2
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION = 0, 1, 2, 3, 4
_BUFFER_DATA, _BUFFER_SIZE, _METADATA_NAME, _METADATA_BUFFER = 0, 2, 0, 1
_QUANTIZATION_SCALE = 2


class Tensor(NamedTuple):
    """A tensor's ``TensorType`` number, and how many quantization scales it has."""

    type: int
    scales: int


class Operator(NamedTuple):
    """An operator's ``BuiltinOperator`` number and its inputs, the optional ones that are absent left out."""

    code: int
    inputs: list[Tensor]


def read_operators(model: bytes) -> list[Operator]:
    """All operators of all subgraphs.

    Raises:
        ValueError: an offset or a length leads out of the file.
    """
    try:
        root = _Table(model, _number(model, "I", 0))
        codes = [max(t.number(_CODE_OLD, "b"), t.number(_CODE_NEW, "i")) for t in root.tables(_MODEL_CODES)]
        return [op for graph in root.tables(_MODEL_GRAPHS) for op in _operators(graph, codes)]
    except (struct.error, IndexError) as e:
        raise ValueError(f"not a sound flatbuffer: {e}") from e


#: Name, shape, bytes in the file, and whether an output of its graph depends on it.
Stored = tuple[str, tuple[int, ...], int, bool]


def read_stored(model: bytes) -> tuple[list[Stored], list[str]]:
    """All tensors with contents, buffers that nothing names among them, and the names of the metadata.

    Raises:
        ValueError: an offset or a length leads out of the file.
    """
    try:
        root = _Table(model, _number(model, "I", 0))
        sizes = [_size(buffer) for buffer in root.tables(_MODEL_BUFFERS)]
        metadata = root.tables(_MODEL_METADATA)
        named = {table.number(_METADATA_BUFFER, "I") for table in metadata}
        stored: list[Stored] = []
        for graph in root.tables(_MODEL_GRAPHS):
            needed = _needed(graph)
            for i, table in enumerate(graph.tables(_GRAPH_TENSORS)):
                buffer = table.number(_TENSOR_BUFFER, "I")
                named.add(buffer)
                if sizes[buffer]:
                    shape = table.numbers(_TENSOR_SHAPE, "i")
                    stored.append((table.text(_TENSOR_NAME), shape, sizes[buffer], i in needed))
        stored += [(f"buffer {i}", (size,), size, False) for i, size in enumerate(sizes) if size and i not in named]
        return stored, [table.text(_METADATA_NAME) for table in metadata]
    except (struct.error, IndexError) as e:
        raise ValueError(f"not a sound flatbuffer: {e}") from e


def _size(buffer: _Table) -> int:
    """Bytes of a buffer: those in the table, or those that lie behind the flatbuffer, as quantizers leave them."""
    return buffer.length(_BUFFER_DATA) or buffer.number(_BUFFER_SIZE, "Q")


def _needed(graph: _Table) -> set[int]:
    """Tensors that an output depends on; operators stand in the order in which they run."""
    needed = set(graph.numbers(_GRAPH_OUTPUTS, "i"))
    for op in reversed(graph.tables(_GRAPH_OPS)):
        if needed & set(op.numbers(_OP_OUTPUTS, "i")):
            needed |= set(op.numbers(_OP_INPUTS, "i"))
    return needed


def _operators(graph: _Table, codes: list[int]) -> list[Operator]:
    tensors = [_tensor(table) for table in graph.tables(_GRAPH_TENSORS)]
    return [
        Operator(codes[op.number(_OP_CODE, "I")], [tensors[i] for i in op.numbers(_OP_INPUTS, "i") if i >= 0])
        for op in graph.tables(_GRAPH_OPS)
    ]


def _tensor(table: _Table) -> Tensor:
    quantization = table.table(_TENSOR_QUANTIZATION)
    scales = quantization.numbers(_QUANTIZATION_SCALE, "f") if quantization else ()
    return Tensor(table.number(_TENSOR_TYPE, "b"), len(scales))


class _Table(NamedTuple):
    """A flatbuffer table: the whole file and where the table begins in it."""

    data: bytes
    at: int

    def _field(self, index: int) -> int | None:
        vtable = self.at - _number(self.data, "i", self.at)
        if 4 + 2 * index >= _number(self.data, "H", vtable):
            return None
        offset = _number(self.data, "H", vtable + 4 + 2 * index)
        return self.at + offset if offset else None

    def _target(self, index: int) -> int | None:
        field = self._field(index)
        return None if field is None else field + _number(self.data, "I", field)

    def number(self, index: int, kind: str) -> int:
        """A number in the table itself; 0, the schema's default, where it is absent."""
        field = self._field(index)
        return 0 if field is None else _number(self.data, kind, field)

    def table(self, index: int) -> _Table | None:
        """A table that a field points to."""
        target = self._target(index)
        return None if target is None else _Table(self.data, target)

    def numbers(self, index: int, kind: str) -> tuple[int, ...]:
        """A vector of numbers that a field points to; empty where it is absent."""
        target = self._target(index)
        if target is None:
            return ()
        return struct.unpack_from(f"<{_number(self.data, 'I', target)}{kind}", self.data, target + 4)

    def length(self, index: int) -> int:
        """How many entries the vector has that a field points to; 0 where it is absent."""
        target = self._target(index)
        return 0 if target is None else int(_number(self.data, "I", target))

    def text(self, index: int) -> str:
        """A string that a field points to; empty where it is absent."""
        return bytes(self.numbers(index, "B")).decode("utf-8", "replace")

    def tables(self, index: int) -> list[_Table]:
        """A vector of tables: each entry is the distance from itself to its table."""
        first = (self._target(index) or 0) + 4
        return [_Table(self.data, first + 4 * i + distance) for i, distance in enumerate(self.numbers(index, "I"))]


def _number(data: bytes, kind: str, at: int) -> int:
    if at < 0:  # struct would count from the end of the file
        raise IndexError(f"an offset leads {-at} bytes before the file")
    value: int = struct.unpack_from(f"<{kind}", data, at)[0]
    return value
