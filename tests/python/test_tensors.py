"""What can be a tensor, and what is done to outputs."""

import array

import ml_dtypes
import numpy as np
import pytest

import libdsa
from conftest import OnlyDlpack


dlpack_1 = pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0",
                              reason="this numpy's own DLPack is older than 1.0")


@pytest.fixture
def scores(rng):
    return rng.standard_normal((3, 40)).astype(np.float32)


@pytest.fixture
def wanted(scores):
    return libdsa.topk(scores.copy(), 5)


def same(found, wanted):
    np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_array_equal(found.values, wanted.values)


def test_strides(scores, wanted):
    wide = np.full((3, 2, 90), np.nan, np.float32)
    wide[:, 1, 5:85:2] = scores
    same(libdsa.topk(wide[:, 1, 5:85:2], 5), wanted)
    same(libdsa.topk(np.asfortranarray(scores), 5), wanted)
    backwards = np.ascontiguousarray(scores[:, ::-1])
    same(libdsa.topk(backwards[:, ::-1], 5), wanted)
    repeated = libdsa.topk(np.broadcast_to(scores[0], (3, 40)), 5)
    for t in range(3):
        np.testing.assert_array_equal(repeated.indices[t], wanted.indices[0])


def test_strided_outputs(scores, wanted):
    wide = np.full((3, 20), 77, np.int32)
    found = libdsa.topk(scores, 5, indices=wide[:, 4:14:2])
    np.testing.assert_array_equal(found.indices, wanted.indices)
    written = np.zeros((3, 20), bool)
    written[:, 4:14:2] = True
    assert (wide[~written] == 77).all()


def test_read_only_inputs(scores, wanted):
    scores.setflags(write=False)
    same(libdsa.topk(scores, 5), wanted)
    same(libdsa.topk(memoryview(scores.tobytes()).cast("f", (3, 40)), 5), wanted)


def test_buffers(scores, wanted):
    view = memoryview(array.array("f", scores.ravel())).cast("B").cast("f", (3, 40))
    same(libdsa.topk(view, 5), wanted)
    indices = memoryview(bytearray(3 * 5 * 4)).cast("i", (3, 5))
    found = libdsa.topk(scores, 5, indices=indices)
    assert found.indices is indices
    np.testing.assert_array_equal(np.asarray(indices), wanted.indices)
    lens = array.array("i", [10, 20, 30])
    np.testing.assert_array_equal(libdsa.topk(scores, 5, row_end=lens).indices,
                                  libdsa.topk(scores, 5, row_end=np.array(lens, np.int32)).indices)


@pytest.mark.parametrize("versioned", [True, False])
def test_dlpack(scores, wanted, versioned):
    same(libdsa.topk(OnlyDlpack(scores, versioned), 5), wanted)
    same(libdsa.topk(OnlyDlpack(np.asfortranarray(scores), versioned), 5), wanted)
    target = OnlyDlpack(np.zeros((3, 5), np.int32), versioned)
    found = libdsa.topk(OnlyDlpack(scores[1:], versioned), 5, indices=OnlyDlpack(
        np.zeros((2, 5), np.int32), versioned))
    np.testing.assert_array_equal(found.indices.array, wanted.indices[1:])
    assert libdsa.topk(scores, 5, indices=target).indices is target
    np.testing.assert_array_equal(target.array, wanted.indices)


def test_dlpack_leaves_no_reference(scores):
    import sys
    before = sys.getrefcount(scores)
    for _ in range(10):
        libdsa.topk(OnlyDlpack(scores), 5)
    assert sys.getrefcount(scores) == before


@dlpack_1
def test_dlpack_read_only_and_copied(scores):
    indices = np.zeros((3, 5), np.int32)
    indices.setflags(write=False)
    with pytest.raises(libdsa.InvalidError, match="indices is an output, but read-only"):
        libdsa.topk(scores, 5, indices=OnlyDlpack(indices))

    class Copies(OnlyDlpack):
        def __dlpack__(self, **options):
            return self.array.__dlpack__(copy=True, **options)

    with pytest.raises(libdsa.InvalidError, match="read-only"):
        libdsa.topk(scores, 5, indices=Copies(np.zeros((3, 5), np.int32)))


def test_dlpack_types(scores):
    with pytest.raises(TypeError, match="topk.scores: DLPack type 2 of 64 bits"):
        libdsa.topk(OnlyDlpack(scores.astype(np.float64)), 5)


@dlpack_1
def test_dlpack_bool(scores):
    shown = np.zeros((3, 40), bool)
    shown[:, 7] = True
    found = libdsa.topk(scores, 5, mask=OnlyDlpack(shown))
    assert (found.indices[:, 0] == 7).all() and (found.counts == 1).all()


