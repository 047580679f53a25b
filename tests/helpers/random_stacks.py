"""Hypothesis draws stacks of layers; each is a list of functions that make a layer."""

from hypothesis import strategies as st

import fastnn as fn
from tests.helpers.networks import ACTIVATION_CASES, activation

DENSE = st.builds(
    lambda units, case, use_bias, l2: lambda: fn.Dense(units, case and activation(case), use_bias, l2=l2),
    st.sampled_from([1, 2, 3, 7, 16, 17, 33]),
    st.one_of(st.none(), st.sampled_from(ACTIVATION_CASES)),
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
)
ACTIVATION = st.sampled_from(ACTIVATION_CASES).map(lambda case: lambda: fn.Activation(activation(case)))
DROPOUT = st.sampled_from([0.0, 0.2, 0.5]).map(lambda rate: lambda: fn.Dropout(rate))
LAYERS = st.lists(st.one_of(DENSE, ACTIVATION, DROPOUT), min_size=1, max_size=8)
