"""Philox against its published answers, and the shuffle's fairness."""

import itertools

import numpy as np
import pytest

from fastnn.kernels.math.random import SHUFFLE, number, philox, shuffle

ONES = 0xFFFFFFFF
# Counter, key and result in 32-bit words, from the known-answer file of the authors' library Random123.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def unsigned(*values):
    return [np.uint64(value) for value in values]


def permutation(seed, epoch, n):
    order = np.full(n, -1)
    shuffle(seed, epoch, order)
    return order


def chi_square(observed, expected):
    return float(((np.asarray(observed) - expected) ** 2 / expected).sum())


def largest_chi_square(freedom):
    """Five standard deviations above its mean: a fair draw stays below it."""
    return freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("counter, key, words", KNOWN)
def test_known_answers(counter, key, words):
    block, stream, step_low, step_high = counter
    seed_low, seed_high = key
    arguments = unsigned(seed_low | seed_high << 32, stream, step_low | step_high << 32, block)
    assert tuple(int(word) for word in philox(*arguments)) == words


def test_number_walks_through_the_words_of_the_blocks():
    seed, stream, step = unsigned(2**40 + 7, 3, 2**35 + 1)
    numbers = [int(number(seed, stream, step, np.uint64(index))) for index in range(12)]
    blocks = [philox(seed, stream, step, np.uint64(block)) for block in range(3)]
    assert numbers == [int(word) for block in blocks for word in block]


def test_every_coordinate_matters():
    start = unsigned(5, 1, 2, 3)
    changed = [philox(*start)]
    for i in range(4):
        arguments = list(start)
        arguments[i] += np.uint64(1)
        changed.append(philox(*arguments))
    for i in (0, 2):  # seed and step have 64 bits
        arguments = list(start)
        arguments[i] += np.uint64(2**32)
        changed.append(philox(*arguments))
    assert len({tuple(int(word) for word in words) for words in changed}) == len(changed)


def test_numbers_are_uniform():
    count, bins = 4000, 16
    drawn = np.array([int(number(*unsigned(9, 1, 4, i))) for i in range(count)])
    assert drawn.min() >= 0 and drawn.max() < 2**32
    for bits in (drawn >> 28, drawn & 15, (drawn >> 14) & 15):
        observed = np.bincount(bits, minlength=bins)
        assert chi_square(observed, count / bins) < largest_chi_square(bins - 1)
    pairs = np.bincount((drawn[:-1] >> 30) * 4 + (drawn[1:] >> 30), minlength=16)
    assert chi_square(pairs, (count - 1) / 16) < largest_chi_square(15)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 15, 33, 500])
def test_shuffle_gives_a_permutation(n):
    assert sorted(permutation(1, 0, n)) == list(range(n))


def test_shuffle_is_that_of_fisher_and_yates():
    seed, epoch, n = 3, 7, 100
    expected = list(range(n))
    for i in range(n - 1, 0, -1):
        j = int(number(*unsigned(seed, SHUFFLE, epoch, i))) * (i + 1) >> 32
        expected[i], expected[j] = expected[j], expected[i]
    assert permutation(seed, epoch, n).tolist() == expected


def test_shuffle_depends_on_seed_and_epoch_only():
    first = permutation(1, 5, 50)
    assert (permutation(1, 5, 50) == first).all()
    assert (permutation(1, 6, 50) != first).any()
    assert (permutation(2, 5, 50) != first).any()
    assert (permutation(1 + 2**32, 5, 50) != first).any()


def orders_chi_square(draw, epochs=2400, n=4):
    """Chi-square of how often each of the n! orders comes."""
    counts = dict.fromkeys(itertools.permutations(range(n)), 0)
    for epoch in range(epochs):
        counts[tuple(draw(epoch, n).tolist())] += 1
    return chi_square(list(counts.values()), epochs / len(counts)), len(counts) - 1


def test_all_orders_are_equally_likely():
    value, freedom = orders_chi_square(lambda epoch, n: permutation(11, epoch, n))
    assert value < largest_chi_square(freedom)


def test_an_unfair_shuffle_is_caught():
    def swap_with_any(epoch, n):
        """The classic mistake: each place swapped with any, not with those not yet placed."""
        rng, order = np.random.default_rng(epoch), np.arange(n)
        for i in range(n):
            j = rng.integers(n)
            order[i], order[j] = order[j], order[i]
        return order

    value, freedom = orders_chi_square(swap_with_any)
    assert value > largest_chi_square(freedom)
    fair, _ = orders_chi_square(lambda epoch, n: np.random.default_rng(epoch).permutation(n))
    assert fair < largest_chi_square(freedom)


def test_each_element_comes_to_each_place():
    n, epochs = 9, 900
    places = np.zeros((n, n))
    for epoch in range(epochs):
        places[np.arange(n), permutation(23, epoch, n)] += 1
    assert chi_square(places, epochs / n) < largest_chi_square((n - 1) ** 2)
