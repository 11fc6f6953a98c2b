"""Products with more than two operands or letters for axes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..kernels import Tensor, op


@op
def einsum(values: list[Tensor], equation: str) -> Tensor:
    """Sum of products over named axes."""
    return torch.einsum(equation, *values)


@op
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """``softmax(query @ key.T / sqrt(E) + mask) @ value``; the inner results are not rounded to half."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask)
