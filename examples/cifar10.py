"""Images of ten classes:

EXAMPLE_DATA=DIR edgewright compress examples/cifar10.py:vgg --device NAME --time 0.5 -o small
"""

import example_data
import example_networks
import example_training

from edgewright.compression.task import Task

VGG = example_training.Recipe(
    "vgg",
    lambda: example_networks.Vgg(((32,), (64,), (64, 64)), 256),
    example_data.cifar10,
    2500,
    0.05,
    500,
    1.0,
    augment=example_training.mirrored,
)
RESNET = example_training.Recipe(
    "resnet",
    lambda: example_networks.ResNet((32, 64, 128), 1),
    example_data.cifar10,
    2500,
    0.06,
    400,
    1.0,
    augment=example_training.mirrored,
)


def vgg() -> Task:
    return example_training.task(VGG, VGG.data())


def resnet() -> Task:
    return example_training.task(RESNET, RESNET.data())
