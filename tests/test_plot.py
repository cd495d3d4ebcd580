"""Pictures: what is drawn, where it stands, and that drawing leaves nothing behind."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from helpers import is_one_sentence, run_python
from superpose import plot
from superpose.data import Affine, Dataset
from superpose.errors import DataError, FileError, OptionError, ShapeError
from superpose.nn import KAN
from superpose.plot import diagram_numbers, edge_numbers
from superpose.plot.network_layout import Layout, arrange
from superpose.plot.samples import traced
from superpose.train import History, Record

ODD_NAMES = ["$x_1$", "a_b^c\\frac{1}", "<b>&amp;\"'", "Größe λ²", "two\nlines", "--> 体积"]
SHAPES = [[1, 1], [2, 5, 1], [5, 1, 1], [4, 4, 2, 1], [17, 1, 14], [9, 9, 1], [3, 30, 2]]


def samples(count: int, rows: int = 60) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.rand(rows, count, generator=generator, dtype=torch.float64) - 1


def pruned(widths: list[int], share: float, **options: object) -> KAN:
    """A model without that share of its edges, chosen at random."""
    model = KAN(widths, seed=0, **options)
    generator = torch.Generator().manual_seed(1)
    edges = model.active_edges()
    lots = torch.rand(len(edges), generator=generator)
    return model.with_mask([e for e, lot in zip(edges, lots, strict=True) if lot < share], False)


def svg(figure: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(plot.render(figure, "svg"))


def ids(figure: Figure, kind: str) -> set[tuple[int, ...]]:
    """The numbers in the ids ``kind-1-2-3`` of an SVG."""
    found = [element.get("id", "") for element in svg(figure).iter()]
    matches = [re.fullmatch(rf"{kind}((-\d+)+)", name) for name in found]
    listed = [tuple(map(int, match[1][1:].split("-"))) for match in matches if match]
    assert len(listed) == len(set(listed))
    return set(listed)


def words(figure: Figure) -> list[str]:
    return ["".join(e.itertext()) for e in svg(figure).iter() if e.tag.endswith("text")]


def artist(figure: Figure, gid: str):
    (found,) = figure.findobj(lambda part: part.get_gid() == gid)
    return found


# -- the network diagram


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("widths", SHAPES, ids=str)
def test_each_active_edge_has_one_box_and_one_curve(widths: list[int], share: float) -> None:
    model = pruned(widths, share)
    figure = plot.network(model, samples(widths[0]))
    assert ids(figure, "edge") == ids(figure, "curve") == set(model.active_edges())


def test_hidden_nodes_without_edges_are_not_drawn_and_inputs_are() -> None:
    model = KAN([3, 3, 1]).with_mask([(0, 0, 0), (0, 1, 0), (0, 2, 0), (1, 0, 0)], False)
    model = model.with_mask([(0, 2, 1), (0, 2, 2)], False)
    figure = plot.network(model, samples(3))
    assert ids(figure, "node") == {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 0)}
    grey = artist(figure, "node-0-2").get_color()
    assert min(grey) > 0.7 > max(artist(figure, "node-0-0").get_color())


@pytest.mark.parametrize("widths", SHAPES, ids=str)
@pytest.mark.parametrize("length", [2, 60])
def test_nothing_is_cut_off_and_no_names_overlap(widths: list[int], length: int) -> None:
    model = KAN(
        widths,
        feature_names=[f"{n}_".ljust(length, "W") for n in range(widths[0])],
        target_names=[f"{n}_".ljust(length, "W") for n in range(widths[-1])],
    )
    figure = plot.network(model, samples(widths[0], 5), title="A title " * 6)
    whole = figure.bbox
    parts = [*figure.axes[0].texts, *figure.axes[0].lines, *figure.axes[0].patches]
    for part in parts:
        box = part.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1
    names = [text for text in figure.axes[0].texts if text.get_text()[0].isdigit()]
    assert len(names) == widths[0] + widths[-1]
    for one, other in itertools.combinations(names, 2):
        if one.get_rotation() == other.get_rotation() == 0:
            assert not one.get_window_extent().overlaps(other.get_window_extent())
        elif one.get_position()[1] == other.get_position()[1]:
            apart = abs(one.get_position()[0] - other.get_position()[0])
            high = one.get_fontsize() / 72
            assert apart * numpy.sin(numpy.radians(one.get_rotation())) > high


def clashes(layout: Layout, tagged: set[tuple[int, int, int]]) -> list[object]:
    """The pairs of boxes that overlap, and the lines that cross another edge's box."""
    half = layout.box / 2
    areas = {
        edge: (x - half, y - half - layout.tag * (edge in tagged), x + half, y + half)
        for edge, (x, y) in layout.boxes.items()
    }
    found: list[object] = []
    for (one, a), (other, b) in itertools.combinations(areas.items(), 2):
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
            found.append((one, other))
    places = numpy.linspace(0, 1, 25)
    for edge, lines in layout.lines.items():
        corners = [pair for line in lines for pair in itertools.pairwise(line)]
        points = numpy.concatenate([numpy.outer(1 - places, p) + numpy.outer(places, q)
                                    for p, q in corners])  # fmt: skip
        for other, (x0, y0, x1, y1) in areas.items():
            x, y = points.T
            margin = 1e-9
            inside = (x > x0 + margin) & (x < x1 - margin) & (y > y0 + margin) & (y < y1 - margin)
            if inside.any():
                found.append((edge, "line", other))
    return found


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_no_box_or_line_lies_over_a_box(widths: list[int], share: float, seed: int) -> None:
    generator = numpy.random.default_rng(seed)
    edges = [(n, i, o) for n in range(len(widths) - 1) for i in range(widths[n]) for o in range(widths[n + 1])]
    kept = [edge for edge in edges if generator.random() >= share]
    tagged = {edge for edge in kept if generator.random() < 0.3}
    layout = arrange([list(range(width)) for width in widths], kept, tagged=tagged)
    assert set(layout.boxes) == set(kept)
    assert clashes(layout, tagged) == []
    for x, y in [*layout.boxes.values(), *layout.nodes.values()]:
        assert -1e-9 <= x <= layout.width + 1e-9 and -1e-9 <= y <= layout.height + 1e-9


