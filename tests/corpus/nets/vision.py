"""Convolutional networks old and new, vision transformers, heads: small, random weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(i: int, o: int, k: int = 3, s: int = 1, g: int = 1, act: type[nn.Module] = nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), act()
    )


class AlexNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 5, 2, 2),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(
            nn.Dropout(), nn.Linear(12, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.features(x)), 1))


class Vgg(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            conv(3, 8),
            conv(8, 8),
            nn.MaxPool2d(2),
            conv(8, 16),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 16, 10),
            nn.LogSoftmax(dim=1),
        )


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 4, 3, padding=1, bias=False))
            for c in (8, 12, 16)
        )
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2)
        )
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        y = self.transition(torch.cat(found, 1))
        return self.head(F.adaptive_avg_pool2d(F.relu(y), (1, 1)).flatten(1))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, s=2)
        self.one = conv(8, 4, 1)
        self.three = nn.Sequential(conv(8, 4, 1), conv(4, 6))
        self.five = nn.Sequential(
            conv(8, 4, 1),
            nn.Conv2d(4, 4, (1, 5), padding=(0, 2)),
            nn.Conv2d(4, 4, (5, 1), padding=(2, 0)),
        )
        self.pool = conv(8, 4, 1)
        self.head = nn.Linear(18, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        pooled = self.pool(F.avg_pool2d(x, 3, 1, 1))
        y = torch.cat([self.one(x), self.three(x), self.five(x), pooled], 1)
        return F.softmax(self.head(y.mean((2, 3))), dim=-1)


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        self.branch = nn.Sequential(
            conv(4, 4, 1),
            nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
            nn.BatchNorm2d(4),
            conv(4, 4, 1),
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(2):
            left, right = x.chunk(2, dim=1)
            x = torch.cat((left, self.branch(right)), 1)
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.head(x.mean([2, 3]))


class SqueezeExcite(nn.Module):
    def __init__(self, c: int, gate: type[nn.Module] = nn.Sigmoid) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(c, 4, 1), nn.Conv2d(4, c, 1), gate()

    def forward(self, x: Tensor) -> Tensor:
        s = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.up(F.silu(self.down(s))))


class EfficientNet(nn.Module):
    def __init__(self, act: type[nn.Module] = nn.SiLU, gate: type[nn.Module] = nn.Sigmoid) -> None:
        super().__init__()
        self.stem = conv(3, 8, s=2, act=act)
        self.block = nn.Sequential(
            conv(8, 24, 1, act=act),
            conv(24, 24, 5, g=24, act=act),
            SqueezeExcite(24, gate),
            nn.Conv2d(24, 8, 1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.head = nn.Sequential(
            conv(8, 16, 1, act=act), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 6)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(x + self.block(x))


def mobilenet_v3() -> nn.Module:
    return EfficientNet(nn.Hardswish, nn.Hardsigmoid)


class ConvNext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 4, 4)
        self.mix = nn.Conv2d(12, 12, 7, padding=3, groups=12)
        self.norm = nn.LayerNorm(12, eps=1e-6)
        self.grow, self.shrink = nn.Linear(12, 48), nn.Linear(48, 12)
        self.scale = nn.Parameter(torch.full((12,), 0.5))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.mix(x).permute(0, 2, 3, 1)
        y = self.scale * self.shrink(F.gelu(self.grow(self.norm(y))))
        x = x + y.permute(0, 3, 1, 2)
        return self.head(F.layer_norm(x.mean([-2, -1]), (12,)))


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = conv(1, 6), conv(6, 12)
        self.up = nn.ConvTranspose2d(12, 6, 2, 2)
        self.join, self.out = conv(12, 6), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        return torch.sigmoid(self.out(self.join(torch.cat([a, self.up(b)], 1))))


class Aspp(nn.Module):
    """DeepLab's head: atrous convolutions, image pooling, bilinear upsampling to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, s=2)
        self.rates = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=r, dilation=r) for r in (1, 2, 3))
        self.image, self.out = nn.Conv2d(8, 4, 1), nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        image = F.interpolate(
            self.image(F.adaptive_avg_pool2d(y, 1)), size=y.shape[-2:], mode="bilinear"
        )
        y = self.out(torch.cat([*(rate(y) for rate in self.rates), image], 1))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


