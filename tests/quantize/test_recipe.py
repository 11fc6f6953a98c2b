"""Recipes: names by one grammar, JSON both ways, and nothing that means nothing."""

from __future__ import annotations

import pytest

from pocketface.errors import InvalidData
from pocketface.quantize.recipe import NAMES, open_recipe, parse_recipe, read_recipe


@pytest.mark.parametrize("name", [*NAMES, "palettize_8"])
def test_a_name_is_a_recipe_is_json_and_back(name):
    recipe = parse_recipe(name)
    assert recipe.name == name
    assert read_recipe(recipe.to_json()) == recipe


def test_what_a_recipe_says_of_itself():
    assert [name for name in NAMES if parse_recipe(name).static] == ["static_wi8_ai8", "static_wi8_au8", "w8a8"]
    precisions = {name: parse_recipe(name).precision for name in NAMES}
    assert precisions["fp16"] == "float16"
    assert precisions["static_wi8_ai8"] == precisions["w8a8"] == "int8"
    assert precisions["palettize_4"] == "palette4"


@pytest.mark.parametrize(
    "name", ["", "int8", "static_wi8_afp32", "dynamic_wi8_ai8", "palettize_5", "fp16 ", "static_wi4_ai8"]
)
def test_other_names_are_refused_with_those_that_there_are(name):
    with pytest.raises(InvalidData, match="only fp16, weight_only_wi8_afp32"):
        parse_recipe(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"scheme": "static", "weight_bits": 4, "activations": "i8"}', "no static with 4 bits"),
        ('{"scheme": "dynamic", "io": "int8"}', "only static recipes"),
        ('{"scheme": "dynamic", "keep": ["("]}', "no regular expression"),
        ('{"scheme": "dynamic", "bits": 8}', "unknown field"),
        ('{"scheme": "magic"}', "magic"),
        ("static_wi8_ai8", "malformed"),
    ],
)
def test_json_that_means_nothing_is_refused(text, said):
    with pytest.raises(InvalidData, match=said):
        read_recipe(text)


def test_rules_are_found_anywhere_in_a_name_and_named_once():
    recipe = parse_recipe("static_wi8_ai8").keeping(r"^heads\.", "pw1$").keeping("pw1$")
    assert recipe.keep == (r"^heads\.", "pw1$")
    kept = [recipe.keeps(layer) for layer in ("heads.0.tasks", "neck.heads.0", "stages.0.pw1", "stages.0.pw10")]
    assert kept == [True, False, True, False]


def test_changes_that_do_not_go_together_are_refused():
    with pytest.raises(InvalidData, match="only static recipes"):
        parse_recipe("dynamic_wi8_afp32").changed(io="int8")
    with pytest.raises(InvalidData, match="no regular expression"):
        parse_recipe("fp16").keeping("(")


def test_a_file_is_opened_and_named_when_it_is_wrong(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(parse_recipe("w8a8").keeping("stem").to_json())
    assert open_recipe(str(file)).keep == ("stem",)
    file.write_text("{}")
    with pytest.raises(InvalidData, match=r"mine\.json: not a recipe"):
        open_recipe(str(file))
    with pytest.raises(InvalidData, match=r"none\.json: cannot be read"):
        open_recipe(str(tmp_path / "none.json"))