def test_clashes_are_found() -> None:
    layout = arrange([[0, 1], [0]], [(0, 0, 0), (0, 1, 0)])
    moved = dict.fromkeys(layout.boxes, layout.boxes[0, 0, 0])
    assert clashes(Layout(**{**vars(layout), "boxes": moved}), set())


def test_names_are_letters_in_the_picture_whatever_is_in_them() -> None:
    model = KAN([6, 1], feature_names=ODD_NAMES, target_names=["$\\alpha$ & <y>"])
    said = words(plot.network(model, samples(6), title="$title_1$"))
    expected = [*ODD_NAMES, "$\\alpha$ & <y>", "$title_1$"]
    assert {name.replace("\n", " ") for name in expected} <= set(said)


def test_long_names_keep_both_ends() -> None:
    name = "the_beginning_" + "x" * 50 + "_the_end"
    said = words(plot.network(KAN([1, 1], feature_names=[name]), samples(1)))
    (shown,) = [word for word in said if "…" in word]
    assert len(shown) <= 24 and shown.startswith("the_begin") and shown.endswith("_the_end")


def test_unprintable_names_give_valid_pictures() -> None:
    model = KAN([2, 1], feature_names=["a\x00b\x1b", "\ud800\ufffe"])
    assert len(ids(plot.network(model, samples(2)), "edge")) == 2


