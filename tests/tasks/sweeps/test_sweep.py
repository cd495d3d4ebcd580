"""Many fits: the same on any number of processes, kept as they come, made again only where they are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch

import superpose
from dying_jobs import end_if_negative
from helpers import is_one_sentence
from superpose import parallel
from superpose.tasks.sweeps import SweepResult
from superpose.tasks.sweeps.kinds import KINDS, Kind
from superpose.tasks.sweeps.options import expanded

FRAME = pandas.DataFrame({"x": [n / 30 for n in range(30)], "y": [(n / 30) ** 3 for n in range(30)]})
VARY: dict[str, Any] = {"hidden": [(), (1,)], "grid_size": [2], "steps": 2, "starts": 1}
QUICK = {"vary": VARY, "seeds": (0, 1)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepResult, Path]:
    folder = tmp_path_factory.mktemp("sweep")
    return superpose.sweep(FRAME, "y", **QUICK, folder=folder), folder


def facts(result: SweepResult) -> list[dict[str, Any]]:
    """Everything but what depends on the machine."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.rows()]


def weights(result: SweepResult) -> list[torch.Tensor]:
    return [tensor for one in result for tensor in one.model().state_dict().values()]


def same(one: SweepResult, other: SweepResult) -> bool:
    pairs = zip(weights(one), weights(other), strict=True)
    return facts(one) == facts(other) and all(torch.equal(a, b) for a, b in pairs)


def test_every_combination_is_fitted(kept: tuple[SweepResult, Path]) -> None:
    result, folder = kept
    frame = result.frame()
    assert len(result) == result.total == len(frame) == 4 and not result.failed
    assert sorted(set(zip(frame["hidden"], frame["seed"], strict=True))) == [((), 0), ((), 1), ((1,), 0), ((1,), 1)]
    assert result.best().facts["error"] == frame["error"].min()
    assert result.best("parameters").options["hidden"] == ()
    assert len(list(folder.glob("fits/*.json"))) == len(list(folder.glob("fits/*.safetensors"))) == 4
    assert pandas.read_csv(folder / "results.csv")["parameters"].tolist() == frame["parameters"].tolist()
    again = superpose.read_sweep(folder)
    assert same(again, result) and all(one.read for one in again)


def test_two_processes_give_what_one_gives_and_a_dead_one_costs_its_own_answer(kept: tuple[SweepResult, Path]) -> None:
    try:
        assert same(superpose.sweep(FRAME, "y", **QUICK, n_jobs=2), kept[0])
        answers = dict(parallel.work_off(end_if_negative, [1, -1, 2, 3, 4], n_jobs=2, backend="loky"))
    finally:
        parallel.close()
    assert isinstance(answers.pop(1), parallel.Lost)
    assert answers == {0: 1, 2: 2, 3: 3, 4: 4}


def test_threads_are_a_backend_too_and_keep_their_number(kept: tuple[SweepResult, Path]) -> None:
    before = torch.get_num_threads()
    assert same(superpose.sweep(FRAME, "y", **QUICK, n_jobs=2, backend="threading"), kept[0])
    assert torch.get_num_threads() == before


def test_a_backend_without_answers_in_between_gets_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's is one; here threads behave like it."""
    engine = parallel._Engine(2, "threading")
    engine.streams = False
    asked: list[int] = []
    monkeypatch.setattr(parallel, "_Engine", lambda *options: engine)
    monkeypatch.setattr(engine, "run_alone", lambda *arguments: asked.append(1))
    assert dict(parallel.work_off(abs, range(7), n_jobs=2, backend="threading")) == {n: n for n in range(7)}
    assert not asked, "no job was taken without being run"


