"""The PyTorch models that tfdl's are compared with, from PyTorch's own layers.

Axes in comments: batch, time, features, heads.
"""

from typing import Any

from torch import nn
from torch.nn import functional


class LSTM(nn.Module):
    """Two layers of 200 units: the small model of Zaremba et al. (arXiv:1409.2329), without dropout."""

    def __init__(self, vocabulary: int, units: int = 200):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.layers = nn.LSTM(units, units, num_layers=2, batch_first=True)
        self.head = nn.Linear(units, vocabulary)

    def forward(self, tokens: Any) -> Any:
        x = self.embedding(tokens)  # (batch, time, units)
        x, _ = self.layers(x)  # (batch, time, units)
        return self.head(x)  # (batch, time, vocabulary)


class Block(nn.Module):
    """A block of GPT-2: layer normalization before attention and before the feed-forward layers."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        batch, time, width = x.shape
        projected = self.query_key_value(self.norm_1(x))  # (batch, time, 3 * width)
        by_head = projected.view(batch, time, 3 * self.heads, -1).transpose(1, 2)  # (batch, 3 * heads, time, head_dim)
        query, key, value = by_head.split(self.heads, dim=1)  # (batch, heads, time, head_dim)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        joined = attended.transpose(1, 2).reshape(batch, time, width)
        x = x + self.output(joined)
        hidden = functional.gelu(self.up(self.norm_2(x)), approximate="tanh")  # (batch, time, 4 * width)
        return x + self.down(hidden)


class GPT(nn.Module):
    """A GPT with learned positions and a head that shares the weights of the embedding. nanoGPT's sizes for a CPU."""

    def __init__(self, vocabulary: int, layers: int = 4, heads: int = 4, width: int = 128, context: int = 64):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Any) -> Any:
        x = self.embedding(tokens) + self.positions.weight  # (batch, time, width)
        x = self.norm(self.blocks(x))
        return functional.linear(x, self.embedding.weight)  # (batch, time, vocabulary)
