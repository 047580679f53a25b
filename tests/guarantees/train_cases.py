"""Program: train every case with so many threads, and print what each comes to, as JSON."""

import json
import sys

import fastnn as fn
from tests.guarantees.cases import CASES, DTYPES, digest, fit, model_of


def digests(threads):
    found = {}
    fn.set_threads(threads)
    for dtype in DTYPES:
        for name, options in CASES.items():
            model = model_of(dtype=dtype, **options)
            found[f"{name}, {dtype}"] = digest(model, fit(model, threads=threads))
    return found


if __name__ == "__main__":
    print(json.dumps(digests(int(sys.argv[1]))))
