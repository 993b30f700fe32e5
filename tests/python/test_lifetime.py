"""What is created is given back."""

import gc
import pathlib

import numpy as np

import libdsa

ROUNDS = 10_000


def resident_kib():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def rounds(count):
    for _ in range(count):
        with libdsa.Context(num_threads=1) as ctx:
            scores = np.zeros((64, 256), np.float32)
            best = libdsa.topk(scores, 2, ctx=ctx)
            assert best.indices[0, 1] == 1
            plan = libdsa.Plan(libdsa.topk, scores, 2, ctx=ctx)
            libdsa.prepare(libdsa.topk, scores, 2, ctx=ctx, plan=plan)()
    gc.collect()


def test_memory_stays_flat():
    rounds(ROUNDS // 10)
    before = resident_kib()
    rounds(ROUNDS)
    grown = resident_kib() - before
    # A round's arrays take 64 KiB: one in a hundred left behind were 6.4 MiB.
    assert grown < 4096