def test_symbolic_edges_have_their_name_and_their_own_colour() -> None:
    model = KAN([2, 1])
    model.layer(0).set_symbolic({(1, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    figure = plot.network(model, samples(2))
    assert {"x²", "spline", "symbolic"} <= set(words(figure))
    red, _, blue = artist(figure, "curve-0-1-0").get_color()
    assert red > blue
    red, _, blue = artist(figure, "curve-0-0-0").get_color()
    assert red < blue


def test_the_curve_in_a_box_is_the_edge_over_the_activations_that_were_seen() -> None:
    model = KAN([1, 1])
    model.layer(0).set_symbolic({(0, 0): ("x^3", (1.0, 0.0, 2.0, 0.5))})
    figure = plot.network(model, torch.tensor([[0.5], [1.5], [1.0]], dtype=torch.float64))
    drawn = numpy.asarray(artist(figure, "curve-0-0-0").get_ydata())
    expected = numpy.linspace(0.5, 1.5, len(drawn)) ** 3
    assert abs(numpy.corrcoef(drawn, expected)[0, 1] - 1) < 1e-12


def test_edges_fade_with_their_scores() -> None:
    model = KAN([3, 1])
    scores = (torch.tensor([[0.0], [0.3], [1.0]]),)
    figure = plot.network(model, samples(3), scores=scores)
    light = [sum(artist(figure, f"curve-0-{i}-0").get_color()) for i in range(3)]
    assert light[0] > light[1] > light[2]
    bolder = plot.network(model, samples(3), scores=scores, beta=30)
    assert sum(artist(bolder, "curve-0-1-0").get_color()) < light[1]


def test_an_edge_that_varies_little_is_fainter_by_itself() -> None:
    model = KAN([2, 1])
    with torch.no_grad():
        for value in (model.layer(0).coefficients, model.layer(0).base_weight):
            value[1] = 0.02 * value[0]
    figure = plot.network(model, samples(2))
    strong, weak = (sum(artist(figure, f"curve-0-{i}-0").get_color()) for i in range(2))
    assert weak > strong + 0.5


def test_a_layer_of_very_many_edges_shows_the_strongest_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagram_numbers, "MAX_EDGES", 5)
    scores = (torch.arange(12.0).reshape(12, 1) / 12,)
    figure = plot.network(KAN([12, 1]), samples(12), scores=scores)
    assert ids(figure, "edge") == {(0, i, 0) for i in range(7, 12)}
    assert "7 weaker edges not drawn" in words(figure)


@pytest.mark.parametrize(
    "model",
    [
        KAN([2, 2, 1], dtype=torch.float32),
        KAN([2, 2, 1], degree=0, base="none"),
        KAN([2, 2, 1]).with_mask([(1, 0, 0), (1, 1, 0)], False),
        pruned([2, 2, 1], 1.0),
    ],
    ids=["float32", "steps", "no way to the output", "no edges"],
)
@pytest.mark.parametrize("rows", [1, 5])
def test_unusual_models_and_constant_samples_are_drawn(model: KAN, rows: int) -> None:
    figure = plot.network(model, torch.zeros(rows, 2))
    assert ids(figure, "edge") == set(model.active_edges())


def test_a_data_set_is_taken_by_column_names() -> None:
    x = samples(2)
    turned = Dataset.from_arrays(x.flip(1), x.sum(1), feature_names=["b", "a"])
    model = KAN([2, 1], feature_names=["a", "b"])
    assert plot.render(plot.network(model, turned), "svg") == plot.render(plot.network(model, x), "svg")


def test_rows_on_which_the_model_is_not_finite_do_not_matter() -> None:
    model = KAN([1, 1])
    model.layer(0).set_symbolic({(0, 0): ("log", (1.0, 0.0, 1.0, 0.0))})
    x = torch.tensor([[-1.0], [0.5], [2.0], [float("nan")]], dtype=torch.float64)
    with_them, without = (plot.network(model, rows) for rows in (x, x[1:3]))
    assert plot.render(with_them, "svg") == plot.render(without, "svg")
    with pytest.raises(DataError) as caught:
        plot.network(model, x[:1])
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"beta": 0.0}, OptionError),
        ({"beta": float("nan")}, OptionError),
        ({"scores": (torch.ones(1, 2),)}, OptionError),
        ({"scores": ()}, OptionError),
        ({"x": samples(3)}, ShapeError),
        ({"x": samples(2)[:0]}, DataError),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_said_in_one_sentence(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        plot.network(KAN([2, 1]), **{"x": samples(2), **options})
    assert is_one_sentence(str(caught.value))


# -- one edge, the staircase, measured against predicted


def test_an_edge_is_shown_in_the_users_units_with_its_knots() -> None:
    model = KAN([2, 1], grid_size=4, feature_names=["a_b", "$c$"], target_names=["out"])
    scaling = Affine(torch.tensor([0.0, 100.0]), torch.tensor([1.0, 10.0]))
    model.set_scaling(scaling, Affine(torch.tensor([5.0]), torch.tensor([2.0])))
    x = samples(2) * torch.tensor([1.0, 10.0]) + torch.tensor([0.0, 100.0])
    figure = plot.edge(model, x, 0, 1, 0)
    assert "$c$ → out" in words(figure)
    curve, knots = artist(figure, "curve"), artist(figure, "knots")
    inside = torch.linspace(-1, 1, 5)[1:-1]
    assert set((100 + 10 * inside).tolist()) <= set(knots.get_xdata().round(9).tolist())
    places = torch.as_tensor(numpy.asarray(curve.get_xdata()))
    values = 2 * model.layer(0).edge_function(1, 0, (places - 100) / 10).detach()
    assert torch.allclose(torch.as_tensor(numpy.asarray(curve.get_ydata())), values)


def test_a_symbolic_edge_tells_its_function_and_constants_in_the_units_of_the_picture() -> None:
    model = KAN([1, 1])
    model.layer(0).set_symbolic({(0, 0): ("sin", (3.0, 0.5, 2.0, -1.0))})
    scaling = Affine(torch.tensor([4.0]), torch.tensor([2.0]))
    model.set_scaling(scaling, Affine(torch.tensor([0.0]), torch.tensor([10.0])))
    said = words(plot.edge(model, samples(1) * 2 + 4, 0, 0, 0))
    assert "c·f(a·x + b) + d, f = sin" in said
    assert "a = 1.5, b = −5.5, c = 20, d = −10" in said


@pytest.mark.parametrize("which", [(0, 0, 1), (0, 1, 0), (2, 0, 0), (-1, 0, 0)])
def test_an_edge_that_is_not_there_is_one_sentence(which: tuple[int, int, int]) -> None:
    model = KAN([2, 1, 1]).with_mask([(0, 1, 0)], False)
    with pytest.raises(OptionError) as caught:
        plot.edge(model, samples(2), *which)
    assert is_one_sentence(str(caught.value))


def staircase_history(grids: list[int], validation: float = 2.0) -> History:
    records = [Record(step, "", grid, 0.5**step, validation * 0.5**step, 0.1 * step) for step, grid in enumerate(grids)]
    return History(records, "lm", reason="it ended", train_rmse=0.1, validation_rmse=0.2, seconds=1.0)


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 1.0 + 2**-52],
        [1e9, 1e9 + 1e-6, 1e9 + 2e-6],
        [1e16, 1e16 + 2, 1e16 + 4],
        [-1e300, 1e300],
        [3e-310, 5e-310],
        [0.0, 0.0],
        [0.0, 1.0, 1e15],
    ],
)
def test_the_samples_under_an_edge_are_drawn_wherever_they_lie(values: list[float]) -> None:
    counts, edges = edge_numbers.histogram(numpy.array(values))
    assert counts.sum() == len(values) and bool(numpy.isfinite(edges).all())
    assert edges[0] <= min(values) and edges[-1] >= max(values)
    # Each bar has a width, so that it is seen.
    assert bool((numpy.diff(edges) > 0).all())


