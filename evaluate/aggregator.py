"""A learnt way to pool a template, after CoNAN (arXiv 2307.10237): members are weighed in the light of the whole set.

A context is made from the distribution of the set, and decides with each member how much it counts:

    c = W2 relu(W1 [mean, std] + b1) + b2        w = softmax_i(u . tanh(A x_i + B c))        out = sum_i w_i x_i

Only the abstract of that paper was at hand; this is the least that it can mean. With u = 0, where training begins, it
is the mean. A set of one is its own pool, and the order of a set does not matter. Whether it is worth its weights is
for :func:`~.templates.compare_pooling` to say: always beside the mean and the weighted means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import InvalidModel, MissingExtra

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.floating[Any]]
#: log(1 / temperature) of the contrastive loss: cosines are multiplied by it.
SCALE = 16.0


@dataclass(frozen=True, eq=False)
class Aggregator:
    """The weights; D is the size of an embedding, H that of the hidden layers.

    Attributes:
        w1: ``(H, 2 D)``.
        b1: ``(H,)``.
        w2: ``(H, H)``.
        b2: ``(H,)``.
        a: ``(H, D)``.
        b: ``(H, H)``.
        u: ``(H,)``.
    """

    w1: NDArray[np.float32]
    b1: NDArray[np.float32]
    w2: NDArray[np.float32]
    b2: NDArray[np.float32]
    a: NDArray[np.float32]
    b: NDArray[np.float32]
    u: NDArray[np.float32]

    def weights(self, members: Floats) -> Floats:
        """How much each of ``(K, D)`` members counts, ``(K,)``, with sum 1."""
        spread = np.concatenate([members.mean(axis=0), members.std(axis=0)])
        context = self.w2 @ np.maximum(self.w1 @ spread + self.b1, 0) + self.b2
        logits = np.tanh(members @ self.a.T + self.b @ context) @ self.u
        shares = np.exp(logits - logits.max())
        result: Floats = shares / shares.sum()
        return result

    def __call__(self, members: Floats) -> Floats:
        """Pool ``(K, D)`` embeddings of one person to ``(D,)`` of length 1; zeros if they cancel out."""
        pooled = self.weights(members) @ members
        length = np.linalg.norm(pooled)
        result: Floats = pooled / length if length > 0 else pooled
        return result

    def save(self, path: Path) -> None:
        """Write the weights as safetensors."""
        try:
            from safetensors.numpy import save_file
        except ImportError as e:
            raise MissingExtra("safetensors", "export", "save an aggregator") from e
        with atomic(path) as temporary:
            save_file({field.name: getattr(self, field.name) for field in fields(self)}, temporary)


def load_aggregator(path: Path) -> Aggregator:
    """Read what :meth:`Aggregator.save` wrote.

    Raises:
        InvalidModel: no such file, or its tensors are not an aggregator's.
        MissingExtra: safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as e:
        raise MissingExtra("safetensors", "export", "load an aggregator") from e
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as e:
        raise InvalidModel(f"{path}: not a safetensors file that can be read: {e}") from e
    names = [field.name for field in fields(Aggregator)]
    shapes = {name: tensors[name].shape for name in names if name in tensors}
    hidden, size = shapes.get("a", (0, 0)) if len(shapes.get("a", ())) == 2 else (0, 0)
    wanted = dict(zip(names, _shapes(size, hidden), strict=True))
    if tensors.keys() != wanted.keys() or shapes != wanted or not all(np.isfinite(t).all() for t in tensors.values()):
        raise InvalidModel(f"{path}: holds {shapes or sorted(tensors)}, expected finite tensors {wanted}")
    return Aggregator(**tensors)


def _shapes(size: int, hidden: int) -> list[tuple[int, ...]]:
    return [(hidden, 2 * size), (hidden,), (hidden, hidden), (hidden,), (hidden, size), (hidden, hidden), (hidden,)]


