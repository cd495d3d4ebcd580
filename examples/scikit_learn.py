"""superpose among scikit-learn's tools: a table with a category, gaps and dates, from a pipeline to a saved model.

    python examples/scikit_learn.py

Needs ``pip install 'superpose[sklearn]'``. The table is made here: rents of flats, by area, age, district and the day
of the contract. It goes into the estimator as it is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from superpose.sklearn import KANRegressor


def rents(rows: int = 120, seed: int = 0) -> tuple[pandas.DataFrame, pandas.Series]:
    """A table of flats, a tenth of whose ages are unknown, and their rents."""
    chance = np.random.default_rng(seed)
    area, age = chance.uniform(20, 120, rows), chance.uniform(0, 100, rows)
    district = chance.choice(["harbour", "hill", "station"], rows)
    days = chance.integers(0, 1000, rows)
    premium = pandas.Series(district).map({"harbour": 250.0, "hill": 100.0, "station": 0.0}).to_numpy()
    rent = 11 * area - 0.03 * area**2 + 0.08 * (age - 60) ** 2 + premium + 0.1 * days
    age[chance.uniform(size=rows) < 0.1] = np.nan
    day = pandas.Timestamp("2022-01-01") + pandas.to_timedelta(days, unit="D")
    table = pandas.DataFrame({"area": area, "age": age, "district": district, "day": day})
    return table, pandas.Series(rent + chance.normal(0, 15, rows), name="rent")


def main() -> None:
    """Fit, search, inspect, save and load."""
    table, rent = rents()
    # A few hundredths of a second of counted work are enough for so few rows; results do not depend on the machine.
    pipeline = Pipeline([("network", KANRegressor(effort=0.05))])
    search = GridSearchCV(pipeline, {"network__missing": ["median", "indicator"]}, cv=2, n_jobs=2)
    # Threads begin at once. Processes, which are usual, would load every package again: longer than these fits take.
    with joblib.parallel_config(backend="threading"):
        search.fit(table, rent)
    best = search.best_estimator_
    print(f"best: {search.best_params_}, R² {search.best_score_:.3f}")
    scores = cross_val_score(best, table, rent, cv=3)
    print("3-fold R²:", scores.round(3))

    network = best.named_steps["network"]
    print("what became of the columns:", ", ".join(network.preparation_.names))
    lost = permutation_importance(best, table, rent, n_repeats=2, random_state=0).importances_mean
    for name, loss, share in zip(table.columns, lost, network.feature_importances_, strict=True):
        print(f"without {name:8} R² is lower by {loss:.2f}; share of what the network adds up: {share:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        display = PartialDependenceDisplay.from_estimator(
            best, table, ["area", "district"], categorical_features=["district"], grid_resolution=20
        )
        display.figure_.savefig(Path(folder) / "area_and_district.png")
        joblib.dump(best, Path(folder) / "rents.joblib")
        again = joblib.load(Path(folder) / "rents.joblib")
    assert np.array_equal(again.predict(table), best.predict(table))

    low, high = again.named_steps["network"].predict_interval(table[:1])[0]
    print(f"the first rent lies between {low:.0f} and {high:.0f} with a probability of 90%: {rent[0]:.0f}")


if __name__ == "__main__":
    main()
