from __future__ import annotations

import pytest

from pocketface.errors import InvalidData
from pocketface.models import list_models
from pocketface.train.recipes import PRESETS, change, find_recipe, recipe_from_json, recipe_to_json


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_data(name):
    recipe = PRESETS[name]
    assert recipe_from_json(recipe_to_json(recipe)) == recipe
    assert recipe.network in list_models()
    assert recipe.summary


def test_a_recipe_changes_by_dotted_names():
    changed = change(
        PRESETS["distill_xs"], {"settings.steps": "9", "augmentation.spoil": "0.5", "network": "facelivt_s"}
    )
    assert (changed.settings.steps, changed.augmentation.spoil, changed.network) == (9, 0.5, "facelivt_s")
    assert changed.settings.learning_rate == PRESETS["distill_xs"].settings.learning_rate


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings.step": "9"}, "settings.steps"),
        ({"settings.steps": "-1"}, "not a recipe"),
        ({"settings": "3"}, "not a recipe"),
        ({"augmentation.flip": "often"}, "not a recipe"),
    ],
)
def test_a_wrong_change_is_told(changes, said):
    with pytest.raises(InvalidData, match=said):
        change(PRESETS["distill_xs"], changes)


def test_a_recipe_is_found_by_name_or_file(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(recipe_to_json(change(PRESETS["distill_xs"], {"batch": "7"})))
    assert find_recipe(str(file)).batch == 7
    with pytest.raises(InvalidData, match="distill_xs"):
        find_recipe("distil")
    with pytest.raises(InvalidData, match="cannot be read"):
        find_recipe(str(tmp_path / "none.json"))
