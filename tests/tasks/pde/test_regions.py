"""Points lie where they should, evenly, and the same for the same seed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from superpose.errors import DataError, OptionError
from superpose.tasks.pde import Box, Image, Part, Region, Union

SQUARE = Box((-1, 0), (1, 3))


def disc(p: Tensor) -> Tensor:
    return p.square().sum(1) <= 1


def circle() -> Image:
    return Image(Box([0], [2 * math.pi]), lambda s: torch.cat([s.cos(), s.sin()], 1))


REGIONS: list[tuple[Region, float]] = [
    (SQUARE, 6.0),
    (SQUARE.face(1, "high"), 2.0),
    (SQUARE.boundary(), 10.0),
    (SQUARE.boundary([0]), 6.0),
    (Part(Box((-1, -1), (1, 1)), disc), math.pi),
    (circle(), 2 * math.pi),
    (Union(Box((0, 0), (1, 1)), Box((1, 0), (2, 1))), 2.0),
    (Box((1, 2), (1, 2)), 1.0),
]


@pytest.mark.parametrize("method", ["sobol", "random"])
@pytest.mark.parametrize(("region", "size"), REGIONS)
def test_points_are_as_many_as_asked_for_and_repeat_with_the_seed(region: Region, size: float, method: str) -> None:
    assert region.size == pytest.approx(size, rel=0.03)
    for count in (1, 7, 100):
        points = region.sample(count, method=method, seed=3)
        assert points.shape == (count, region.dimension) and points.dtype == torch.float64
        assert torch.equal(points, region.sample(count, method=method, seed=3))
    if size > 1:
        assert not torch.equal(points, region.sample(100, method=method, seed=4))


def test_points_lie_in_their_region() -> None:
    points = SQUARE.boundary().sample(400)
    on = ((points - SQUARE.low).abs().amin(1) == 0) | ((points - SQUARE.high).abs().amin(1) == 0)
    assert bool(on.all())
    # In proportion to the lengths of the faces: 3 of 10 on each side.
    assert int((points[:, 0] == -1).sum()) == pytest.approx(120, abs=2)
    assert bool(disc(Part(Box((-1, -1), (1, 1)), disc).sample(300)).all())
    torch.testing.assert_close(circle().sample(50).norm(dim=1), torch.ones(50, dtype=torch.float64))


def test_lines_are_sampled_with_their_ends() -> None:
    line = SQUARE.face(1, "low")
    assert line.sample(1).tolist() == [[-1, 0]] and line.sample(2).tolist() == [[-1, 0], [1, 0]]
    corners = SQUARE.boundary().sample(40).tolist()
    assert all([x, y] in corners for x in (-1, 1) for y in (0, 3))


def test_sobol_points_are_even() -> None:
    points = SQUARE.sample(256)
    cells = (4 * (points - SQUARE.low) / (SQUARE.high - SQUARE.low)).long()
    counts = torch.bincount(4 * cells[:, 0] + cells[:, 1], minlength=16)
    assert bool((counts == 16).all())


def test_a_mesh_has_its_ends() -> None:
    points = SQUARE.mesh((3, 4))
    assert points.shape == (12, 2)
    assert points.amin(0).tolist() == [-1, 0] and points.amax(0).tolist() == [1, 3]
    assert SQUARE.face(0, "low").mesh(5).shape == (5, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box((0,), (1, 2)), "as many lower bounds as upper"),
        (lambda: Box((1,), (0,)), "none above it"),
        (lambda: Box((0,), (math.inf,)), "must be finite"),
        (lambda: SQUARE.face(2, "low"), "a face is one of axes 0 to 1"),
        (lambda: SQUARE.sample(0), "whole number of at least 1, not 0"),
        (lambda: SQUARE.sample(3, method="halton"), "one of sobol, random, not 'halton'"),
        (lambda: SQUARE.mesh((3,)), "for each of 2 axes"),
        (lambda: Union(), "at least one region"),
        (lambda: Union(SQUARE, Box([0], [1])), "of the same dimension"),
    ],
)
def test_regions_that_cannot_be_are_refused(make: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()  # type: ignore[operator]


def test_predicates_and_maps_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DataError, match="no point of the region"):
        Part(SQUARE, lambda p: p[:, 0] > 5)
    with pytest.raises(DataError, match="one boolean for each of the 4096 points, but it gave float64"):
        Part(SQUARE, lambda p: p[:, 0])
    with pytest.raises(DataError, match="must take points"):
        Image(SQUARE, lambda p: p[:, 0])