class Yolo(nn.Module):
    """Two scales, nearest upsampling, boxes decoded on a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 8, s=2, act=nn.SiLU), conv(8, 8, s=2, act=nn.SiLU)
        self.heads = nn.ModuleList((nn.Conv2d(16, 14, 1), nn.Conv2d(8, 14, 1)))

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        up = F.interpolate(b, scale_factor=2.0, mode="nearest")
        found = [self.heads[0](torch.cat([up, a], 1)), self.heads[1](b)]
        return torch.cat([self.decode(f, x.shape[-1] // f.shape[-1]) for f in found], 1)

    def decode(self, x: Tensor, stride: int) -> Tensor:
        n, _, h, w = x.shape
        x = x.view(n, 2, 7, h, w).permute(0, 1, 3, 4, 2).sigmoid()
        ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack((xs, ys), 2).view(1, 1, h, w, 2).float()
        xy = (x[..., 0:2] * 2.0 - 0.5 + grid) * stride
        wh = (x[..., 2:4] * 2) ** 2 * 8.0
        return torch.cat((xy, wh, x[..., 4:]), -1).view(n, -1, 7)


class Ssd(nn.Module):
    """Class scores and boxes of anchors; the best by score are taken with their boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, s=2), conv(8, 8, s=2))
        self.classes, self.boxes = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.body(x)
        n = y.shape[0]
        scores = self.classes(y).permute(0, 2, 3, 1).reshape(n, -1, 3).softmax(-1)
        boxes = self.boxes(y).permute(0, 2, 3, 1).reshape(n, -1, 4)
        corners = torch.cat((boxes[..., :2] - boxes[..., 2:].exp() / 2, boxes[..., 2:]), -1)
        best, which = scores[..., 1:].max(-1)
        top, index = best.topk(5, dim=1)
        picked = corners.gather(1, index.unsqueeze(-1).expand(-1, -1, 4)).clamp(min=0, max=1)
        return top, picked, which.gather(1, index)


class Generator(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.ConvTranspose2d(16, 12, 4, 1, 0, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(True),
            nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(8, 3, 3, 2, 1, output_padding=1),
            nn.Tanh(),
        )


class Autoencoder(nn.Module):
    """Variational; the mean and the variance are outputs too."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ELU(), nn.Conv2d(6, 8, 3, 2, 1))
        self.mean, self.spread = nn.Linear(128, 4), nn.Linear(128, 4)
        self.grow = nn.Linear(4, 128)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.SELU(), nn.ConvTranspose2d(6, 1, 4, 2, 1)
        )

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = F.softplus(self.encode(x)).flatten(1)
        mean, spread = self.mean(y), self.spread(y)
        z = mean + noise * torch.exp(0.5 * spread)
        return torch.sigmoid(self.decode(self.grow(z).view(-1, 8, 4, 4))), mean, spread


class Stylise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(2),
            nn.Conv2d(3, 8, 5),
            nn.InstanceNorm2d(8, affine=True),
            nn.PReLU(8),
            nn.ReplicationPad2d(1),
            nn.Conv2d(8, 12, 3),
            nn.PixelShuffle(2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).clamp(-1.0, 1.0)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = ((q * self.size**-0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.a, self.b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.a(x))
        return x + self.mlp(self.b(x))


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 16))
        self.place = nn.Parameter(torch.randn(1, 17, 16) * 0.1)
        self.blocks = nn.Sequential(Block(16, 2), Block(16, 2))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1) + self.place
        return self.head(self.blocks(x)[:, 0])


class Swin(nn.Module):
    """Shifted windows of 4 x 4 on an 8 x 8 map, and patch merging."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 12, 4, 4)
        self.norm, self.attention = nn.LayerNorm(12), SelfAttention(12, 2)
        self.merge, self.head = nn.Linear(48, 16, bias=False), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        for shift in (0, 2):
            y = torch.roll(self.norm(x), (-shift, -shift), (1, 2))
            b, h, w, c = y.shape
            y = y.view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
            y = self.attention(y).view(b, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5)
            x = x + torch.roll(y.reshape(b, h, w, c), (shift, shift), (1, 2))
        corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.head(self.merge(torch.cat(corners, -1)).mean((1, 2)))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.tokens = nn.Sequential(
            nn.Linear(16, 24), nn.GELU(approximate="tanh"), nn.Linear(24, 16)
        )
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.Mish(), nn.Linear(24, 12))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return (x + self.channels(x)).mean(1)


class Diffusion(nn.Module):
    """A denoiser: the step as sines and cosines, group norm, attention in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 16))
        self.enter, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16)
        self.down, self.middle = nn.Conv2d(16, 16, 3, 2, 1), SelfAttention(16, 2)
        self.leave = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        rates = torch.exp(torch.arange(4) * -1.5)
        angle = step[:, None].float() * rates[None]
        t = self.time(torch.cat([angle.sin(), angle.cos()], -1))
        a = F.silu(self.norm(self.enter(x))) + t[:, :, None, None]
        b = self.down(a)
        n, c, h, w = b.shape
        b = b + self.middle(b.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(n, c, h, w)
        return self.leave(torch.cat([F.interpolate(b, scale_factor=2), a], 1))
