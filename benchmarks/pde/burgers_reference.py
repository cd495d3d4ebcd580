"""The solution of Burgers' equation from a sine, by the Cole-Hopf transformation and quadrature.

With ``u = -2 nu phi_x / phi`` the equation ``u_t + u u_x = nu u_xx`` becomes the heat equation for ``phi``, whose
solution is an integral over a Gaussian (J. Cole 1951, E. Hopf 1950; C. Basdevant et al., *Spectral and finite
difference solutions of the Burgers equation*, 1986, equation 7):

    u(t, x) = - int sin(pi (x - s)) f(x - s) g(s) ds / int f(x - s) g(s) ds
    f(y) = exp(-cos(pi y) / (2 pi nu)),   g(s) = exp(-s^2 / (4 nu t))

The trapezoidal rule converges faster than any power for such integrands.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The Gaussian is below 1e-43 at its ends.
_REACH = 10.0
_BLOCK = 1 << 11


def burgers_solution(t: Tensor, x: Tensor, *, viscosity: float = 0.01 / math.pi, nodes: int = 1001) -> Tensor:
    """``u(t, x) [B]`` of ``u_t + u u_x = viscosity u_xx``, ``u(0, x) = -sin(pi x)``, ``u(t, -1) = u(t, 1) = 0``.

    Args:
        t: ``[B]``, not negative.
        x: ``[B]``.
        viscosity: positive; below about 1e-3 more nodes are needed.
        nodes: of the quadrature.

    >>> burgers_solution(torch.tensor([0.0, 0.3]), torch.tensor([0.5, 0.0])).abs().round(decimals=9)
    tensor([1., 0.], dtype=torch.float64)
    """
    t, x = t.to(torch.float64), x.to(torch.float64)
    places = torch.linspace(-_REACH, _REACH, nodes, dtype=torch.float64, device=t.device)
    parts = []
    for time, place in zip(torch.split(t, _BLOCK), torch.split(x, _BLOCK), strict=True):
        y = place[:, None] - (4 * viscosity * time).sqrt()[:, None] * places
        power = -torch.cos(math.pi * y) / (2 * math.pi * viscosity) - places**2
        weight = torch.softmax(power, 1)
        parts.append(-(weight * torch.sin(math.pi * y)).sum(1))
    return torch.cat(parts)
