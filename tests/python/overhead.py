"""What a call costs from Python: topk on 1 x 128, the shortest of many repeats."""

import sys
import timeit

import numpy as np

import libdsa


def measure():
    scores = np.random.default_rng(1).standard_normal((1, 128)).astype(np.float32)
    indices, values = np.empty((1, 8), np.int32), np.empty((1, 8), np.float32)
    call = libdsa.prepare(libdsa.topk, scores, 8, indices=indices)
    cases = {"outputs allocated": lambda: libdsa.topk(scores, 8),
             "indices and values given": lambda: libdsa.topk(scores, 8, indices=indices,
                                                             values=values),
             "prepared": call}
    return {name: min(timeit.repeat(case, number=200, repeat=60)) / 200 * 1e6
            for name, case in cases.items()}


if __name__ == "__main__":
    found = measure()
    if "--for-run" in sys.argv:  # what bench/overhead/run reads
        print(f"described {found['indices and values given']:.3f}")
        print(f"reused {found['prepared']:.3f}")
    else:
        for name, microseconds in found.items():
            print(f"topk 1 x 128, k 8, {name}: {microseconds:.1f} us")
