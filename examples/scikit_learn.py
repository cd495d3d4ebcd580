"""superpose among scikit-learn's tools: a table with a category, gaps and dates, from a pipeline to a saved model.

    python examples/scikit_learn.py

Needs ``pip install 'superpose[sklearn]'``. The table is made here: rents of flats, by area, age, district and the day
of the contract.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from superpose.sklearn import KANRegressor


def rents(rows: int = 240, seed: int = 0) -> tuple[pandas.DataFrame, pandas.Series]:
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


def as_days(dates: pandas.DataFrame) -> pandas.DataFrame:
    """Dates as numbers of days."""
    return (dates - pandas.Timestamp("2022-01-01")) / pandas.Timedelta(days=1)


def main() -> None:
    """Fit, search, inspect, save and load."""
    table, rent = rents()
    columns = ColumnTransformer(
        [
            ("gaps", SimpleImputer(add_indicator=True), ["age"]),
            ("category", OneHotEncoder(drop="first"), ["district"]),
            ("date", FunctionTransformer(as_days, feature_names_out="one-to-one"), ["day"]),
        ],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    columns.set_params(category__sparse_output=False)
    pipeline = Pipeline([("columns", columns), ("network", KANRegressor(effort=0.1))])

    search = GridSearchCV(pipeline, {"columns__gaps__strategy": ["mean", "median"]}, cv=2, n_jobs=2).fit(table, rent)
    best = search.best_estimator_
    print(f"best: {search.best_params_}, R² {search.best_score_:.3f}")
    print("5-fold R²:", cross_val_score(best, table, rent, cv=5).round(3))
    importance = permutation_importance(best, table, rent, n_repeats=3, random_state=0)
    for name, value in zip(table.columns, importance.importances_mean, strict=True):
        print(f"without {name:8} R² is lower by {value:.2f}")
    low, high = best[-1].predict_interval(best[:-1].transform(table[:1]), coverage=0.9)[0]
    print(f"the first rent lies between {low:.0f} and {high:.0f} with a probability of 90%: {rent[0]:.0f}")
    PartialDependenceDisplay.from_estimator(best, table, ["area"], grid_resolution=10)
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(best, Path(folder) / "rent.joblib")
        again = joblib.load(Path(folder) / "rent.joblib")
    assert (again.predict(table) == best.predict(table)).all()


if __name__ == "__main__":
    main()