def test_the_staircase_marks_each_refinement_with_its_grid() -> None:
    figure = plot.staircase(staircase_history([3] * 9 + [5] * 9 + [10] * 9))
    assert ids(figure, "refinement") == {(1,), (2,)}
    assert [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_gid() and
            line.get_gid().startswith("refinement")] == [8.5, 17.5]  # fmt: skip
    assert {"grid 3", "5", "10", "training", "validation"} <= set(words(figure))
    assert figure.axes[0].get_yscale() == "log"
    assert numpy.allclose(artist(figure, "curve-training").get_ydata(), 0.5 ** numpy.arange(27))


@pytest.mark.parametrize(
    "history",
    [
        History(),
        staircase_history([3]),
        staircase_history([3, 5], validation=float("nan")),
        History([Record(0, "start", 3, 0.0, 0.0, 0.0)]),
    ],
    ids=["empty", "one step", "no validation", "all zero"],
)
def test_short_histories_are_drawn(history: History) -> None:
    assert words(plot.staircase(history))


@pytest.mark.parametrize(("low", "high"), [(0.031, 0.041), (0.2, 0.9), (3.11e-5, 3.2e-5), (1e-9, 1.0), (2e-3, 5e3)])
def test_all_labels_of_losses_are_on_the_picture(low: float, high: float) -> None:
    losses = numpy.geomspace(high, low, 12)
    records = [Record(step, "", 3, loss, 1.1 * loss, 0.1) for step, loss in enumerate(losses)]
    figure = plot.staircase(History(records, "lm", reason="it ended", train_rmse=0.1, validation_rmse=0.2, seconds=1.0))
    plot.render(figure, "png")
    (axes,) = figure.axes
    assert axes.yaxis.get_tightbbox().x0 >= 0 and axes.get_tightbbox().x1 <= figure.bbox.x1
    assert axes.get_position().width > 0.7


def test_a_wide_offset_leaves_its_digits_in_pictures_of_float32_models() -> None:
    """Columns such as positions on a map: float32 holds 5,000,000.3 as 5,000,000.5."""
    wide, narrow = (KAN([1, 1], grid_size=4, dtype=dtype, seed=0) for dtype in (torch.float64, torch.float32))
    scaling = Affine(torch.tensor([5e6]), torch.tensor([0.5])), Affine(torch.tensor([0.0]), torch.tensor([1.0]))
    for model in (wide, narrow):
        model.set_scaling(*scaling)
    narrow.load_state_dict({name: value.float() for name, value in wide.state_dict().items()})
    x = 5e6 + 0.5 * samples(1)
    for gid in ("curve", "knots"):
        exact, drawn = (
            numpy.asarray(artist(plot.edge(model, x, 0, 0, 0), gid).get_xdata()) for model in (wide, narrow)
        )
        assert numpy.abs(exact - drawn).max() < 1e-6
    assert torch.equal(traced(narrow, x).layers[0].inputs, (2 * (x - 5e6)).float())


