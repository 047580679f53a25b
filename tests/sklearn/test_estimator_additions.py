"""What the estimators have beyond scikit-learn's, and how they take bad input."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import scale
from sklearn.utils._param_validation import InvalidParameterError

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = scale(load_iris().data), load_iris().target
XR, YR = scale(load_diabetes().data), scale(load_diabetes().target)


def classifier(**settings):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0} | settings)


def regressor(**settings):
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0} | settings)


# --- layers


def test_an_activation_for_each_layer():
    names = ["gelu", fn.activations.leaky_relu(0.2), "logistic"]
    model = classifier(hidden_layer_sizes=(8, 7, 6), activation=names).fit(X, Y).model_
    assert [layer.activation.name for layer in model.layers[:-1]] == ["gelu", "leaky_relu", "sigmoid"]
    same = [classifier(hidden_layer_sizes=(8, 7), activation=a).fit(X, Y) for a in ("tanh", ["tanh", "tanh"])]
    assert same[0].loss_curve_ == same[1].loss_curve_


def test_dropout():
    plain, dropped, again = (
        classifier(hidden_layer_sizes=(8, 7), dropout=dropout, max_iter=5).fit(X, Y)
        for dropout in (0.0, [0.5, 0], [0.5, 0])
    )
    assert [type(layer).__name__ for layer in dropped.model_.layers] == ["Dense", "Dropout", "Dense", "Dense"]
    assert dropped.loss_curve_ == again.loss_curve_ != plain.loss_curve_
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))


# --- losses and weights


@pytest.mark.parametrize(
    "loss, named",
    [
        ("absolute_error", fn.losses.mae()),
        ("huber", fn.losses.huber(0.7)),
        ("quantile", fn.losses.quantile(0.8)),
        ("squared_error", fn.losses.mse().scaled(0.5)),
    ],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_losses_by_name_and_as_objects(loss, named, outputs):
    y = YR if outputs == 1 else np.column_stack([YR, -YR])
    by_name = regressor(loss=loss, delta=0.7, quantile=0.8).fit(XR, y)
    np.testing.assert_array_equal(by_name.predict(XR), regressor(loss=named).fit(XR, y).predict(XR))
    assert by_name.loss_curve_[-1] < by_name.loss_curve_[0]


def test_losses_estimate_what_they_are_for():
    y = np.random.default_rng(0).exponential(size=400)
    constant = np.zeros((400, 1))
    for settings, expected in [
        ({"loss": "absolute_error"}, np.median(y)),
        ({"loss": "quantile", "quantile": 0.9}, np.quantile(y, 0.9)),
        ({"loss": "squared_error"}, y.mean()),
    ]:
        estimator = regressor(learning_rate_init=0.01, max_iter=600, n_iter_no_change=np.inf, **settings)
        estimator.fit(constant, y)
        assert estimator.predict(constant[:1])[0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weights", [{0: 3.0, 1: 1.0, 2: 0.5}, "balanced"], ids=str)
def test_class_weight_is_a_sample_weight(weights, solver):
    rows = np.r_[0:20, 50:150]
    balanced = dict(enumerate(120 / 3 / np.bincount(Y[rows])))
    table = balanced if weights == "balanced" else weights
    weighted = classifier(class_weight=weights, solver=solver).fit(X[rows], Y[rows])
    same = classifier(solver=solver).fit(X[rows], Y[rows], [table[label] for label in Y[rows]])
    np.testing.assert_allclose(weighted.predict_proba(X), same.predict_proba(X))


# --- optimizers


def test_any_optimizer_and_schedule():
    by_name = classifier(optimizer="rmsprop", learning_rate_init=0.01).fit(X, Y)
    optimizer = fn.RMSprop(0.01)
    assert by_name.loss_curve_ == classifier(optimizer=optimizer).fit(X, Y).loss_curve_
    assert by_name.model_.optimizer is not optimizer
    schedule = fn.schedules.exponential(0.01, 10, 0.5)
    scheduled = classifier(schedule=schedule).fit(X, Y)
    same = classifier(optimizer=fn.Adam(schedule, epsilon_hat=True)).fit(X, Y)
    assert scheduled.loss_curve_ == same.loss_curve_ != classifier().fit(X, Y).loss_curve_


def test_a_changed_parameter_keeps_weights_and_memory():
    estimator, constant = classifier(), classifier()
    for _ in range(3):
        estimator.partial_fit(X, Y, classes=[0, 1, 2])
        constant.partial_fit(X, Y, classes=[0, 1, 2])
    estimator.set_params(alpha=1e-300)
    np.testing.assert_array_equal(estimator.predict_proba(X), constant.predict_proba(X))
    constant.set_params(alpha=0)
    np.testing.assert_allclose(
        estimator.partial_fit(X, Y).predict_proba(X), constant.partial_fit(X, Y).predict_proba(X)
    )


# --- validation and callbacks


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_validation_loss_is_that_of_the_predictions(loss, outputs):
    y = np.exp(YR if outputs == 1 else np.column_stack([YR, -YR]))
    weight = np.random.default_rng(0).uniform(0.5, 2, 142)
    held_out = {"X_val": XR[300:], "y_val": y[300:], "sample_weight_val": weight}
    estimator = regressor(loss=loss, max_iter=7, alpha=1.0).fit(XR[:300], y[:300], **held_out)
    predicted, t = estimator.predict(XR[300:]), y[300:]
    if loss == "squared_error":
        expected = 0.5 * np.average((predicted - t) ** 2, axis=0, weights=weight).mean()
    else:
        deviance = t * np.log(t / predicted) - t + predicted
        expected = np.average(deviance, axis=0, weights=weight).sum()
    assert len(estimator.validation_loss_curve_) == 7
    assert estimator.validation_loss_curve_[-1] == pytest.approx(expected)


def test_threads(monkeypatch):
    asked = []
    fit = fn.Model.fit
    monkeypatch.setattr(fn.Model, "fit", lambda *a, **k: asked.append(k["threads"]) or fit(*a, **k))
    one, two = (classifier(threads=threads, max_iter=3).fit(X, Y) for threads in (1, 2))
    assert asked == [1, 2]
    np.testing.assert_array_equal(one.coefs_[0], two.coefs_[0])
    classifier(threads=1, solver="lbfgs", max_iter=3).fit(X, Y)
    with pytest.raises(InvalidParameterError, match="'threads' parameter"):
        classifier(threads=0).fit(X, Y)


STOPPING = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.01, "max_iter": 10}


@pytest.mark.parametrize("weighted", [False, True])
def test_scoring_by_the_default_score_is_no_scoring(weighted):
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X)) if weighted else None
    names = np.array(["a", "b", "c"])[Y]
    plain, named = (classifier(scoring=scoring, **STOPPING) for scoring in (None, "accuracy"))
    assert plain.fit(X, names, weight).validation_scores_ == named.fit(X, names, weight).validation_scores_
    weight = np.random.default_rng(0).uniform(0.5, 2, len(XR)) if weighted else None
    plain, named = (regressor(scoring=scoring, **STOPPING) for scoring in (None, "r2"))
    np.testing.assert_allclose(
        plain.fit(XR, YR, weight).validation_scores_, named.fit(XR, YR, weight).validation_scores_
    )


def test_scoring_by_a_name_a_function_and_the_loss():
    seen = []

    def score(estimator, X, y):
        seen.append(np.unique(y).tolist())
        return roc_auc_score(y == "yes", estimator.predict_proba(X)[:, 1])

    frame = pd.DataFrame(X, columns=list("abcd"))
    binary = np.where(Y == 1, "yes", "no")
    by_name, by_function = (classifier(scoring=scoring, **STOPPING) for scoring in ("roc_auc", score))
    assert by_name.fit(frame, binary).validation_scores_ == by_function.fit(frame, binary).validation_scores_
    assert seen == [["no", "yes"]] * 10 and 0.5 < max(by_name.validation_scores_) < 1
    held_out = {"X_val": X[::3], "y_val": binary[::3]}
    by_loss = classifier(scoring="loss", **STOPPING).fit(X, binary, **held_out)
    assert by_loss.validation_scores_ == [-loss for loss in by_loss.validation_loss_curve_]
    labels = np.column_stack([Y == 1, Y == 2]).astype(int)
    assert len(classifier(scoring="f1_macro", **STOPPING).fit(X, labels).validation_scores_) == 10
    with pytest.raises(InvalidParameterError, match="'scoring' parameter"):
        classifier(scoring="accurate").fit(X, Y)


def test_early_stopping_on_the_users_validation_set():
    estimator = classifier(early_stopping=True, max_iter=200, n_iter_no_change=5, learning_rate_init=0.01)
    estimator.fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    assert estimator.t_ == 75 * estimator.n_iter_ and estimator.n_iter_ < 200
    assert estimator.score(X[1::2], Y[1::2]) == estimator.best_validation_score_
    assert len(estimator.validation_scores_) == len(estimator.validation_loss_curve_) == estimator.n_iter_
    assert classifier().fit(X, Y).validation_loss_curve_ is None


def test_callbacks():
    seen = []
    estimator = classifier(callbacks=[lambda epoch, logs: seen.append(logs["loss"]) or epoch == 6]).fit(X, Y)
    assert seen == estimator.loss_curve_ and estimator.n_iter_ == 7
    stop = fn.EarlyStopping("val_loss", patience=2, restore_best=True)
    estimator = classifier(callbacks=[stop], learning_rate_init=0.3, max_iter=500)
    estimator.fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    assert stop.stopped_epoch == estimator.n_iter_ - 1
    loss = estimator.model_.evaluate(X[1::2], Y[1::2])["loss"]
    assert loss == pytest.approx(min(estimator.validation_loss_curve_))


def test_interruption_warns_and_keeps_what_was_done():
    def interrupt(epoch, logs):
        if epoch == 4:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator = classifier(callbacks=[interrupt]).fit(X, Y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 5
    assert estimator.score(X, Y) > 0


# --- weights


def test_weights_are_views_and_assignable():
    estimator = classifier().fit(X, Y)
    proba = estimator.predict_proba(X)
    estimator.coefs_[0][...] = 0
    assert np.ptp(estimator.predict_proba(X), axis=0).max() < 1e-12
    other = classifier(random_state=1).fit(X, Y)
    other.coefs_ = [w.copy() for w in classifier().fit(X, Y).coefs_]
    for i, bias in enumerate(classifier().fit(X, Y).intercepts_):
        other.intercepts_[i] = bias
    np.testing.assert_array_equal(other.predict_proba(X), proba)
    other.set_params(warm_start=True, max_iter=1).fit(X, Y)
    assert other.coefs_[0] is other.model_.layers[0].weights
    other.coefs_[0] = np.zeros((3, 8))
    with pytest.raises(ValueError, match=r"weights must have shape \(4, 8\), got \(3, 8\)"):
        other.predict(X)
    other.coefs_ = other.coefs_[:1]
    with pytest.raises(ValueError, match="must have 2 arrays each, got 1 and 2"):
        other.predict(X)


@pytest.mark.parametrize("dtype", ["float32", np.float64])
def test_dtype(dtype):
    estimator = classifier(dtype=dtype).fit(X.astype(np.float32), Y)
    assert estimator.coefs_[0].dtype == estimator.predict_proba(X).dtype == dtype


# --- bad input


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"activation": "swoosh"}, "The 'activation' parameter of MLPClassifier must be"),
        ({"activation": ["relu", "tanh"]}, "activation must have one value for each of 1 hidden layers, got"),
        ({"activation": ["swoosh"]}, "unknown activation 'swoosh'"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
        ({"dropout": [0.1, 0.1]}, "dropout must have one value for each of 1 hidden layers"),
        ({"dropout": [2.0]}, "rate must be >= 0 and < 1, got 2.0"),
        ({"optimizer": "lion king"}, "The 'optimizer' parameter"),
        ({"schedule": 0.1}, "The 'schedule' parameter"),
        ({"class_weight": "heavy"}, "The 'class_weight' parameter"),
        ({"dtype": "float16"}, "The 'dtype' parameter"),
        ({"dtype": int}, "dtype must be 'float32' or 'float64'"),
        ({"momentum": 1.5}, "The 'momentum' parameter"),
        ({"hidden_layer_sizes": (8, -1)}, r"hidden_layer_sizes must be > 0, got \[8, -1\]"),
        ({"solver": "lbfgs", "dropout": 0.5}, "dropout needs solver='adam' or solver='sgd'"),
        ({"solver": "lbfgs", "callbacks": [print]}, "callbacks needs solver"),
        ({"solver": "lbfgs", "optimizer": "adam"}, "optimizer needs solver"),
        (
            {"solver": "sgd", "learning_rate": "adaptive", "schedule": fn.schedules.constant(0.1)},
            "give schedule or learning_rate='adaptive', not both",
        ),
    ],
)
def test_bad_parameters(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        classifier(**settings).fit(X, Y)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"loss": "log_loss"}, "The 'loss' parameter of MLPRegressor"),
        ({"loss": fn.losses.cross_entropy()}, "loss must be for values"),
        ({"loss": "huber", "delta": 0.0}, "The 'delta' parameter"),
        ({"loss": "quantile", "quantile": 1.0}, "The 'quantile' parameter"),
        ({"loss": "poisson"}, "y must be >= 0 for 'poisson'"),
    ],
)
def test_bad_losses(settings, message):
    with pytest.raises((ValueError, InvalidParameterError), match=message):
        regressor(**settings).fit(XR, YR)


def test_bad_arrays_leave_the_estimator_as_it_was():
    estimator = classifier(warm_start=True).fit(X, Y)
    before = estimator.predict_proba(X)
    for bad, message in [
        ({"X": np.full_like(X, np.nan)}, "contains NaN"),
        ({"X": X[:, :3]}, "X has 3 features, but MLPClassifier is expecting 4 features"),
        ({"y": np.where(Y == 2, 1, Y)}, "warm_start can only be used where `y` has the same classes"),
        ({"sample_weight": -np.ones(150)}, "sample_weight must be >= 0"),
        ({"X_val": X}, "X_val and y_val must be given together"),
        ({"X_val": X, "y_val": Y + 1}, r"y_val has classes that y has not: \[3\]"),
        ({"X_val": X[:, :2], "y_val": Y}, "X has 2 features"),
    ]:
        with pytest.raises(ValueError, match=message):
            estimator.fit(**{"X": X, "y": Y} | bad)
        np.testing.assert_array_equal(estimator.predict_proba(X), before)
    estimator.set_params(hidden_layer_sizes=(9,))
    with pytest.raises(ValueError, match=re.escape("[4, 8, 3] before, [4, 9, 3] now")):
        estimator.fit(X, Y)


def test_errors_are_scikit_learns():
    with pytest.raises(NotFittedError):
        classifier().predict(X)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        regressor(solver="sgd", learning_rate_init=1e6).fit(XR, YR)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        classifier().partial_fit(X, Y)
    with pytest.raises(ValueError, match="class_weight='balanced' needs all data at once"):
        classifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.warns(ConvergenceWarning, match="the best weights are kept"):
        diverged = regressor(solver="sgd", learning_rate_init=1e3, activation="identity", early_stopping=True)
        with np.errstate(over="ignore"):
            diverged.fit(XR, YR)
    assert np.isnan(diverged.validation_scores_[-1]) and np.isfinite(diverged.coefs_[0]).all()
