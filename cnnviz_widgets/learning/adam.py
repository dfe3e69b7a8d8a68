"""The optimiser of everything that is trained here.

Diederik P. Kingma and Jimmy Ba, "Adam: A Method for Stochastic Optimization" (2014).
"""

from collections.abc import Iterable

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba, 2014) on those of `parameters` that have a gradient.

    As `torch.optim.Adam` without options, also for parameters that have a gradient only now and then; making one of
    those imports torch's compiler, which takes seconds and a hundred megabytes.
    """

    def __init__(
        self, parameters: Iterable[Tensor], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.parameters = list(parameters)
        self.betas, self.eps = betas, eps
        # of half precision, whose smallest numbers are larger than `eps`, the means are kept in float32
        self.means = [torch.zeros_like(parameter, dtype=_precise(parameter)) for parameter in self.parameters]
        self.squares = [torch.zeros_like(mean) for mean in self.means]
        self.steps = [0] * len(self.parameters)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move every parameter against its gradient."""
        for index, (parameter, mean, square) in enumerate(zip(self.parameters, self.means, self.squares, strict=True)):
            gradient = parameter.grad
            if gradient is None:
                continue
            self.steps[index] += 1
            steps = self.steps[index]
            gradient = gradient.to(mean.dtype)
            mean.lerp_(gradient, 1 - self.betas[0])
            square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
            scale = (square / (1 - self.betas[1] ** steps)).sqrt_().add_(self.eps)
            rate = learning_rate / (1 - self.betas[0] ** steps)
            if mean.dtype == parameter.dtype:
                parameter.addcdiv_(mean, scale, value=-rate)
            else:
                parameter.copy_(parameter.to(mean.dtype).addcdiv_(mean, scale, value=-rate))


def _precise(parameter: Tensor) -> torch.dtype:
    return torch.promote_types(parameter.dtype, torch.float32)
