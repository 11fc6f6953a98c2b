"""Recipes: how a file is to be quantized, as data with a name by one grammar, and as JSON both ways.

Names are read from left to right, as the AI Edge Quantizer's are::

    fp16                      weights in half, arithmetic in float
    weight_only_wi8_afp32     weights in 8 bits, unpacked before they are used
    dynamic_wi8_afp32         the same, and activations in 8 bits with a range that every run finds anew
    static_wi8_ai8            weights and activations in 8 bits, ranges from calibration; TFLite
    static_wi8_au8            the same with unsigned activations; ONNX, where x86 runs signed ones slowly
    palettize_6, palettize_4  Core ML: weights as an index of 6 or 4 bits into a palette
    w8a8                      Core ML's name for what is static_wi8_ai8 elsewhere

What a recipe means is here; which files and engines can have it is in :mod:`pocketface.quantize.policy`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import InvalidData

Scheme = Literal["fp16", "weight_only", "dynamic", "static", "palettize", "w8a8"]
Activations = Literal["fp32", "i8", "u8"]

_GRAMMAR = re.compile(
    r"(?P<fp16>fp16)|(?P<w8a8>w8a8)|palettize_(?P<palette>[468])"
    r"|(?:(?P<scheme>static)_wi8_a(?P<activations>i8|u8)|(?P<float_scheme>weight_only|dynamic)_wi8_afp32)"
)


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a file is to be quantized.

    Attributes:
        scheme: what kind of quantization it is.
        weight_bits: of a weight; 16 for half.
        activations: what flows between layers: ``fp32``, or 8 bits with or without a sign.
        io: type of the file's inputs and outputs: ``float``, or ``int8`` with a scale and a zero point of their own.
        keep: regular expressions; a layer in whose name one of them is found stays in float.
    """

    scheme: Scheme
    weight_bits: Literal[4, 6, 8, 16] = 8
    activations: Activations = "fp32"
    io: Literal["float", "int8"] = "float"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if _GRAMMAR.fullmatch(self.name) is None or _fields(self.name) != self._fields():
            raise ValueError(f"there is no {self.scheme} with {self.weight_bits} bits and {self.activations}")
        if self.io == "int8" and not self.static:
            raise ValueError(f"{self.name} has no ranges for inputs and outputs in int8: only static recipes do")
        for rule in self.keep:
            try:
                re.compile(rule)
            except re.error as e:
                raise ValueError(f"the rule {rule!r} is no regular expression: {e}") from e

    @property
    def name(self) -> str:
        """By the grammar; what is kept in float and the type of inputs and outputs are not part of it."""
        if self.scheme in ("fp16", "w8a8"):
            return self.scheme
        if self.scheme == "palettize":
            return f"palettize_{self.weight_bits}"
        return f"{self.scheme}_wi{self.weight_bits}_a{self.activations}"

    @property
    def static(self) -> bool:
        """Whether activations have fixed ranges, which only pictures can give."""
        return self.scheme in ("static", "w8a8")

    @property
    def precision(self) -> str:
        """What a contract calls files made so."""
        kinds = {"fp16": "float16", "weight_only": "int8_weights", "dynamic": "int8_dynamic"}
        return kinds.get(self.scheme, f"palette{self.weight_bits}" if self.scheme == "palettize" else "int8")

    def keeps(self, layer: str) -> bool:
        """Whether a layer of this name stays in float."""
        return any(re.search(rule, layer) for rule in self.keep)

    def keeping(self, *rules: str) -> Recipe:
        """The same with more rules.

        Raises:
            InvalidData: one is no regular expression.
        """
        return self.changed(keep=tuple(dict.fromkeys((*self.keep, *rules))))

    def changed(self, **changes: object) -> Recipe:
        """The same with other values.

        Raises:
            InvalidData: they do not go together.
        """
        return read_recipe(msgspec.json.encode({**msgspec.structs.asdict(self), **changes}))

    def to_json(self) -> str:
        """Canonical JSON: the same recipe always gives the same text."""
        return msgspec.json.encode(self, order="sorted").decode()

    def _fields(self) -> tuple[str, int, str]:
        return self.scheme, self.weight_bits, self.activations


#: What can be asked for by name, from the mildest to the harshest.
NAMES = (
    "fp16",
    "weight_only_wi8_afp32",
    "dynamic_wi8_afp32",
    "static_wi8_ai8",
    "static_wi8_au8",
    "palettize_6",
    "palettize_4",
    "w8a8",
)


def parse_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InvalidData: not a name by the grammar.
    """
    if _GRAMMAR.fullmatch(name) is None:
        raise InvalidData(f"there is no recipe {name!r}, only {', '.join(NAMES)}, or a JSON file with one")
    scheme, bits, activations = _fields(name)
    return read_recipe(msgspec.json.encode({"scheme": scheme, "weight_bits": bits, "activations": activations}))


def read_recipe(text: str | bytes) -> Recipe:
    """A recipe from its JSON.

    Raises:
        InvalidData: not JSON, unknown keys, or values that do not go together.
    """
    try:
        return msgspec.json.decode(text, type=Recipe)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        raise InvalidData(f"not a recipe: {e}") from e


def open_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a file ``*.json``.

    Raises:
        InvalidData: no such name or file, or not a recipe in it.
    """
    if not name.endswith(".json"):
        return parse_recipe(name)
    try:
        text = Path(name).read_bytes()
    except OSError as e:
        raise InvalidData(f"{name}: cannot be read: {e.strerror or e}") from e
    try:
        return read_recipe(text)
    except InvalidData as e:
        raise InvalidData(f"{name}: {e}") from e


def _fields(name: str) -> tuple[str, int, str]:
    found = _GRAMMAR.fullmatch(name)
    assert found is not None
    if found["fp16"]:
        return "fp16", 16, "fp32"
    if found["w8a8"]:
        return "w8a8", 8, "i8"
    if found["palette"]:
        return "palettize", int(found["palette"]), "fp32"
    return found["scheme"] or found["float_scheme"], 8, found["activations"] or "fp32"
