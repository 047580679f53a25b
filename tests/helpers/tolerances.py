"""How close is close enough, named once per dtype.

Each entry goes to `numpy.testing.assert_allclose` as it is: ``assert_allclose(a, b, **PRODUCT["float32"])``.
"""

# A function of one element: a few units in the last place.
ELEMENTWISE = {
    "float32": {"rtol": 2e-6, "atol": 1e-6},
    "float64": {"rtol": 1e-13, "atol": 1e-14},
}

# Sums over a few hundred terms of size one: matrix products, softmax, losses and their gradients.
PRODUCT = {
    "float32": {"rtol": 2e-5, "atol": 1e-5},
    "float64": {"rtol": 1e-12, "atol": 1e-13},
}

# Weights and predictions after many steps, in which roundings have fed on each other.
TRAINING = {
    "float32": {"rtol": 1e-3, "atol": 1e-4},
    "float64": {"rtol": 1e-8, "atol": 1e-9},
}

# Gradients beside central differences: those are only this good, and only in float64.
CENTRAL_DIFFERENCE = {
    "float64": {"rtol": 1e-6, "atol": 1e-8},
}

# Figures that a document prints to eight decimals: half a unit of the last, and a little for the half itself.
PRINTED = {
    "float64": {"rtol": 0.0, "atol": 0.501e-8},
}
