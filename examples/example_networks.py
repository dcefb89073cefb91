"""The networks of the examples: small ones of the shapes that phones and boards run."""

import torch
from torch import nn


class Vgg(nn.Module):
    """Convolutions in stages with pooling between, then two wide fully connected layers (Simonyan, Zisserman 2014).

    The first stage is one convolution of stride 2.
    """

    def __init__(self, stages: tuple[tuple[int, ...], ...], hidden: int, classes: int = 10, side: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, stride = 3, 2
        for stage in stages:
            for made in stage:
                layers += [nn.Conv2d(width, made, 3, stride, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
                width, stride = made, 1
            if stage is not stages[0]:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        left = (side >> len(stages)) ** 2
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(width * left, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, classes),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is projected where the shape changes (He et al. 2015)."""

    def __init__(self, seen: int, made: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(seen, made, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(made)
        self.second = nn.Conv2d(made, made, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(made)
        self.shortcut = nn.Sequential()
        if seen != made or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(seen, made, 1, stride, bias=False), nn.BatchNorm2d(made))
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.second_norm(self.second(self.relu(self.first_norm(self.first(x)))))
        return self.relu(inner + self.shortcut(x))


class ResNet(nn.Module):
    """A stem of stride 2, stages of blocks (each but the first halves the side), the mean, a linear layer."""

    def __init__(self, widths: tuple[int, ...], blocks: int, classes: int = 10) -> None:
        super().__init__()
        first = widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        made: list[nn.Module] = []
        seen = first
        for stage, width in enumerate(widths):
            for index in range(blocks):
                made.append(Block(seen, width, 2 if stage and not index else 1))
                seen = width
        self.blocks = nn.Sequential(*made)
        self.classifier = nn.Linear(seen, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.blocks(self.stem(x)).mean(dim=(2, 3)))


class DeepSense(nn.Module):
    """DeepSense (Yao et al., WWW 2017): three convolutions along time for each sensor, three over all sensors, then
    intervals of time, each laid flat, through two stacked GRUs, and their mean.

    A window holds so many signals of three axes for each sensor; the first convolution of a part has stride 2.
    """

    def __init__(self, sensors: int, width: int, hidden: int, intervals: int, classes: int, length: int = 128) -> None:
        super().__init__()
        self.sensors = nn.ModuleList(_along_time(3, width, 5) for _ in range(sensors))
        self.merged = _along_time(sensors * width, width, 3)
        self.intervals, samples = intervals, length // 4 // intervals
        self.recurrent = nn.GRU(samples * width, hidden, 2, batch_first=True)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [sensor(signals) for sensor, signals in zip(self.sensors, x.split(3, dim=1), strict=True)]
        merged = self.merged(torch.cat(parts, dim=1)).permute(0, 2, 1)
        steps, _ = self.recurrent(merged.unflatten(1, (self.intervals, -1)).flatten(2))
        return self.classifier(steps.mean(dim=1))


class Speech(nn.Module):
    """Deep Speech 2 (Amodei et al. 2015), smaller: two convolutions over the spectrogram, a bidirectional LSTM over
    time, its mean, and two linear layers."""

    def __init__(self, bands: int, width: int, hidden: int, dense: int, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, width, (11, 7), (2, 2), padding=(5, 3), bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, (5, 7), (2, 1), padding=(2, 3), bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.recurrent = nn.LSTM(width * bands // 4, hidden, batch_first=True, bidirectional=True)
        self.classifier = nn.Sequential(nn.Linear(2 * hidden, dense), nn.ReLU(), nn.Linear(dense, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heard = self.convolutions(x.transpose(1, 2).unsqueeze(1))
        steps, _ = self.recurrent(heard.permute(0, 3, 1, 2).flatten(2))
        return self.classifier(steps.mean(dim=1))


def _along_time(seen: int, width: int, kernel: int) -> nn.Sequential:
    """Three convolutions along time, the first of stride 2."""
    layers: list[nn.Module] = []
    for stride in (2, 1, 1):
        layers += [nn.Conv1d(seen, width, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm1d(width)]
        layers.append(nn.ReLU())
        seen, kernel = width, 3
    return nn.Sequential(*layers)
