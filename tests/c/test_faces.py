"""The Fortran module and the C++ class beside a C file, and WebAssembly: each is compiled and run."""

import shutil
import subprocess

import numpy as np
import pytest

import fastnn as fn
from fastnn.c.compiler import WARNINGS
from fastnn.c.export import TOLERANCE
from tests.helpers.c_files import require
from tests.helpers.sweeps import sampled


def recurrent_model(dtype="float32"):
    return fn.Model([fn.GRU(4), fn.Dense(2)], dtype=dtype, seed=0).build((3, 2))


X = np.arange(6.0).reshape(3, 2) / 4

FORTRAN = """
program main
  use net
  implicit none
  real({kind}) :: x(net_inputs), y(net_outputs), scratch(net_scratch)
  type(net_state) :: state
  integer :: i
  x = [(real(i, {kind}) / 4, i = 0, net_inputs - 1)]
  call net_predict(x, y, scratch)
  print *, y, net_selftest()
  call net_reset(state)
  do i = 1, net_inputs, net_step_inputs
    call net_step(state, x(i), y, scratch)
  end do
  print *, y
end program main
"""

CPP = """
#include "net.hpp"
#include <cstdio>

int main()
{
    fastnn::net network;
    fastnn::net::input x;
    for (std::size_t i = 0; i < x.size(); i++)
        x[i] = static_cast<float>(i) / 4;
    const auto y = network.predict(x);
    std::printf("%.9g %.9g %.9g\\n", double(y[0]), double(y[1]), double(network.selftest()));
    network.reset();
    fastnn::net::step_output last{};
    for (std::size_t t = 0; t < 3; t++)
        last = network.step({x[2 * t], x[2 * t + 1]});
    std::printf("%.9g %.9g\\n", double(last[0]), double(last[1]));
    return 0;
}
"""


def run(folder, *commands):
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:2000]
    return np.array(done.stdout.split(), float)


def check(numbers, model):
    expected = model.predict(X)
    limit = TOLERANCE[model.dtype] * abs(expected).max()
    assert abs(numbers[:2] - expected).max() <= limit and numbers[2] <= TOLERANCE[model.dtype]
    assert abs(numbers[3:] - expected).max() <= limit


@pytest.mark.parametrize("dtype", sampled(["float32", "float64"], 2))
def test_fortran(dtype, tmp_path):
    require("gfortran")
    model = recurrent_model(dtype)
    written = model.to_c(tmp_path / "net.h", fortran=True)
    assert written.paths[1].endswith("net.f90")
    (tmp_path / "main.f90").write_text(FORTRAN.format(kind="c_float" if dtype == "float32" else "c_double"))
    numbers = run(
        tmp_path,
        ["gcc", "-O1", "-DNET_API=", "-c", "-x", "c", "net.h", "-o", "net.o"],
        ["gfortran", "-Wall", "-Wextra", "-Werror", "net.f90", "main.f90", "net.o", "-o", "main"],
        ["./main"],
    )
    check(numbers, model)


def test_cpp(tmp_path):
    require("g++")
    model = recurrent_model()
    model.to_c(tmp_path / "net.h", cpp=True)
    (tmp_path / "main.cpp").write_text(CPP)
    check(run(tmp_path, ["g++", "-std=c++17", *WARNINGS, "main.cpp", "-o", "main"], ["./main"]), model)


@pytest.mark.parametrize("recurrent", [False, True])
def test_separate_weights_have_faces_too(recurrent, tmp_path):
    """They compile; the weights are an argument of each."""
    model = recurrent_model() if recurrent else fn.Model([fn.Dense(2)], seed=0).build(3)
    written = model.to_c(tmp_path / "net.h", weights="separate", fortran=True, cpp=True)
    assert [path.rpartition(".")[2] for path in written.paths] == ["h", "bin", "f90", "hpp"]
    if shutil.which("g++"):
        (tmp_path / "use.cpp").write_text('#include "net.hpp"\nfastnn::net make(const float *w);\n')
        run(tmp_path, ["g++", "-std=c++17", *WARNINGS, "-fsyntax-only", "use.cpp"])
    if shutil.which("gfortran"):
        run(tmp_path, ["gfortran", "-Wall", "-Wextra", "-Werror", "-c", "net.f90"])


def test_a_path_that_is_that_of_another_file(tmp_path):
    for ending, options in ((".bin", {"weights": "separate"}), (".f90", {"fortran": True})):
        with pytest.raises(ValueError, match="ends as another file that is written"):
            fn.Model([fn.Dense(2)]).build(3).to_c(tmp_path / f"net{ending}", **options)
    assert not list(tmp_path.iterdir())


WASM = """
const fs = require("fs");
const code = new WebAssembly.Module(fs.readFileSync("net.wasm"));
const net = new WebAssembly.Instance(code, {}).exports;
console.log(net.net_selftest());
"""


def test_webassembly(tmp_path):
    for program in ("clang", "wasm-ld", "node"):
        require(program)
    fn.Model([fn.Dense(8, "tanh"), fn.Dense(2)], seed=0).build(3).to_c(tmp_path / "net.h")
    (tmp_path / "run.js").write_text(WASM)
    exports = [f"-Wl,--export=net_{name}" for name in ("predict", "selftest")]
    target = ["clang", "--target=wasm32", "-nostdlib", "-ffreestanding"]
    command = [*target, "-O2", "-Wl,--no-entry", *exports, "-DNET_API=", "-x", "c", "net.h", "-o", "net.wasm"]
    assert run(tmp_path, command, ["node", "run.js"])[0] <= TOLERANCE["float32"]
