"""Differential equations: derivatives of a KAN, residual problems and their solution."""

from superpose.pde.operators import derivative, divergence, gradient, hessian, laplacian

__all__ = ["derivative", "divergence", "gradient", "hessian", "laplacian"]
