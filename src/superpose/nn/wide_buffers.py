"""Buffers that modules in half precision keep in float32, and that are set anew after the meta device.

A bfloat16 number has 8 bits: of 100 knots on [-1, 1] many would be the same one, and a column of years would have lost
the year. The coefficients that are trained may be rounded, since training goes on from where they are; knots and the
scaling of columns stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

HALF = frozenset((torch.float16, torch.bfloat16))


def wide(values: Tensor) -> Tensor:
    """The tensor, in float32 if it is in half precision.

    >>> wide(torch.ones(2, dtype=torch.bfloat16)).dtype, wide(torch.ones(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return values.float() if values.dtype in HALF else values


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """float32 for a half precision, else the dtype itself."""
    return torch.float32 if dtype in HALF else dtype


class WideBuffers(nn.Module):
    """A module with buffers of which ``wide_buffers`` names those that stay float32 in half precision."""

    wide_buffers: tuple[str, ...] = ()

    def reset_buffers(self) -> None:
        """Give the buffers the values of a new module, in place."""
        raise NotImplementedError

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        # The one method through which modules change dtype and device.
        before = {name: self._buffers[name] for name in self.wide_buffers}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        left_meta = False
        for name, old in before.items():
            new = self._buffers[name]
            assert old is not None and new is not None
            if new.dtype in HALF:
                self._buffers[name] = old.to(device=new.device, dtype=torch.float32)
            left_meta |= old.is_meta and not new.is_meta
        if left_meta:
            # Memory without values (``to_empty``). Parameters are set by ``reset_parameters``, as in torch's layers.
            self.reset_buffers()
        return self
