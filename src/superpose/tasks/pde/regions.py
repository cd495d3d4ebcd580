"""Where equations hold: boxes and their faces, parts of them, unions, images under a map; and points in them."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from superpose.checks import check_whole
from superpose.errors import DataError, OptionError

METHODS = ("sobol", "random")
# Draws after which a part counts as too small for its region: 64 MiB of points in two dimensions.
_MAX_DRAWS = 1 << 22
# Points that the size of a part is estimated from: a relative error of about 1.6% at half the region, if independent.
_SIZE_POINTS = 4096


class Region(ABC):
    """A set of points ``[n]`` from which samples can be drawn, spread evenly.

    Attributes:
        dimension: ``n``.
        size: its length, area or volume; shares out the points of a union.
    """

    dimension: int
    size: float

    @abstractmethod
    def stream(self, method: str, seed: int) -> Callable[[int], Tensor]:
        """A function that gives the next ``count`` points ``[count, n]``, float64."""

    def bounds(self) -> tuple[Tensor, Tensor] | None:
        """The lowest and highest coordinates ``[n]``, or None where they are not known exactly."""
        return None

    def sample(self, count: int, *, method: str = "sobol", seed: int = 0) -> Tensor:
        """``count`` points ``[count, n]``, the same for the same seed.

        Args:
            count: how many.
            method: ``"sobol"`` (scrambled Sobol sequence) or ``"random"`` (independent, uniform).
            seed: of the scrambling or the draws.

        Raises:
            OptionError: for another method or no count.
        """
        if method not in METHODS:
            raise OptionError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        check_whole("count", count)
        return self.stream(method, seed)(count)


class Box(Region):
    """``low <= x <= high``. Axes whose two bounds are equal are fixed, so a face of a box is a box too.

    >>> Box((0, -1), (1, 1)).sample(3, seed=1).shape
    torch.Size([3, 2])
    >>> Box((0, -1), (0, 1)).mesh(3)                # t = 0
    tensor([[ 0., -1.],
            [ 0.,  0.],
            [ 0.,  1.]], dtype=torch.float64)
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        self.low = torch.tensor([float(end) for end in low], dtype=torch.float64)
        self.high = torch.tensor([float(end) for end in high], dtype=torch.float64)
        if self.low.shape != self.high.shape or not len(self.low) or not bool((self.low <= self.high).all()):
            raise OptionError(
                f"a box needs as many lower bounds as upper ones, none above its upper one, not {low!r} and {high!r}"
            )
        if not bool(torch.isfinite(self.low).all() and torch.isfinite(self.high).all()):
            raise OptionError(f"the bounds of a box must be finite, not {low!r} and {high!r}")
        self.dimension = len(self.low)
        self.free = [axis for axis in range(self.dimension) if self.low[axis] < self.high[axis]]
        self.size = math.prod(float(self.high[axis] - self.low[axis]) for axis in self.free)

    def __repr__(self) -> str:
        return f"Box({tuple(self.low.tolist())}, {tuple(self.high.tolist())})"

    def bounds(self) -> tuple[Tensor, Tensor]:
        """See :class:`Region`."""
        return self.low, self.high

    def _place(self, shares: Tensor) -> Tensor:
        points = self.low.repeat(len(shares), 1)
        low, high = self.low[self.free], self.high[self.free]
        points[:, self.free] = low * (1 - shares) + high * shares
        return points

    def stream(self, method: str, seed: int) -> Callable[[int], Tensor]:
        """See :class:`Region`."""
        count = len(self.free)
        if not count:
            return lambda number: self.low.repeat(number, 1)
        if method == "random":
            generator = torch.Generator().manual_seed(seed)
            return lambda number: self._place(torch.rand(number, count, generator=generator, dtype=torch.float64))
        if count == 1:
            return self._line(seed)
        engine = torch.quasirandom.SobolEngine(count, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        return lambda number: self._place(engine.draw(number, dtype=torch.float64))

    def _line(self, seed: int) -> Callable[[int], Tensor]:
        """As :meth:`stream`, with the two ends first: the corners of a domain are the hardest places to reach."""
        engine = torch.quasirandom.SobolEngine(1, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        ends = [0.0, 1.0]

        def next_points(number: int) -> Tensor:
            first = torch.tensor([ends.pop(0) for _ in range(min(number, len(ends)))], dtype=torch.float64)[:, None]
            if len(first) == number:
                return self._place(first)
            return self._place(torch.cat([first, engine.draw(number - len(first), dtype=torch.float64)]))

        return next_points

    def mesh(self, counts: int | Sequence[int]) -> Tensor:
        """An even mesh with ``counts`` points along each free axis, the ends included."""
        numbers = [counts] * len(self.free) if isinstance(counts, int) else list(counts)
        if len(numbers) != len(self.free) or min(numbers, default=1) < 1:
            raise OptionError(f"a mesh needs a number of points for each of {len(self.free)} axes, not {counts!r}")
        if not numbers:
            return self.low[None].clone()
        lines = [torch.linspace(0, 1, number, dtype=torch.float64) for number in numbers]
        return self._place(torch.cartesian_prod(*lines).view(-1, len(lines)))

    def face(self, axis: int, end: str) -> Box:
        """The face where one axis is at its ``"low"`` or ``"high"`` end."""
        if end not in ("low", "high") or axis not in range(self.dimension):
            raise OptionError(
                f"a face is one of axes 0 to {self.dimension - 1} and 'low' or 'high', not {axis!r}, {end!r}"
            )
        low, high = self.low.clone(), self.high.clone()
        low[axis] = high[axis] = getattr(self, end)[axis]
        return Box(low.tolist(), high.tolist())

    def boundary(self, axes: Sequence[int] | None = None) -> Union:
        """All faces, or those of some axes."""
        chosen = self.free if axes is None else axes
        return Union(*[self.face(axis, end) for axis, end in itertools.product(chosen, ("low", "high"))])


class Part(Region):
    """The points of a region for which a predicate holds, found by drawing and rejecting.

    >>> disc = Part(Box((-1, -1), (1, 1)), lambda p: p.square().sum(1) < 1)
    >>> bool((disc.sample(500).norm(dim=1) < 1).all()), round(disc.size, 1)
    (True, 3.1)
    """

    def __init__(self, region: Region, inside: Callable[[Tensor], Tensor]) -> None:
        self.region, self.inside = region, inside
        self.dimension = region.dimension
        share = float(self._kept(region.sample(_SIZE_POINTS)).double().mean())
        if not share:
            raise DataError("no point of the region fulfils the predicate; draw from a smaller box around the part")
        self.size = region.size * share

    def _kept(self, points: Tensor) -> Tensor:
        kept = torch.as_tensor(self.inside(points))
        if kept.shape != (len(points),) or kept.dtype is not torch.bool:
            raise DataError(
                f"a predicate must give one boolean for each of the {len(points)} points, but it gave "
                f"{str(kept.dtype).removeprefix('torch.')} of shape {tuple(kept.shape)}"
            )
        return kept

    def stream(self, method: str, seed: int) -> Callable[[int], Tensor]:
        """See :class:`Region`."""
        draw = self.region.stream(method, seed)

        def next_points(count: int) -> Tensor:
            parts: list[Tensor] = []
            found = drawn = 0
            while found < count:
                if drawn > _MAX_DRAWS:
                    raise DataError(f"only {found} of {drawn} points fulfil the predicate; draw from a smaller box")
                batch = draw(max(256, 2 * (count - found)))
                parts.append(batch[self._kept(batch)])
                found, drawn = found + len(parts[-1]), drawn + len(batch)
            return torch.cat(parts)[:count]

        return next_points


class Union(Region):
    """Several regions, which get points in proportion to their sizes."""

    def __init__(self, *regions: Region) -> None:
        if not regions or len({region.dimension for region in regions}) > 1:
            raise OptionError("a union needs at least one region, all of the same dimension")
        self.regions = regions
        self.dimension = regions[0].dimension
        self.size = sum(region.size for region in regions)

    def bounds(self) -> tuple[Tensor, Tensor] | None:
        """See :class:`Region`."""
        known = [bounds for region in self.regions if (bounds := region.bounds()) is not None]
        if not known:
            return None
        return torch.stack([low for low, _ in known]).amin(0), torch.stack([high for _, high in known]).amax(0)

    def stream(self, method: str, seed: int) -> Callable[[int], Tensor]:
        """See :class:`Region`."""
        # Seeds far apart (7919 is a prime), so that opposite faces do not get the same points.
        streams = [region.stream(method, seed + 7919 * n) for n, region in enumerate(self.regions)]
        ends = list(itertools.accumulate(region.size / self.size for region in self.regions))

        def next_points(count: int) -> Tensor:
            marks = [0, *(round(end * count) for end in ends)]
            parts = [draw(b - a) for draw, a, b in zip(streams, marks[:-1], marks[1:], strict=True) if b > a]
            return torch.cat(parts)

        return next_points


class Image(Region):
    """The image of a region under a map: curved boundaries, discs, rings.

    The points are spread as evenly as the map leaves them.

    >>> circle = Image(Box([0], [2 * math.pi]), lambda s: torch.cat([s.cos(), s.sin()], 1))
    >>> bool((circle.sample(10).norm(dim=1) - 1 < 1e-12).all())
    True
    """

    def __init__(self, region: Region, function: Callable[[Tensor], Tensor]) -> None:
        self.region, self.function = region, function
        self.size = region.size
        self.dimension = self._mapped(region.sample(2)).shape[1]

    def _mapped(self, points: Tensor) -> Tensor:
        image = self.function(points)
        if not isinstance(image, Tensor) or image.dim() != 2 or len(image) != len(points):
            raise DataError(f"the map of a region must take points [N, {self.region.dimension}] to points [N, n]")
        return image

    def stream(self, method: str, seed: int) -> Callable[[int], Tensor]:
        """See :class:`Region`."""
        draw = self.region.stream(method, seed)
        return lambda count: self._mapped(draw(count))
