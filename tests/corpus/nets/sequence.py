"""Text, speech, graphs, points and tables: small networks with random weights."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Bert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(40, 16), nn.Embedding(32, 16)
        self.kind, self.norm = nn.Embedding(2, 16), nn.LayerNorm(16, eps=1e-12)
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.grow, self.shrink = nn.Linear(16, 32), nn.Linear(32, 16)
        self.after, self.pool = nn.LayerNorm(16), nn.Linear(16, 16)

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
        b, n = ids.shape
        places = torch.arange(n).unsqueeze(0)
        x = self.norm(self.word(ids) + self.place(places) + self.kind(kinds))
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        q, k, v = (f(x).view(b, n, 2, 8).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(8) + bias
        y = torch.matmul(F.softmax(scores, -1), v).transpose(1, 2).reshape(b, n, 16)
        x = self.after(x + self.o(y))
        x = x + self.shrink(F.gelu(self.grow(x)))
        return x, torch.tanh(self.pool(x[:, 0]))


class Gpt(nn.Module):
    """A causal decoder on a whole prompt, by the fused attention of the framework."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(40, 16), nn.Embedding(32, 16)
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, ids: Tensor) -> Tensor:
        b, n = ids.shape
        x = self.word(ids) + self.place(torch.arange(n))
        q, k, v = self.qkv(self.norm(x)).split(16, dim=2)
        q, k, v = (t.view(b, n, 2, 8).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(b, n, 16))
        return x @ self.word.weight.t()


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Llama(nn.Module):
    """One step of a decoder with a cache: rotary places, grouped queries, gated MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.a, self.b = nn.Embedding(40, 16), RmsNorm(16), RmsNorm(16)
        self.q, self.o = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
        self.k, self.v = nn.Linear(16, 8, bias=False), nn.Linear(16, 8, bias=False)
        self.gate, self.up = nn.Linear(16, 32, bias=False), nn.Linear(16, 32, bias=False)
        self.down, self.head = nn.Linear(32, 16, bias=False), nn.Linear(16, 40, bias=False)
        self.register_buffer("rates", 1.0 / (100.0 ** (torch.arange(0, 4, 2).float() / 4)))

    def turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        a, b = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
        return x * cos + torch.cat((-b, a), dim=-1) * sin

    def forward(self, ids: Tensor, past_k: Tensor, past_v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b, n = ids.shape
        past = past_k.shape[2]
        x = self.word(ids)
        y = self.a(x)
        places = torch.arange(past, past + n)
        angle = places[:, None].float() * self.rates[None]
        angle = torch.cat((angle, angle), -1)
        q = self.q(y).view(b, n, 4, 4).transpose(1, 2)
        k = self.k(y).view(b, n, 2, 4).transpose(1, 2)
        v = self.v(y).view(b, n, 2, 4).transpose(1, 2)
        q, k = (self.turned(t, angle.cos(), angle.sin()) for t in (q, k))
        k, v = torch.cat((past_k, k), 2), torch.cat((past_v, v), 2)
        seen = torch.arange(past + n)[None] <= places[:, None]
        wide = (
            t[:, :, None].expand(b, 2, 2, past + n, 4).reshape(b, 4, past + n, 4) for t in (k, v)
        )
        keys, values = wide
        scores = (q @ keys.transpose(2, 3) / 2.0).masked_fill(~seen, float("-inf"))
        x = x + self.o((scores.softmax(-1) @ values).transpose(1, 2).reshape(b, n, 16))
        y = self.b(x)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(x), k, v


class Translate(nn.Module):
    """An encoder and a decoder of the framework's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(30, 16), nn.Embedding(30, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True, dropout=0.0)
        self.decoder = nn.TransformerDecoderLayer(
            16, 2, 24, batch_first=True, norm_first=True, dropout=0.0
        )
        self.head = nn.Linear(16, 30)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory = self.encoder(self.source(source))
        n = target.shape[1]
        mask = torch.triu(torch.full((n, n), float("-inf")), diagonal=1)
        return self.head(self.decoder(self.target(target), memory, tgt_mask=mask))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], both: bool = False, layers: int = 1) -> None:
        super().__init__()
        self.word = nn.Embedding(30, 12)
        self.cell = kind(12, 10, num_layers=layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(20 if both else 10, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.cell(self.word(ids))[0])


class Steps(nn.Module):
    """A recurrent network that takes and gives its state, sequence first."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(8, 10), nn.Linear(10, 4)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.cell(x, (h, c))
        return self.head(y[-1]), h, c


class GraphConv(nn.Module):
    """Dense adjacency, normalised by degrees."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        full = adjacency.abs() + torch.eye(adjacency.shape[0])
        root = full.sum(1).pow(-0.5)
        norm = root[:, None] * full * root[None, :]
        return F.log_softmax(norm @ self.b(F.relu(norm @ self.a(x))), dim=1)


class GraphEdges(nn.Module):
    """Messages along a list of edges, summed where they arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.message, self.update = nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        sent = F.leaky_relu(self.message(torch.cat((x[source], x[target]), -1)), 0.2)
        index = target[:, None].expand(-1, 8)
        total = torch.zeros_like(x).scatter_add(0, index, sent)
        return torch.tanh(self.update(torch.cat((x, total), -1)))


class Conformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sub = nn.Conv2d(1, 4, 3, 2, 1)
        self.enter, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.wide, self.deep = nn.Conv1d(16, 32, 1), nn.Conv1d(16, 16, 5, padding=2, groups=16)
        self.batch, self.narrow = nn.BatchNorm1d(16), nn.Conv1d(16, 16, 1)
        self.head = nn.Linear(16, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.sub(x.unsqueeze(1)))
        y = self.enter(y.transpose(1, 2).flatten(2))
        z = self.norm(y)
        y = y + self.attention(z, z, z, need_weights=False)[0]
        z = F.glu(self.wide(y.transpose(1, 2)), dim=1)
        y = y + self.narrow(F.silu(self.batch(self.deep(z)))).transpose(1, 2)
        return F.log_softmax(self.head(y), -1)


class Wave(nn.Module):
    """Raw audio to frames, as wav2vec: strided convolutions and norms over time."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv1d(1, 8, 10, 5, bias=False), nn.GroupNorm(8, 8)
        self.b, self.c = nn.Conv1d(8, 8, 3, 2), nn.Conv1d(8, 8, 4, padding=2, groups=2)
        self.head = nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / torch.sqrt(
            x.var(-1, keepdim=True, unbiased=False) + 1e-5
        )
        y = F.gelu(self.b(F.gelu(self.norm(self.a(x.unsqueeze(1))))))
        y = y + F.gelu(self.c(y)[:, :, :-1])
        return self.head(y.transpose(1, 2))


class WaveNet(nn.Module):
    """Dilated causal convolutions with gates and skips."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(4, 8, 1)
        self.both = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=d) for d in (1, 2, 4))
        self.skip = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3))
        self.out = nn.Conv1d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.enter(x), 0
        for dilated, skip in zip(self.both, self.skip, strict=True):
            a, b = dilated(F.pad(x, (dilated.dilation[0], 0))).chunk(2, 1)
            step = skip(torch.tanh(a) * torch.sigmoid(b))
            x, total = x + step, total + step
        return self.out(F.relu(total))


class Experts(nn.Module):
    """The two best of four experts per token, mixed by their gates."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(12, 4)
        self.grow = nn.Parameter(torch.randn(4, 12, 20) * 0.3)
        self.shrink = nn.Parameter(torch.randn(4, 20, 12) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        weight, index = torch.topk(self.gate(x).softmax(-1), 2, dim=-1)
        weight = weight / weight.sum(-1, keepdim=True)
        gates = (F.one_hot(index, 4).to(x.dtype) * weight.unsqueeze(-1)).sum(-2)
        hidden = F.silu(torch.einsum("td,edh->teh", x, self.grow))
        return torch.einsum("teh,ehd,te->td", hidden, self.shrink, gates)


class Recommend(nn.Module):
    """Embeddings of categories, dense features, pairwise dot products."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, 8) for n in (20, 30, 10))
        self.bag = nn.EmbeddingBag(25, 8, mode="sum")
        self.dense, self.top = nn.Linear(6, 8), nn.Linear(18, 1)
        rows, columns = torch.tril_indices(5, 5, -1)
        self.register_buffer("pairs", rows * 5 + columns)

    def forward(self, dense: Tensor, kinds: Tensor, bag: Tensor) -> Tensor:
        d = F.relu(self.dense(dense))
        found = [table(kinds[:, i]) for i, table in enumerate(self.tables)]
        x = torch.stack([d, *found, F.embedding(bag, self.bag.weight).sum(1)], 1)
        pairs = torch.bmm(x, x.transpose(1, 2)).flatten(1).index_select(1, self.pairs)
        return torch.sigmoid(self.top(torch.cat((d, pairs), 1))).squeeze(-1)


class Points(nn.Module):
    """A set of points: a learnt transform, shared layers, the largest over the set."""

    def __init__(self) -> None:
        super().__init__()
        self.turn, self.a, self.b = nn.Linear(8, 9), nn.Conv1d(3, 8, 1), nn.Conv1d(3, 16, 1)
        self.norm, self.head = nn.BatchNorm1d(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        seen = F.relu(self.a(x)).amax(dim=2)
        turned = torch.bmm(self.turn(seen).view(-1, 3, 3) + torch.eye(3), x)
        y = torch.max(F.relu(self.norm(self.b(turned))), 2)[0]
        return self.head(y)


class Towers(nn.Module):
    """Image and text towers; similarities of unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.word = nn.Linear(20, 8), nn.Embedding(30, 8)
        self.scale = nn.Parameter(torch.tensor(1.2))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        ends = text.argmax(dim=-1)
        words = self.word(text)[torch.arange(text.shape[0]), ends]
        a, b = F.normalize(self.image(image), dim=-1), words / words.norm(dim=-1, keepdim=True)
        scores = self.scale.exp() * a @ b.t()
        return scores - torch.logsumexp(scores, -1, keepdim=True)


class StateSpace(nn.Module):
    """A diagonal linear recurrence as cumulative sums, with a gate, as selective models do."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.short = nn.Linear(8, 32), nn.Conv1d(16, 16, 3, padding=2, groups=16)
        self.step, self.leave = nn.Linear(16, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        y, gate = self.enter(x).chunk(2, -1)
        y = F.silu(self.short(y.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        log = -F.softplus(self.step(y)) * 0.1
        total = log.cumsum(1)
        y = torch.exp(total) * torch.cumsum(y * torch.exp(-total), 1)
        return self.leave(y * F.silu(gate))


class Forecast(nn.Module):
    """A table in time: quantiles, trends by moving averages, a gate over features."""

    def __init__(self) -> None:
        super().__init__()
        self.choose, self.mix, self.out = nn.Linear(6, 6), nn.Linear(24, 12), nn.Linear(12, 9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        padded = torch.cat((x[:, :1].repeat(1, 2, 1), x, x[:, -1:].repeat(1, 2, 1)), 1)
        trend = F.avg_pool1d(padded.permute(0, 2, 1), 5, 1).permute(0, 2, 1)
        season = (x - trend) * self.choose(x).sigmoid()
        y = self.out(F.hardtanh(self.mix(season.flatten(1)))).reshape(-1, 3, 3)
        return torch.sort(y, dim=-1)[0], torch.where(trend > 0, trend, torch.zeros_like(trend)).min(
            1
        )[0]
