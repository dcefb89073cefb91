"""Layers of every kind, each from a map (batch, channels, height, width) to another."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Lambda(nn.Module):
    """A function of a map."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class ChannelsLast(nn.Module):
    """A layer on maps whose channels are last."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Scale(nn.Module):
    """Plain parameters for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels, 1, 1))
        self.offset = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.offset.view(1, -1, 1, 1)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(functional.silu(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class Sum(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x - 2 * self.conv(x)


class Join(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), x], dim=1)


class Parts(nn.Module):
    """Two halves with different weights, put together the other way round."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(channels, 8, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.left(x).chunk(2, dim=1)
        return torch.cat([self.right(second), first], 1)


class Rows(nn.Module):
    """A recurrent layer over the columns of a map, whose rows are features too."""

    def __init__(self, kind: type[nn.RNNBase], channels: int, bidirectional: bool, num_layers: int) -> None:
        super().__init__()
        self.rnn = kind(channels * 4, 5, num_layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x.permute(0, 3, 1, 2).flatten(2))
        return y.transpose(1, 2).unsqueeze(2).expand(-1, -1, 4, -1)


class States(nn.Module):
    """The last states of all layers and directions of an LSTM, at every position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(channels, 4, 2, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, c) = self.rnn(x.flatten(2).permute(2, 0, 1))
        states = h.transpose(0, 1).flatten(1) + torch.tanh(c.transpose(0, 1).reshape(x.size(0), -1))
        return states[:, :, None, None].expand(-1, -1, 4, 4)


class Attention(nn.Module):
    """Positions of a map look at each other."""

    def __init__(self, channels: int, batch_first: bool, cross: bool) -> None:
        super().__init__()
        self.into = nn.Conv2d(channels, 6, 1)
        self.attention = nn.MultiheadAttention(6, 3, batch_first=batch_first)
        self.batch_first, self.cross = batch_first, cross

    def forward(self, x: Tensor) -> Tensor:
        y = self.into(x)
        flat = y.flatten(2).transpose(1, 2) if self.batch_first else y.flatten(2).permute(2, 0, 1)
        found = self.attention(flat, flat * 2 if self.cross else flat, flat, need_weights=False)[0]
        return (found.transpose(1, 2) if self.batch_first else found.permute(1, 2, 0)).view_as(y)


class Flat(nn.Module):
    """A map flattened into features and spread out again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels * 16, 6), nn.Linear(6, 5 * 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(x.flatten(1)))).unflatten(1, (-1, 4, 4))


class Encoder(nn.Module):
    """A layer of torch's own transformer over positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.into = nn.Conv2d(channels, 8, 1)
        self.layer = nn.TransformerEncoderLayer(8, 2, 7, batch_first=True, norm_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.into(x).flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (4, 4))


LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "conv": lambda c: nn.Conv2d(c, 7, 3, padding=1),
    "conv stride": lambda c: nn.Sequential(nn.Conv2d(c, 6, 3, 2, 1), nn.Upsample(scale_factor=2)),
    "conv grouped": lambda c: nn.Sequential(nn.Conv2d(c, 6, 1), nn.Conv2d(6, 9, 3, padding=1, groups=3)),
    "depthwise": lambda c: nn.Conv2d(c, c, 3, padding="same", groups=c),
    "depthwise more": lambda c: nn.Conv2d(c, 2 * c, 3, padding=1, groups=c),
    "transposed": lambda c: nn.Sequential(nn.ConvTranspose2d(c, 6, 2, 2), nn.AvgPool2d(2)),
    "batch norm": nn.BatchNorm2d,
    "batch norm plain": lambda c: nn.BatchNorm2d(c, affine=False),
    "instance norm": lambda c: nn.InstanceNorm2d(c, affine=True),
    "group norm": lambda c: nn.Sequential(nn.Conv2d(c, 6, 1), nn.GroupNorm(3, 6)),
    "layer norm": lambda c: ChannelsLast(nn.LayerNorm(c)),
    "linear": lambda c: ChannelsLast(nn.Linear(c, 6)),
    "prelu": nn.PReLU,
    "prelu single": lambda c: nn.PReLU(),
    "scale": Scale,
    "gate": Gate,
    "sum": Sum,
    "join": Join,
    "parts": Parts,
    "max pool": lambda c: nn.MaxPool2d(3, 1, 1),
    "dropout": lambda c: nn.Sequential(nn.Dropout2d(), nn.GELU(), nn.Hardswish(), nn.Mish(inplace=True)),
    "pad": lambda c: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(c, 5, 3)),
    "shuffle": lambda c: nn.Sequential(nn.Conv2d(c, 6, 1), nn.ChannelShuffle(2)),
    "pixels": lambda c: nn.Sequential(nn.Conv2d(c, 12, 1), nn.PixelShuffle(2), nn.MaxPool2d(2)),
    "gru": lambda c: Rows(nn.GRU, c, bidirectional=False, num_layers=2),
    "gru both ways": lambda c: Rows(nn.GRU, c, bidirectional=True, num_layers=1),
    "lstm": lambda c: Rows(nn.LSTM, c, bidirectional=True, num_layers=2),
    "rnn": lambda c: Rows(nn.RNN, c, bidirectional=False, num_layers=1),
    "states": States,
    "attention": lambda c: Attention(c, batch_first=True, cross=False),
    "attention cross": lambda c: Attention(c, batch_first=False, cross=True),
    "encoder": Encoder,
    "flat": Flat,
    "softmax": lambda c: Lambda(lambda x: torch.softmax(x, dim=-1)),
    "softmax of channels": lambda c: Lambda(lambda x: torch.softmax(x, dim=1)),
    "mean of channels": lambda c: Lambda(lambda x: x - x.mean(1, keepdim=True)),
    "bounds": lambda c: Lambda(lambda x: functional.leaky_relu(x.clamp(-1, 2)).abs().sqrt()),
    "turned": lambda c: Lambda(lambda x: x.flip(3) + torch.roll(x, 1, 2)),
}
"""Makers of a layer for a map of so many channels and 4x4 positions, which all keep; by name."""


class Net(nn.Module):
    """Layers between a first convolution and a last."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.layers = nn.ModuleList()
        channels = 6
        for name in names:
            layer = LAYERS[name](channels)
            with torch.no_grad():
                channels = layer.eval()(torch.zeros(2, channels, 4, 4)).shape[1]
            self.layers.append(layer)
        self.head = nn.Conv2d(channels, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)
