"""The policy gradient of DeepIoT: masks are drawn, the network is the critic, and keep probabilities follow its loss.

Masks `z` of the units are independent draws with probabilities `p`, which a compressor computes. The gradient of the
expected loss is that of `E[(L(z) - b) log q(z)]` with the baseline `b` taken as constant (the score function or
likelihood-ratio estimator; Williams, REINFORCE, Machine Learning 1992). The baseline is a moving average of the loss
before these masks were drawn, which leaves the expectation as it is.

A critic may know a slope `c` for each unit too: how much the loss changes with it. Then `L(z) - b - c (z - p)` stands
in for `L(z) - b`, and the part that was taken away is added exactly, as the gradient of `c p`. Whatever the slopes are,
the expectation stays (a control variate; Gu et al., MuProp, ICLR 2016). What is gained is variance.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def draw(probabilities: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """So many masks of 0 and 1, each unit by itself: (masks, units)."""
    return torch.bernoulli(probabilities.detach().expand(count, -1), generator=generator)


def log_likelihood(logits: Tensor, masks: Tensor) -> Tensor:
    """The logarithm of the probability of each mask: (masks,)."""
    return -binary_cross_entropy_with_logits(logits.expand_as(masks), masks, reduction="none").sum(dim=1)


@dataclass(frozen=True)
class Critic:
    """What is expected of the loss before masks are drawn: a moving average, and what a unit that is kept adds to it.

    `variance` is the moving average of that of the losses of one batch; advantages are measured by its root, so that
    rates need not know the scale of the loss. `scores` are moving averages, for each unit, of the squared derivative of
    the loss by its mask, over the steps at which it was kept; `met` counts these, fading. The slopes are the scores
    times a factor, the least-squares fit to the losses that were seen (`product` over `square`).
    """

    scores: Tensor
    met: Tensor
    mean: float = 0.0
    variance: float = 0.0
    product: float = 0.0
    square: float = 0.0
    seen: float = 0.0

    @classmethod
    def of(cls, units: int) -> "Critic":
        return cls(torch.zeros(units), torch.zeros(units))

    @property
    def slopes(self) -> Tensor:
        """How much the loss is expected to change with each unit; 0 for all before anything was seen."""
        factor = max(self.product / self.square, 0.0) if self.square > 0 else 0.0
        return -factor * self.scores

    @property
    def scale(self) -> float:
        """What advantages are divided by: 1 before any loss was seen."""
        return float(self.variance**0.5) if self.variance > 0 else 1.0

    def expects(self, masks: Tensor, probabilities: Tensor) -> Tensor:
        """The loss that is expected of each mask; 0 before any was seen."""
        return self.mean + (masks - probabilities.detach()) @ self.slopes

    def after(self, masks: Tensor, losses: Tensor, memory: float) -> "Critic":
        """The critic after it saw the losses of some masks; `memory` is the share of the averages that stays."""
        seen = memory * self.seen + 1 - memory
        new = (1 - memory) / seen
        off = losses - losses.mean()
        guess = -(masks - masks.mean(dim=0)) @ self.scores
        return replace(
            self,
            seen=seen,
            mean=self.mean + new * (float(losses.mean()) - self.mean),
            variance=self.variance + new * (float(off.square().mean()) - self.variance),
            product=memory * self.product + float(off @ guess),
            square=memory * self.square + float(guess @ guess),
        )

    def learns(self, mask: Tensor, derivatives: Tensor, memory: float) -> "Critic":
        """The critic after a step of training under a mask, and the derivatives of its loss by the mask."""
        met = torch.where(mask > 0, memory * self.met + 1 - memory, self.met)
        new = torch.where(mask > 0, (1 - memory) / met.clamp_min(1e-12), 0.0)
        return replace(self, met=met, scores=self.scores + new * (derivatives.square() - self.scores))


def surrogate(logits: Tensor, masks: Tensor, losses: Tensor, critic: Critic, alive: Tensor) -> Tensor:
    """A scalar whose gradient estimates that of the expected loss in units of the critic's scale.

    `losses` are those of `masks` on one batch, drawn with the probabilities that `logits` give. What the batch adds to
    the loss of each is told by the others. Units that are not `alive` are no choice any more: their masks are 0.
    """
    probabilities = torch.sigmoid(logits) * alive
    off = (losses - critic.expects(masks, probabilities)).detach()
    others = (off.sum() - off) / (len(off) - 1) if len(off) > 1 else 0.0
    advantages = off - others
    likely = log_likelihood(logits[alive], masks[:, alive])
    return ((advantages * likely).mean() + critic.slopes @ probabilities) / critic.scale
