"""Adversarial training (Miyato et al. 2017): each text is also learned with its vectors moved against it.

    r = ε σ g / |g|

g is the gradient of the loss with respect to all vectors of a text, σ the standard deviation of the vectors
(they have one of 1 in the paper). The moved text is read under dropout masks of its own: under those of g it
was too hard, and nothing was learned.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def adversarial_loss(
    vectors_of: Callable[[], Tensor], loss_of: Callable[[Tensor, int], Tensor], strength: float
) -> Tensor:
    """Return the mean of the losses of texts and of their adversarial neighbours.

    The gradient of the first half is added to the parameters here, because recurrent layers keep what their
    gradient needs only until they read again; that of the second half is left to the caller.

    Args:
        vectors_of: Looks the vectors of the texts up, (T, B, E).
        loss_of: The mean loss in nats, given vectors and 0 or 1, which is to decide the dropout masks.
        strength: ε, the length of the step in standard deviations.
    """
    vectors = vectors_of()
    vectors.retain_grad()
    plain = loss_of(vectors, 0) / 2
    plain.backward()  # type: ignore[no-untyped-call]
    step = adversarial_step(vectors, strength)
    return loss_of(vectors_of() + step, 1) / 2 + plain.detach()


def adversarial_step(vectors: Tensor, strength: float) -> Tensor:
    """Return r of each text, (T, B, E); `vectors` must have their gradient."""
    gradient = vectors.grad
    if gradient is None:
        raise ValueError("the vectors have no gradient; call backward, and retain_grad before it")
    norm = gradient.square().sum(dim=(0, 2), keepdim=True).sqrt()  # (T, B, E) -> (1, B, 1)
    step: Tensor = strength * vectors.detach().std() * gradient / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    return step