def train_aggregator(
    vectors: Floats,
    identities: Sequence[str],
    *,
    hidden: int = 64,
    sizes: tuple[int, int] = (2, 8),
    people: int = 32,
    steps: int = 150,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Aggregator:
    """Learn from any embeddings with identities; they should be as bad as those that are to be pooled.

    Each step draws two sets of each of some people, and asks that a person's two pools are nearer to each other than to
    anyone else's: cross-entropy over their cosines, times 16, in both directions.

    Args:
        vectors: ``(N, D)`` of length 1, or with a length that says something.
        identities: ``(N,)``; those with fewer than two pictures are not used.
        hidden: size of the hidden layers.
        sizes: smallest and largest set.
        people: drawn in each step.
        steps: of Adam, its rate falling to zero along a cosine. Few people are soon known by heart: on 450 with four
            pictures each, twice as many steps at thrice the rate did worse than the mean on others.
        rate: the first one.
        seed: of the weights and the draws.
        progress: told after each step.

    Raises:
        MissingExtra: torch is not installed.
        ValueError: fewer than two identities with two pictures.
    """
    try:
        import torch
    except ImportError as e:
        raise MissingExtra("torch", "export", "train an aggregator") from e
    who = np.asarray(identities, dtype=str)
    owned = [np.flatnonzero(who == name) for name in np.unique(who)]
    owned = [own for own in owned if len(own) >= 2]
    if len(owned) < 2:
        raise ValueError(f"expected two identities or more with two pictures each, got {len(owned)}")
    rng = np.random.default_rng(seed)
    tensors = _initial(vectors.shape[1], hidden, rng)
    features = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
    optimizer = torch.optim.Adam(tensors.values(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        drawn = [owned[i] for i in rng.choice(len(owned), min(people, len(owned)), replace=False)]
        halves = [_two_sets(own, int(rng.integers(sizes[0], sizes[1] + 1)), rng) for own in drawn]
        one, other = (_pool(tensors, features, [pair[side] for pair in halves]) for side in (0, 1))
        logits, right = SCALE * one @ other.T, torch.arange(len(halves))
        loss = torch.nn.functional.cross_entropy(logits, right) + torch.nn.functional.cross_entropy(logits.T, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, steps)
    return Aggregator(**{name: tensor.detach().numpy() for name, tensor in tensors.items()})


def _initial(size: int, hidden: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Matrices of LeCun's scale, biases and u of zeros: training begins at the mean."""
    import torch

    tensors = {}
    for field, shape in zip(fields(Aggregator), _shapes(size, hidden), strict=True):
        values = rng.normal(0, shape[-1] ** -0.5, shape) if len(shape) == 2 else np.zeros(shape)
        tensors[field.name] = torch.tensor(values, dtype=torch.float32, requires_grad=True)
    return tensors


def _two_sets(own: Floats, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Two sets of a person's pictures that share none, each of at most ``size``."""
    mixed = rng.permutation(own)
    half = min(size, len(mixed) // 2)
    return mixed[:half], mixed[half : 2 * half]


def _pool(tensors: dict[str, torch.Tensor], features: torch.Tensor, sets: Sequence[Floats]) -> torch.Tensor:
    """The same as :class:`Aggregator` for many sets at once, padded to one size: (B, D)."""
    import torch

    longest = max(map(len, sets))
    index = torch.tensor(np.stack([np.resize(own, longest) for own in sets]))
    there = torch.arange(longest) < torch.tensor([len(own) for own in sets])[:, None]  # (B, K)
    x, count = features[index], there.sum(dim=1, keepdim=True)
    mean = (x * there[..., None]).sum(dim=1) / count
    variance = ((x - mean[:, None]) ** 2 * there[..., None]).sum(dim=1) / count
    spread = torch.cat([mean, (variance + 1e-12).sqrt()], dim=1)  # the root of 0 has no gradient
    context = torch.relu(spread @ tensors["w1"].T + tensors["b1"]) @ tensors["w2"].T + tensors["b2"]
    hidden = torch.tanh(x @ tensors["a"].T + (context @ tensors["b"].T)[:, None])
    weights = (hidden @ tensors["u"]).masked_fill(~there, -torch.inf).softmax(dim=1)
    return torch.nn.functional.normalize((weights[..., None] * x).sum(dim=1), dim=1)