def test_parity_tells_the_error_of_its_rows() -> None:
    measured = torch.tensor([[1.0], [2.0], [4.0], [7.0]])
    figure = plot.parity(measured, [1.3, 1.7, 4.3, 6.7], name="v_$m$")
    assert {"RMSE 0.3, R² 0.9829", "measured v_$m$", "predicted v_$m$"} <= set(words(figure))
    drawn = artist(figure, "points")
    assert drawn.get_xdata().tolist() == [1, 2, 4, 7]
    figure = plot.parity([1.0, 2.0], [1.5, float("nan")], name="v")
    assert {"RMSE 0.5", "network, 2 rows, 1 not finite left out"} <= set(words(figure))
    assert "RMSE 1, R² 0" in words(plot.parity([0.0, 2.0, 9.0], [1.0, 1.0, 1.0], weights=[2.0, 2.0, 1e-30]))
    for bad in ([1.0], [[1.0, 2.0]]):
        with pytest.raises(OptionError) as caught:
            plot.parity([1.0, 2.0], bad, name="v")
        assert is_one_sentence(str(caught.value))


def test_many_points_do_not_make_a_large_file() -> None:
    x = numpy.linspace(0, 1, 50_000)
    assert len(plot.render(plot.parity(x, x, name="v"), "svg")) < 300_000


# -- files, and what is left behind


@pytest.fixture(scope="module")
def picture() -> Figure:
    return plot.network(KAN([2, 2, 1], seed=0), samples(2))


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.svg", b"<?xml"), ("b.png", b"\x89PNG\r\n"), ("c.pdf", b"%PDF"), ("D.PNG", b"\x89PNG")],
)
def test_a_file_is_of_the_kind_that_its_suffix_says(picture: Figure, tmp_path: Path, name: str, start: bytes) -> None:
    plot.save_figure(picture, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.svg.gz"])
def test_other_suffixes_are_one_sentence_and_no_file(picture: Figure, tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match=r"\.svg, \.png or \.pdf") as caught:
        plot.save_figure(picture, tmp_path / name)
    assert is_one_sentence(str(caught.value))
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_one_sentence(picture: Figure, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        plot.save_figure(picture, tmp_path / "none" / "a.svg")
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_the_same_picture_is_the_same_file(format: str) -> None:
    made = [plot.network(KAN([2, 2, 1], seed=0), samples(2)) for _ in range(2)]
    one, other = (plot.render(figure, format) for figure in made)
    assert one == other == plot.render(made[0], format)
    assert b"<dc:date>" not in one and b"CreationDate" not in one


def test_a_persons_settings_are_neither_read_nor_changed() -> None:
    expected = plot.render(plot.network(KAN([2, 1], seed=0), samples(2)), "svg")
    with matplotlib.rc_context(
        {"text.usetex": True, "font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path"}
    ):
        before = dict(matplotlib.rcParams)
        assert plot.render(plot.network(KAN([2, 1], seed=0), samples(2)), "svg") == expected
        plot.staircase(staircase_history([3, 5]))
        plot.parity([1.0], [1.0])
        assert dict(matplotlib.rcParams) == before


def test_pyplot_is_not_used_and_nothing_global_changes() -> None:
    script = (
        "import torch, sys; from superpose import plot; from superpose.nn import KAN\n"
        "assert 'matplotlib' not in sys.modules, 'too early'\n"
        "state = torch.get_rng_state()\n"
        "model, x = KAN([2, 1]), torch.rand(9, 2, generator=torch.Generator())\n"
        "for figure in (plot.network(model, x), plot.edge(model, x, 0, 0, 0)):\n"
        "    plot.render(figure, 'svg'), plot.render(figure, 'png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'\n"
        "assert torch.equal(state, torch.get_rng_state())\n"
    )
    finished = run_python("-W", "error", "-c", script)
    assert finished.returncode == 0, finished.stderr


def test_a_notebook_shows_a_picture(picture: Figure) -> None:
    assert picture._repr_png_().startswith(b"\x89PNG")