class Counted:
    """A task that counts its fits, and that a user interrupts after some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, until: int = 1000) -> None:
        self.made, self.until = 0, until
        real = KINDS["fit"]

        def run(*arguments: Any) -> Any:
            if self.made == self.until:
                raise KeyboardInterrupt
            self.made += 1
            return real.run(*arguments)

        monkeypatch.setitem(KINDS, "fit", Kind(run, real.options))


def test_it_goes_on_where_it_was(kept: tuple[SweepResult, Path], tmp_path: Path, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        Counted(patch, until=3)
        stopped = superpose.sweep(FRAME, "y", **QUICK, folder=tmp_path)
    assert stopped.interrupted and (len(stopped), stopped.total) == (3, 4)
    assert len(superpose.read_sweep(tmp_path)) == 3
    counted = Counted(monkeypatch)
    said: list[str] = []
    whole = superpose.sweep(FRAME, "y", **QUICK, folder=tmp_path, listener=said.append)
    assert counted.made == 1 and [one.read for one in whole] == [True, True, True, False]
    assert same(whole, kept[0])
    assert len(said) == 1 and said[0].startswith("4 of 4: hidden=(1,), grid_size=2, steps=2, starts=1, seed 1: error ")


def test_only_what_belongs_to_the_sweep_is_read(kept: tuple[SweepResult, Path], monkeypatch: Any) -> None:
    folder = kept[1]
    counted = Counted(monkeypatch)
    made = 0
    changes: list[tuple[Any, dict[str, Any], int]] = [
        (FRAME, QUICK, 0),
        (FRAME, QUICK | {"seeds": (1, 2)}, 2),
        (FRAME, QUICK | {"vary": VARY | {"steps": 3}}, 4),
        (FRAME.assign(y=FRAME["y"] + 1e-9), QUICK, 4),
        (FRAME, QUICK | {"resume": False}, 4),
        (FRAME, QUICK, 0),
    ]
    for table, options, expected in changes:
        superpose.sweep(table, "y", **options, folder=folder)
        assert counted.made - made == expected, options
        made = counted.made


@pytest.mark.parametrize("damage", ["cut", "changed", "no model", "other model", "no JSON"])
def test_a_broken_file_is_made_again(
    kept: tuple[SweepResult, Path], tmp_path: Path, damage: str, monkeypatch: Any
) -> None:
    first = superpose.sweep(FRAME, "y", vary=VARY, seeds=0, folder=tmp_path)
    fact = next(tmp_path.glob("fits/*.json"))
    model = fact.with_suffix(".safetensors")
    if damage == "cut":
        fact.write_bytes(fact.read_bytes()[:-40])
    elif damage == "changed":
        fact.write_text(fact.read_text().replace('"parameters": ', '"parameters": 1'))
    elif damage == "no JSON":
        fact.write_text("[]")
    elif damage == "no model":
        model.unlink()
    else:
        model.write_bytes(model.read_bytes()[:-1] + b"?")
    counted = Counted(monkeypatch)
    again = superpose.sweep(FRAME, "y", vary=VARY, seeds=0, folder=tmp_path)
    assert counted.made == 1 and same(again, first)


def test_a_failed_fit_costs_itself_and_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    FRAME.to_csv(tmp_path / "good.csv", index=False)
    tables = [str(tmp_path / "good.csv"), str(tmp_path / "missing.csv")]
    vary = VARY | {"hidden": (), "grid_size": [2, 0]}
    counted = Counted(monkeypatch)
    result = superpose.sweep(tables, "y", vary=vary, folder=tmp_path / "out")
    assert [bool(one.failure) for one in result] == [False, True, True, True]
    option, table = result.sentences()
    assert "grid_size=0" in option and "must be a whole number of at least 1" in option
    assert table.startswith(tables[1]) and "and 1 more fit: " in table and "does not exist" in table
    assert all(is_one_sentence(sentence.replace(".csv", "")) for sentence in result.sentences())
    assert result.best().options["grid_size"] == 2
    assert facts(superpose.read_sweep(tmp_path / "out")) == facts(result)
    # A failed one is tried again, since what made it fail may be gone.
    before = counted.made
    superpose.sweep(tables[:1], "y", vary=vary, folder=tmp_path / "out")
    assert counted.made - before == 1


def test_a_fault_is_one_sentence_outside_the_tests(lenient: None, monkeypatch: Any) -> None:
    def run(*arguments: Any) -> Any:
        raise RuntimeError("no convergence")

    monkeypatch.setitem(KINDS, "fit", Kind(run, ()))
    result = superpose.sweep(FRAME, "y")
    assert [one.failure for one in result] == ["the fit failed (RuntimeError: no convergence)"]
    with pytest.raises(superpose.OptionError, match="no convergence"):
        result.best()


def test_two_tables_of_the_same_rows_are_fitted_once(monkeypatch: Any) -> None:
    counted = Counted(monkeypatch)
    result = superpose.sweep({"one": FRAME, "two": FRAME.copy()}, "y", vary=VARY, seeds=0)
    assert counted.made == 2 and result.frame()["table"].tolist() == ["one", "one", "two", "two"]


def test_other_tasks() -> None:
    found = superpose.sweep(FRAME, "y", task="compare", vary={"methods": ("mean", "line"), "cv": [2, 3]})
    frame = found.frame()
    assert frame.groupby("cv")["method"].apply(sorted).tolist() == [["line", "mean"]] * 2
    assert found[0].facts["method"] == "line"
    searched = superpose.sweep(FRAME, "y", task="search", vary={"shapes": ((),), "steps": 3, "degree": 3})
    assert searched[0].facts["shape"] == "[1, 1]" and searched[0].model().widths == [1, 1]
    again = superpose.sweep(FRAME, "y", task="search", vary={"shapes": ((),), "steps": 3, "degree": 3})
    assert facts(again) == facts(searched)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": {"hiden": [3]}}, "has no option 'hiden'; did you mean 'hidden'"),
        ({"vary": {"seed": [3]}}, "seeds are given in seeds"),
        ({"vary": {"steps": []}}, "has no value for 'steps'"),
        ({"vary": "hidden"}, "is a mapping from options"),
        ({"vary": {"grids": [len]}}, "cannot be varied with"),
        ({"seeds": ()}, "seeds is a list"),
        ({"seeds": (1, 1)}, "a seed twice"),
        ({"seeds": (-1,)}, "seed must be"),
        ({"task": "fits"}, "task must be one of .* did you mean 'fit'"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"backend": "nothing"}, "joblib cannot use the backend 'nothing'"),
        ({"progress": "bar"}, "progress must be one of"),
        ({"fodler": "x"}, "sweep has no option 'fodler'; did you mean 'folder'"),
        ({"row_options": {"tset": 0.1}}, "row_options has no option 'tset'"),
        ({"target": None}, "target is missing"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_fitted(options: Any, message: str) -> None:
    with pytest.raises(superpose.OptionError, match=message) as caught:
        superpose.sweep(FRAME, **{"target": "y"} | options)
    assert is_one_sentence(str(caught.value))


def test_without_joblib_one_job_runs_and_two_name_the_extra(monkeypatch: Any) -> None:
    monkeypatch.setattr(parallel.importlib.util, "find_spec", lambda name: None)
    assert len(superpose.sweep(FRAME, "y", vary=VARY, seeds=0, n_jobs=1)) == 2
    with pytest.raises(superpose.OptionError, match=r"superpose\[sweep\]"):
        superpose.sweep(FRAME, "y", n_jobs=2)


def test_options_are_combined_or_listed() -> None:
    assert len(expanded({"a": [1, 2], "b": range(3), "c": (1, 2)})) == 6
    assert expanded([{"a": [1, 2]}, {"b": 1}]) == [{"a": [1, 2]}, {"b": 1}]


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(superpose.FileError, match="is no folder of a sweep"):
        superpose.read_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps({"schema": 1, "task": "fit", "fits": [{"key": 1}]}))
    with pytest.raises(superpose.FileError, match="is damaged"):
        superpose.read_sweep(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(superpose.FileError, match="cannot be made"):
        superpose.sweep(FRAME, "y", vary=VARY, folder=tmp_path / "file" / "out")


def test_bars_count_the_fits(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("tqdm", "rich"):
        superpose.sweep(FRAME, "y", vary=VARY | {"hidden": ()}, seeds=(0, 1), progress=kind)
        text = capsys.readouterr().err
        assert "2/2" in text or kind == "rich"
