"""The affine maps between the user's units and a network's, as part of the model."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.data import Affine
from superpose.errors import DataError, ShapeError
from superpose.nn.layer import buffer_of
from superpose.nn.wide_buffers import WideBuffers, wide_dtype


class ScaledModule(WideBuffers):
    """A module whose layers compute on scaled inputs and give scaled outputs.

    The scaling, ``scaled = (value - center) / scale`` for inputs and outputs, is part of the model: the identity until
    :func:`superpose.fit` or :meth:`set_scaling` sets it.

    Attributes:
        input_center, input_scale: ``[n_in]``.
        output_center, output_scale: ``[n_out]``.
        scaled: whether the scaling was set.
        feature_names, target_names: names of inputs and outputs.
    """

    input_center: Tensor
    input_scale: Tensor
    output_center: Tensor
    output_scale: Tensor
    scaled: Tensor
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    wide_buffers = ("input_center", "input_scale", "output_center", "output_scale")

    def _register_scaling(
        self, inputs: int, outputs: int, device: torch.device | str | None, dtype: torch.dtype
    ) -> None:
        """Add the buffers, with the identity in them."""
        for name, count in (("input", inputs), ("output", outputs)):
            for part in ("center", "scale"):
                self.register_buffer(f"{name}_{part}", torch.empty(count, device=device, dtype=wide_dtype(dtype)))
        self.register_buffer("scaled", torch.empty((), dtype=torch.bool, device=device))
        self.reset_buffers()

    def reset_buffers(self) -> None:
        """Make the scaling the identity."""
        for name in self.wide_buffers:
            getattr(self, name).fill_(1.0 if name.endswith("scale") else 0.0)
        self.scaled.fill_(False)

    @property
    def dtype(self) -> torch.dtype:
        """Of the model's parameters and outputs."""
        raise NotImplementedError

    def set_scaling(self, inputs: Affine, outputs: Affine) -> None:
        """Set the affine maps between the user's units and the layers': ``scaled = (value - center) / scale``.

        The functions on the edges stay as they are, so the function of the model in the user's units changes.
        """
        for name, value in (
            ("input_center", inputs.center),
            ("input_scale", inputs.scale),
            ("output_center", outputs.center),
            ("output_scale", outputs.scale),
        ):
            getattr(self, name).copy_(value)
        self.scaled.fill_(True)

    def scale_inputs(self, x: Tensor) -> Tensor:
        """From the user's units to the first layer's units, in the model's dtype.

        Args:
            x: ``[..., n_in]``.

        Raises:
            ShapeError: if the last dimension is not the number of inputs.
            DataError: if the inputs are complex.
        """
        center = buffer_of(self, "input_center")
        expected = center.shape[0]
        if x.dim() == 0 or x.shape[-1] != expected:
            remedy = " (for one feature use x.reshape(-1, 1))" if x.dim() == 1 else ""
            raise ShapeError(
                f"the model takes {expected} feature{'s' * (expected != 1)} ({', '.join(self.feature_names[:8])}"
                f"{', ...' if expected > 8 else ''}) in the last dimension, but the input has shape "
                f"{tuple(x.shape)}{remedy}"
            )
        return _scaled(x, center, buffer_of(self, "input_scale")).to(self.dtype)

    def scale_targets(self, y: Tensor) -> Tensor:
        """From the user's units ``[..., n_out]`` to the last layer's, in the model's dtype."""
        return _scaled(y, self.output_center, self.output_scale).to(self.dtype)


def _scaled(values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """``(values - center) / scale`` in the dtype of ``center``, which is float32 in models of half precision.

    The subtraction is done in the wider dtype: rounding a year or a position on a map to float32 first would lose
    digits that the difference needs.
    """
    if values.dtype == center.dtype:
        return (values - center) / scale
    if values.is_complex():
        raise DataError(f"the model computes with real numbers, but these are of {values.dtype}; pass their real parts")
    wide = torch.promote_types(values.dtype, center.dtype) if values.is_floating_point() else torch.float64
    return ((values.to(wide) - center) / scale).to(center.dtype)
