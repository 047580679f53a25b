"""Random choices in the user's compiled code."""

from ..lowlevel._jit import kernel
from ..math.elementary import exp


@kernel
def sample_categorical(logits, uniform):
    """Draw a category with the probabilities ``softmax(logits)``, such as an agent's action.

    Log-probabilities are logits too; one of minus infinity is never drawn. The random number is the caller's,
    ``np.random.random()`` in compiled code or ``rng.random()`` of any generator, and so is its seed.

    Parameters
    ----------
    logits : array of shape (n,)
        float32 or float64.
    uniform : float
        Uniform in [0, 1): the first category is drawn up to its probability, then the second, and so on.

    Returns
    -------
    int
        0 to n - 1; or -1 if there are no such probabilities, because a logit is NaN or plus infinity or
        because all are minus infinity, or if `uniform` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> logits = np.log(np.array([0.5, 0.3, 0.2]))
    >>> [fn.sample_categorical(logits, uniform) for uniform in (0.0, 0.49, 0.51, 0.79, 0.81)]
    [0, 0, 1, 1, 2]
    """
    if logits.size == 0:
        return -1
    largest = logits[0]
    for i in range(1, logits.size):
        largest = logits[i] if logits[i] > largest else largest
    total = logits.dtype.type(0)
    for i in range(logits.size):
        total += exp(logits[i] - largest)
    if not (total > 0 and 0 <= uniform < 1):  # false for NaN
        return -1
    remaining, chosen = uniform * total, -1
    for i in range(logits.size):
        weight = exp(logits[i] - largest)
        if weight > 0:  # also the last one, where sums were rounded
            chosen = i
            remaining -= weight
            if remaining < 0:
                break
    return chosen
