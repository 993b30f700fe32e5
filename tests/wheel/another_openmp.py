"""libdsa in a process where another OpenMP runtime was loaded, and has run, before it.

    another_openmp.py faiss            a wheel that brings its own libgomp
    another_openmp.py global LIBRARY   LIBRARY's symbols stand before libdsa's own for everybody

The library must run on several threads, with the results of one.
"""

import ctypes
import os
import sys

import numpy as np


def load_faiss():
    import faiss

    vectors = np.random.default_rng(1).standard_normal((20000, 32), np.float32)
    index = faiss.IndexFlatL2(32)
    index.add(vectors)
    faiss.omp_set_num_threads(2)

    def use():
        assert (index.search(vectors[:256], 1)[1][:, 0] == np.arange(256)).all()

    use()
    return use


def load_global(path):
    runtime = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    return lambda: runtime.omp_get_max_threads()


use_other = load_faiss() if sys.argv[1] == "faiss" else load_global(sys.argv[2])

import libdsa  # noqa: E402: after the other runtime, that is the point

random = np.random.default_rng(2)
q, keys, w, kv, query = (random.standard_normal(shape).astype(np.float32) for shape in (
    (64, 8, 64), (8192, 64), (64, 8), (8192, 160), (64, 8, 160)))


def layer(threads):
    with libdsa.Context(num_threads=threads) as ctx:
        assert ctx.describe()["threads"] == threads
        best = libdsa.indexer_topk(q, keys, w, 256, ctx=ctx)
        out = libdsa.sparse_attn(query, kv, best.indices, scale=0.08, value_dim=128, ctx=ctx)
        return best.indices, out.out


one, many = layer(1), layer(4)
assert len(os.listdir("/proc/self/task")) >= 4, "the library did not run on 4 threads"
assert (one[0] == many[0]).all() and (one[1] == many[1]).all(), "threads change the result"
use_other()
assert (layer(4)[1] == many[1]).all(), "not the same again"

with open("/proc/self/maps") as maps:
    runtimes = {line.split()[-1] for line in maps if "/libgomp" in line or "/libomp" in line or
                "/libiomp" in line}
assert len(runtimes) > 1, runtimes
print("  " + ", ".join(sorted(os.path.basename(path) for path in runtimes)))
