"""Seeded faults are noticed: a few of them here, all by ``make mutants``."""

import pytest

from tests.guarantees.mutants import FAST, KERNELS, MUTANTS, PACKAGE, Copy, source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Copy(tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("name", FAST)
def test_a_fault_is_noticed(name, copy):
    assert copy.fault(MUTANTS[name]) is None


def test_a_fault_that_changes_nothing_is_not_noticed(copy):
    same = MUTANTS["dropped bias"]._replace(after="matmul(product, x, w, b, y, pack)  # the same")
    assert copy.fault(same) == "it was not noticed"


def test_every_fault_is_in_one_place():
    for name, mutant in MUTANTS.items():
        text = source(PACKAGE, KERNELS, mutant).read_text(encoding="utf-8")
        assert text.count(mutant.before) == 1, name
        assert mutant.before != mutant.after
    assert len(MUTANTS) >= 40
    assert {MUTANTS[name].compiled for name in FAST} == {False}
    assert len({MUTANTS[name].file for name in FAST}) == len(FAST)
