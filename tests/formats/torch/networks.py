"""Small networks of the kinds that are compressed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Vgg(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(32, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


class Residual(nn.Module):
    """A block of ResNet, with a projection where the widths differ."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if stride > 1 or into != out:
            self.shortcut = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return functional.relu(y, inplace=True)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.layers = nn.Sequential(Residual(6, 6, 1), Residual(6, 10, 2), Residual(10, 10, 1))
        self.fc = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.adaptive_avg_pool2d(self.layers(self.stem(x)), 1)
        return self.fc(x.view(x.size(0), -1))


class Inverted(nn.Module):
    """A block of MobileNetV2 with squeeze and excitation."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6(True))
        self.depthwise = nn.Conv2d(inner, inner, 3, 1, 1, groups=inner, bias=False)
        self.norm = nn.BatchNorm2d(inner)
        self.squeeze = nn.Conv2d(inner, 5, 1)
        self.excite = nn.Conv2d(5, inner, 1)
        self.project = nn.Sequential(nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.hardswish(self.norm(self.depthwise(self.expand(x))))
        gate = functional.hardsigmoid(self.excite(functional.relu(self.squeeze(functional.adaptive_avg_pool2d(y, 1)))))
        return x + self.project(gate * y)


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, 1)
        self.block = Inverted(6, 12)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(self.stem(x)).mean([2, 3]))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 + 3 * place) for place in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(4 + 3 * place, 3, 3, padding=1) for place in range(3))
        self.fc = nn.Linear(13, 4)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            parts.append(conv(functional.relu(norm(torch.cat(parts, 1)))))
        return self.fc(torch.cat(parts, 1).mean((2, 3)))


class Decoder(nn.Module):
    """Down, up by a transposed convolution, joined with what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, 5, 3, padding=1)
        self.down2 = nn.Conv2d(5, 6, 3, 2, 1)
        self.act = nn.PReLU(6)
        self.up = nn.ConvTranspose2d(6, 4, 2, 2)
        self.out = nn.Conv2d(9, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        return self.out(torch.cat([first, self.up(self.act(self.down2(first)))], dim=1))


class DeepSense(nn.Module):
    """Convolutions over windows of a sensor, whose maps are the steps of a stacked recurrent layer."""

    def __init__(self, last: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, (1, 3), padding=(0, 1))
        self.bn1 = nn.BatchNorm2d(5)
        self.conv2 = nn.Conv2d(5, 6, (1, 3), stride=(1, 2))
        self.gru = nn.GRU(6 * 2, 7, num_layers=2, dropout=0.3)
        self.fc = nn.Linear(7, 4)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.conv2(y))
        steps, states = self.gru(y.permute(2, 0, 1, 3).flatten(2))
        return self.fc(states[-1] if self.last else steps.mean(0))


class Speech(nn.Module):
    """A bidirectional LSTM over the frames of a spectrogram."""

    def __init__(self, zeros: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.lstm = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(10)
        self.fc = nn.Linear(10, 3)
        self.zeros = zeros

    def forward(self, x: Tensor) -> Tensor:
        y = functional.leaky_relu(self.conv(x)).transpose(1, 2)
        states = (torch.zeros(4, x.size(0), 5), torch.zeros(4, x.size(0), 5)) if self.zeros else None
        y, (h, _) = self.lstm(y, states)
        return self.fc(self.norm(y[:, -1])) + self.fc(torch.cat((h[-2], h[-1]), dim=1))


class Transformer(nn.Module):
    """Attention over words, with tokens and positions as plain parameters."""

    def __init__(self, need_weights: bool = True) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 12)
        self.token = nn.Parameter(torch.zeros(1, 1, 12))
        self.positions = nn.Parameter(torch.zeros(1, 8, 12))
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.norm = nn.LayerNorm(12)
        self.fc1 = nn.Linear(12, 9)
        self.fc2 = nn.Linear(9, 12)
        self.head = nn.Linear(12, 4)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.token.expand(x.size(0), -1, -1), self.words(x)], 1) + self.positions
        y = y + self.attention(y, y, y, need_weights=self.need_weights)[0]
        z = self.norm(y)
        return self.head((y + self.fc2(functional.gelu(self.fc1(z))))[:, 0])


def image() -> Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def window() -> Tensor:
    return torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(1))


def frames() -> Tensor:
    return torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(1))


def words() -> Tensor:
    return torch.arange(14).reshape(2, 7) % 11


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any], int]] = {
    "vgg": (Vgg, image, 3),
    "resnet": (ResNet, image, 5),
    "mobilenet": (MobileNet, image, 3),
    "densenet": (DenseNet, image, 4),
    "decoder": (Decoder, image, 3),
    "deepsense": (DeepSense, window, 4),
    "deepsense last": (lambda: DeepSense(last=True), window, 4),
    "speech": (Speech, frames, 3),
    "speech zeros": (lambda: Speech(zeros=True), frames, 2),
    "transformer": (Transformer, words, 3),
    "transformer lean": (lambda: Transformer(need_weights=False), words, 3),
}
"""Each network, its inputs, and how many channel groups it has at the least."""
