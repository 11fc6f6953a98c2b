"""The task of learning identities, from its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import InvalidData
from ..models import create_model, model_spec
from .classify import Classification
from .crops import Deck
from .identity_recipes import Identities
from .margin import MarginHead
from .partial_fc import PartialFC
from .roster import Roster
from .subcenter import read_kept, write_cleaning
from .terms import Frozen, Harmony, Symmetry, Teacher, Term
from .triplet import TripletHead


def identifying(
    recipe: Identities,
    backbone: nn.Module,
    deck: Deck,
    teachers: Sequence[Path] = (),
    frontness: NDArray[np.float32] | None = None,
) -> Classification:
    """The task of a recipe.

    Args:
        recipe: what and how.
        backbone: the network of the recipe.
        deck: the crops, of this process.
        teachers: the weights of the recipe's teacher, ``.safetensors`` or ``.pt``; none without a teacher.
        frontness: ``(len(deck),)`` of each crop, see :mod:`.fronts`; for a recipe with symmetry.

    Raises:
        InvalidData: fewer than two identities, a batch that is no multiple of the group, no such list of kept crops,
            or another number of teachers than the recipe has.
        InvalidModel: a teacher or weights that cannot be used.
    """
    kept = read_kept(Path(recipe.kept)) if recipe.kept else None
    roster = Roster.of(deck, kept=kept, group=recipe.group)
    terms = _terms(recipe, teachers)
    torch.manual_seed(recipe.settings.seed + 1)
    if frontness is not None:
        frontness = frontness[roster.numbers]
    head = _head(recipe, roster)
    return Classification(backbone, head, roster, recipe.augmentation, terms=terms, frontness=frontness)


def leave_cleaning(task: Classification, file: Path) -> None:
    """Write which crops are where most of their identity are; for a task that was trained in one process.

    Raises:
        InvalidData: the network's embeddings are not finite.
        OutputError: the file cannot be written.
    """
    write_cleaning(file, task.roster.names, task.roster.identities, task.cleaning())


def _head(recipe: Identities, roster: Roster) -> nn.Module:
    if recipe.loss == "triplet":
        return TripletHead()
    features = model_spec(recipe.network).embedding_size
    if features is None:
        raise InvalidData(f"{recipe.network} is no recogniser, so it has no embedding to tell people apart by")
    if recipe.share == 1 and roster.deck.ranks == 1:
        return MarginHead(roster.classes, features, recipe.margin, recipe.centres)
    return PartialFC(
        roster.classes,
        features,
        recipe.margin,
        share=recipe.share,
        learning_rate=recipe.settings.rate_at,
        weight_decay=recipe.settings.weight_decay,
        centres=recipe.centres,
        seed=recipe.settings.seed,
        rank=roster.deck.rank,
        ranks=roster.deck.ranks,
    )


def _terms(recipe: Identities, teachers: Sequence[Path]) -> list[Term]:
    if len(teachers) != bool(recipe.teacher):
        wanted = f"the weights of one {recipe.teacher}" if recipe.teacher else "none, for it names no teacher"
        raise InvalidData(f"{len(teachers)} teachers are given, the recipe wants {wanted}")
    symmetry: list[Term] = [Symmetry(recipe.symmetry)] if recipe.symmetry else []
    if not recipe.teacher:
        return symmetry
    kind = Teacher if recipe.teaching == "difference" else Harmony
    return [kind(Frozen(create_model(recipe.teacher, weights=teachers[0])), recipe.teaching_weight), *symmetry]
