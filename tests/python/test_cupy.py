"""CuPy arrays, where CuPy and a GPU are."""

import numpy as np
import pytest

cupy = pytest.importorskip("cupy")

import libdsa


def has_gpu():
    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


pytestmark = pytest.mark.skipif(not has_gpu(), reason="no CUDA device")


def test_topk_on_the_current_stream(rng):
    host = rng.standard_normal((5, 300)).astype(np.float32)
    wanted = libdsa.topk(host, 9)
    found = libdsa.topk(cupy.asarray(host), 9)
    assert isinstance(found.indices, cupy.ndarray)
    np.testing.assert_array_equal(found.indices.get(), wanted.indices)
    np.testing.assert_array_equal(found.values.get(), wanted.values)

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        scores = cupy.zeros((5, 300), cupy.float32)
        scores += cupy.asarray(host)
        found = libdsa.topk(scores, 9)
    stream.synchronize()
    np.testing.assert_array_equal(found.indices.get(), wanted.indices)


def test_strides_and_given_outputs(rng):
    host = rng.standard_normal((4, 120)).astype(np.float32)
    wide = cupy.zeros((4, 240), cupy.float32)
    wide[:, ::2] = cupy.asarray(host)
    indices = cupy.empty((4, 6), cupy.int32)
    assert libdsa.topk(wide[:, ::2], 6, indices=indices).indices is indices
    np.testing.assert_array_equal(indices.get(), libdsa.topk(host, 6).indices)
