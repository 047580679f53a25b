"""The estimators among other parts of scikit-learn, with pandas, SciPy, pickle and joblib."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
XR, YR = scale(load_diabetes().data), scale(load_diabetes().target)


def classifier(**settings):
    own = {"hidden_layer_sizes": (16,), "learning_rate_init": 0.01, "max_iter": 100, "random_state": 0}
    return MLPClassifier(**own | settings)


def test_pipeline_that_hands_on_data_frames():
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), classifier())
    pipeline.set_output(transform="pandas").fit(frame, pd.Series(Y, name="kind"))
    assert list(pipeline[-1].feature_names_in_) == list("abcd")
    assert pipeline.score(frame, Y) > 0.95
    with pytest.raises(ValueError, match="feature names should match"):
        pipeline[-1].predict(frame.rename(columns={"a": "z"}))


@pytest.mark.slow
def test_grid_search_in_two_processes():
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"mlpclassifier__alpha": [1e-4, 1e3], "mlpclassifier__activation": ["relu", ["tanh"]]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, Y)
    assert search.best_params_["mlpclassifier__alpha"] == 1e-4 and search.best_score_ > 0.9


def test_cross_validation_and_wrappers():
    assert cross_val_score(make_pipeline(StandardScaler(), classifier()), X, Y, cv=3).mean() > 0.9
    calibrated = CalibratedClassifierCV(classifier(), cv=3).fit(scale(X), Y)
    np.testing.assert_allclose(calibrated.predict_proba(scale(X)).sum(axis=1), 1)
    several = MultiOutputRegressor(MLPRegressor(max_iter=5)).fit(XR, np.column_stack([YR, YR]))
    assert several.predict(XR).shape == (442, 2)


def test_clone():
    fitted = classifier(optimizer=fn.RMSprop(0.01), callbacks=[fn.EarlyStopping("loss")]).fit(scale(X), Y)
    copied = clone(fitted)
    assert not hasattr(copied, "coefs_")
    assert copied.get_params()["optimizer"] == fn.RMSprop(0.01)
    assert repr(clone(MLPClassifier((16,), tol=0.1))) == "MLPClassifier(hidden_layer_sizes=(16,), tol=0.1)"


def through_pickle(estimator, path):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator, path):
    joblib.dump(estimator, path / "estimator")
    return joblib.load(path / "estimator")


@pytest.mark.parametrize("copied", [through_pickle, through_joblib, lambda e, path: copy.deepcopy(e)])
@pytest.mark.parametrize("settings", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=str)
def test_a_copy_goes_on_to_the_same_bits(copied, settings, tmp_path):
    estimator = classifier(batch_size=32, **settings)
    for _ in range(3):
        estimator.partial_fit(X, Y, classes=[0, 1, 2])
    estimator.coefs_[0] = 2 * estimator.coefs_[0]  # assigned, and not used yet
    twin = copied(estimator, tmp_path)
    assert twin.coefs_[0] is twin.model_.layers[0].weights
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))
    for each in (estimator, twin):
        each.partial_fit(X, Y)
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))
    assert twin.loss_curve_ == estimator.loss_curve_


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array, sparse.csr_array])
def test_sparse_input(kind):
    dense, given = classifier(max_iter=5), classifier(max_iter=5)
    dense.fit(X, Y)
    given.fit(kind(X), Y, X_val=kind(X), y_val=Y)
    np.testing.assert_array_equal(given.predict_proba(kind(X)), dense.predict_proba(X))


def test_the_model_is_at_hand(tmp_path):
    estimator = classifier().fit(scale(X), Y)
    estimator.model_.save(tmp_path / "iris.safetensors")
    logits = fn.load(tmp_path / "iris.safetensors").predict(scale(X))
    np.testing.assert_array_equal(estimator.classes_[logits.argmax(axis=1)], estimator.predict(scale(X)))