def test_cuda_tensors_keep_their_device(scores):
    class OnCuda(OnlyDlpack):
        """A tensor that says it is on a CUDA device; the stream it was asked for is noted."""

        def __dlpack_device__(self):
            return 2, 3

        def __dlpack__(self, **options):
            self.stream = options.pop("stream")
            return self.array.__dlpack__(**options)

    tensor = OnCuda(scores)
    libdsa.topk(tensor, 5, stream=None)
    assert tensor.stream == 1
    with pytest.raises(libdsa.InvalidError):
        libdsa.topk(tensor, 5, stream=1234)  # numpy's capsule says CPU, which takes no stream
    assert tensor.stream == 1234

    view = libdsa.Tensor(4096, (3, 40), "float32", device=libdsa.DEVICE_CUDA, device_id=1)
    with pytest.raises(libdsa.InvalidError, match="give the outputs"):
        libdsa.topk(view, 5)
    indices = libdsa.Tensor(8192, (3, 5), "int32", device=libdsa.DEVICE_CUDA, device_id=1)
    with pytest.raises(libdsa.NoBackendError, match="topk.scores.device is 2") as caught:
        with libdsa.Context() as cpu:
            libdsa.topk(view, 5, indices=indices, ctx=cpu)
    assert caught.value.status == libdsa.ERROR_NO_BACKEND


def test_raw_pointers(scores, wanted):
    indices = np.zeros((3, 5), np.int32)
    view = libdsa.Tensor(scores.ctypes.data, (3, 40), np.float32, owner=scores)
    libdsa.topk(view, 5, indices=libdsa.Tensor(indices.ctypes.data, (3, 5), libdsa.I32))
    np.testing.assert_array_equal(indices, wanted.indices)
    rows = libdsa.Tensor(scores.ctypes.data, (2, 40), "float32", strides=(80, 1))
    np.testing.assert_array_equal(libdsa.topk(rows, 5).indices, wanted.indices[[0, 2]])
    assert "float32" in repr(view)
    with pytest.raises(libdsa.InvalidError, match="2 extents, 1 strides"):
        libdsa.Tensor(0, (3, 40), "float32", strides=(1,))
    with pytest.raises(libdsa.InvalidError, match="readonly|read-only"):
        libdsa.topk(view, 5, indices=libdsa.Tensor(indices.ctypes.data, (3, 5), "int32",
                                                   readonly=True))


def test_outputs_given(scores, wanted):
    indices, values = np.zeros((3, 5), np.int32), np.zeros((3, 5), np.float32)
    found = libdsa.topk(scores, 5, indices=indices, values=values)
    assert found.indices is indices and found.values is values and found.counts is None
    same(found, wanted)
    wide = np.zeros((3, 9), np.int32)
    libdsa.topk(scores, 5, indices=wide)
    np.testing.assert_array_equal(wide[:, :5], wanted.indices)
    assert (wide[:, 5:] == -1).all()
    out = np.full((3, 2, 16), 5, ml_dtypes.bfloat16)
    kv = scores[:, :16].copy()
    q = np.ones((3, 2, 16), np.float32)
    found = libdsa.sparse_attn(q, kv, np.zeros((3, 1), np.int32), scale=1.0, out=out)
    assert found.out is out and found.lse is None
    np.testing.assert_array_equal(out, np.broadcast_to(kv[0].astype(out.dtype), out.shape))


def test_read_only_outputs_are_refused(scores):
    indices = np.zeros((3, 5), np.int32)
    indices.setflags(write=False)
    with pytest.raises(libdsa.InvalidError, match="topk.indices is an output, but read-only"):
        libdsa.topk(scores, 5, indices=indices)
    with pytest.raises(libdsa.InvalidError, match="read-only"):
        libdsa.topk(scores, 5, indices=memoryview(bytes(60)).cast("i", (3, 5)))
    assert not indices.any()


def test_no_output_wanted(scores):
    with pytest.raises(libdsa.InvalidError, match="topk"):
        libdsa.topk(scores, 5, indices=False)


def test_what_is_no_tensor(scores):
    with pytest.raises(TypeError, match="topk.scores: list is no array"):
        libdsa.topk([[1.0, 2.0]], 1)
    with pytest.raises(TypeError, match="topk.scores: libdsa has no dtype"):
        libdsa.topk(scores.astype(np.float64), 5)
    with pytest.raises(TypeError, match="no dtype"):
        libdsa.topk(scores.astype(">f4"), 5)
    with pytest.raises(TypeError, match="no dtype"):
        libdsa.indexer(np.ones((1, 1, 4), np.float32), np.ones((3, 4), np.float32),
                       out_dtype="float128")
    with pytest.raises(libdsa.InvalidError, match="topk.scores.ndim is 0"):
        libdsa.topk(np.float32(3).reshape(()), 1)
    with pytest.raises(libdsa.InvalidError, match="ndim is 6"):
        libdsa.topk(np.zeros((1,) * 6, np.float32), 1)
    odd = np.lib.stride_tricks.as_strided(np.zeros(9, np.float32), (3, 2), (9, 4))
    with pytest.raises(libdsa.InvalidError, match="no multiple"):
        libdsa.topk(odd, 1)
    with pytest.raises(libdsa.UnsupportedError, match="i64"):
        libdsa.topk(scores, 5, row_end=np.full(3, 9))


def test_empty():
    found = libdsa.topk(np.zeros((0, 40), np.float32), 5)
    assert found.indices.shape == (0, 5)
    found = libdsa.topk(np.zeros((2, 0), np.float32), 5)
    assert (found.indices == -1).all() and (found.counts == 0).all()
