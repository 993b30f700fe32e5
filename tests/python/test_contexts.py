"""Contexts, threads, callbacks, plans, workspaces, errors."""

import concurrent.futures
import ctypes
import pickle
import threading

import numpy as np
import pytest

import libdsa


@pytest.fixture
def scores(rng):
    return rng.standard_normal((64, 3000)).astype(np.float32)


def test_errors_have_status_and_text(scores):
    text = r"topk\.indices\.shape\[1\] is 4, k is 5"
    with pytest.raises(libdsa.InvalidError, match=text) as caught:
        libdsa.topk(scores, 5, indices=np.zeros((64, 4), np.int32))
    error = caught.value
    assert isinstance(error, ValueError) and isinstance(error, libdsa.DsaError)
    assert error.status == libdsa.ERROR_INVALID and error.text == str(error)
    with pytest.raises(libdsa.UnsupportedError) as caught:
        libdsa.topk(scores, 5, force_first=1)
    assert isinstance(caught.value, NotImplementedError)
    assert caught.value.status == libdsa.ERROR_UNSUPPORTED
    copied = pickle.loads(pickle.dumps(caught.value))
    assert type(copied) is libdsa.UnsupportedError and copied.text == caught.value.text
    assert issubclass(libdsa.NoMemoryError, MemoryError)


def test_arguments_out_of_range(scores):
    for k in (0, -1):
        with pytest.raises(libdsa.InvalidError, match="k is"):
            libdsa.topk(scores, k)
        with pytest.raises(libdsa.InvalidError, match="k"):
            libdsa.topk(scores, k, counts=np.zeros(64, np.int32))
    with pytest.raises(libdsa.InvalidError, match=r"topk\.k is 4294967296, must be"):
        libdsa.topk(scores, 2**32, counts=True)
    with pytest.raises(libdsa.InvalidError, match="topk.flags is -1"):
        libdsa.topk(scores, 5, flags=-1)
    with pytest.raises(libdsa.InvalidError, match="flags"):
        libdsa.topk(scores, 5, flags=1 << 40)
    with pytest.raises(TypeError, match="topk.order is 'score'"):
        libdsa.topk(scores, 5, order="score")
    with pytest.raises(TypeError, match="topk.k is 5.0"):
        libdsa.topk(scores, 5.0, counts=True)
    with pytest.raises(libdsa.InvalidError, match="scale"):
        libdsa.sparse_attn(scores[:, None, :8], scores[:, :8], np.zeros((64, 1), np.int32), scale=0)
    with pytest.raises(TypeError, match="scale"):
        libdsa.sparse_attn(scores[:, None, :8], scores[:, :8], np.zeros((64, 1), np.int32),
                           scale="1")
    with pytest.raises(TypeError):
        libdsa.topk(scores, 5, kk=1)


def test_closed_context(scores):
    context = libdsa.Context(num_threads=1)
    call = libdsa.prepare(libdsa.topk, scores, 5, ctx=context)
    call()
    plan = libdsa.Plan(libdsa.topk, scores, 5, ctx=context)
    context.close()
    context.close()
    assert context.closed
    for use in (lambda: libdsa.topk(scores, 5, ctx=context), call, context.describe,
                context.kernels, context.__enter__, lambda: libdsa.topk(scores, 5, plan=plan),
                lambda: libdsa.supports(libdsa.topk, scores, 5, ctx=context)):
        with pytest.raises(libdsa.InvalidError, match="the context is closed"):
            use()
    with libdsa.Context(num_threads=1) as context:
        assert not context.closed
    assert context.closed


def test_closing_the_default_context_makes_a_new_one(scores):
    first = libdsa.default_context()
    assert libdsa.default_context() is first
    first.close()
    libdsa.topk(scores, 5)
    assert libdsa.default_context() is not first


def test_many_threads_one_context(scores, ctx):
    wanted = [libdsa.topk(scores, k).indices for k in range(1, 9)]

    def work(seed):
        for i in range(30):
            k = (seed + i) % 8
            np.testing.assert_array_equal(libdsa.topk(scores, k + 1, ctx=ctx).indices, wanted[k])
            # Each thread reads its own error.
            with pytest.raises(libdsa.InvalidError, match=f"k is {-seed - 1}"):
                libdsa.topk(scores, -seed - 1, ctx=ctx)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_closing_while_threads_run(scores):
    for _ in range(5):
        context = libdsa.Context(num_threads=1)
        started = threading.Barrier(5)

        def work():
            started.wait()
            try:
                while True:
                    libdsa.topk(scores, 5, ctx=context)
            except libdsa.InvalidError as error:
                return str(error)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            ends = [pool.submit(work) for _ in range(4)]
            started.wait()
            context.close()
            assert [end.result() for end in ends] == ["the context is closed"] * 4


def test_parallel_for_in_python(scores):
    wanted = libdsa.topk(scores, 64)
    regions = []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        def parallel_for(count, body):
            regions.append(count)
            list(pool.map(body, range(count)))

        with libdsa.Context(num_threads=3, parallel_for=parallel_for) as context:
            found = libdsa.topk(scores, 64, ctx=context)
    assert regions and max(regions) > 1
    np.testing.assert_array_equal(found.indices, wanted.indices)


def test_parallel_for_that_fails_or_forgets(scores):
    wanted = libdsa.topk(scores, 64)

    def fails(count, body):
        body(0)
        raise KeyError("pool is gone")

    indices = np.zeros((64, 64), np.int32)
    with libdsa.Context(num_threads=3, parallel_for=fails) as context:
        with pytest.raises(KeyError, match="pool is gone"):
            libdsa.topk(scores, 64, indices=indices, ctx=context)
    np.testing.assert_array_equal(indices, wanted.indices)  # the bodies ran all the same

    def forgets(count, body):
        body(0)
        body(0)

    with libdsa.Context(num_threads=3, parallel_for=forgets) as context:
        np.testing.assert_array_equal(libdsa.topk(scores, 64, ctx=context).indices, wanted.indices)


def test_parallel_for_of_c_and_its_user(scores):
    users = []

    def run(user, count, body, argument):
        users.append(user)
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(body)
        for i in range(count):
            call(argument, i)

    with libdsa.Context(num_threads=2, parallel_for=libdsa.ParallelFor(run),
                        parallel_user=11) as context:
        libdsa.topk(scores, 64, ctx=context)
        libdsa.topk(scores, 64, ctx=context, parallel_user=22)
    assert set(users) == {11, 22}


def test_allocator(rng):
    memory, sizes = {}, []

    def allocate(size, alignment):
        assert alignment & (alignment - 1) == 0
        block = np.empty(size + alignment, np.uint8)
        address = block.ctypes.data + -block.ctypes.data % alignment
        memory[address] = block
        sizes.append(size)
        return address

    q = rng.standard_normal((4, 2, 32)).astype(np.float32)
    keys = rng.standard_normal((5000, 32)).astype(np.float32)
    with libdsa.Context(num_threads=1, allocate=allocate,
                        release=lambda address, size: memory.pop(address)) as context:
        assert libdsa.workspace_size(libdsa.indexer_topk, q, keys, None, 64, ctx=context) > 0
        found = libdsa.indexer_topk(q, keys, None, 64, ctx=context)
    assert sizes and not memory
    np.testing.assert_array_equal(found.indices, libdsa.indexer_topk(q, keys, None, 64).indices)

    with libdsa.Context(num_threads=1, allocate=lambda size, alignment: None,
                        release=lambda address, size: None) as context:
        with pytest.raises(MemoryError) as caught:
            libdsa.indexer_topk(q, keys, None, 64, ctx=context)
        assert caught.value.status == libdsa.ERROR_NO_MEMORY
    with pytest.raises(libdsa.InvalidError, match="allocate"):
        libdsa.Context(allocate=allocate)


def test_log(monkeypatch, scores):
    monkeypatch.setenv("DSA_LOG", "context,dispatch")
    lines = []
    with libdsa.Context(num_threads=1, log=lambda *line: lines.append(line)) as context:
        libdsa.topk(scores, 5, ctx=context)
    assert any("topk" in text for _, text in lines) and all(0 <= level <= 3 for level, _ in lines)


def test_options(scores):
    with libdsa.Context(cpu_mask=[0], num_threads=1) as context:
        libdsa.topk(scores, 5, ctx=context)
    with pytest.raises(libdsa.NoBackendError):
        libdsa.Context(device=libdsa.DEVICE_CUDA, module_path="/nowhere")
    with pytest.raises(libdsa.DsaError):
        libdsa.Context(device=17)


def test_describe_and_kernels(ctx):
    assert isinstance(ctx.describe(), dict) and libdsa.describe().keys() == ctx.describe().keys()
    kernels = ctx.kernels()
    assert len({kernel.name for kernel in kernels}) == len(kernels) == len(libdsa.kernels())
    usable = {kernel.operation for kernel in kernels if kernel.usable}
    assert usable == {libdsa.OP_INDEXER, libdsa.OP_TOPK, libdsa.OP_INDEXER_TOPK,
                      libdsa.OP_SPARSE_ATTN, libdsa.OP_MERGE_LSE}
    assert all(bool(kernel.reason) != kernel.usable for kernel in kernels)


def test_every_usable_kernel_through_a_context(monkeypatch, scores):
    wanted = libdsa.topk(scores, 9).indices
    for kernel in libdsa.kernels():
        if kernel.operation == libdsa.OP_TOPK and kernel.usable:
            monkeypatch.setenv("DSA_KERNEL", kernel.name)
            with libdsa.Context(num_threads=1) as context:
                assert libdsa.Plan(libdsa.topk, scores, 9, ctx=context).kernel == kernel.name
                np.testing.assert_array_equal(libdsa.topk(scores, 9, ctx=context).indices, wanted)


def test_supports_workspace_plan(scores, ctx):
    shape = libdsa.Tensor(0, (16, 100000), "float32")
    assert libdsa.supports(libdsa.topk, shape, 2048)
    answer = libdsa.supports(libdsa.topk, shape, 2048, force_last=1, ctx=ctx)
    assert not answer and answer.status == libdsa.ERROR_UNSUPPORTED
    assert "force_last" in answer.reason
    with pytest.raises(TypeError, match="no operation"):
        libdsa.supports(len, shape)
    with pytest.raises(TypeError, match="missing"):
        libdsa.supports(libdsa.topk, shape)
    q, keys = libdsa.Tensor(0, (64, 8, 64), "bfloat16"), libdsa.Tensor(0, (5000, 64), "bfloat16")
    size = libdsa.workspace_size(libdsa.indexer_topk, q, keys, None, 64, ctx=ctx)
    assert 0 < size <= 64 << 20
    with pytest.raises(libdsa.InvalidError):
        libdsa.workspace_size(libdsa.topk, shape, 0, indices=shape, ctx=ctx)

    plan = libdsa.Plan(libdsa.topk, scores, 9, ctx=ctx)
    assert plan.kernel.startswith("cpu.topk.") and plan.kernel in repr(plan)
    assert isinstance(plan.refused, list)
    np.testing.assert_array_equal(libdsa.topk(scores, 9, plan=plan).indices,
                                  libdsa.topk(scores, 9).indices)
    with pytest.raises(libdsa.InvalidError, match="another context"):
        libdsa.topk(scores, 9, plan=plan, ctx=libdsa.default_context())
    ctx.close()
    del plan  # after its context


def test_workspace(rng, ctx):
    q = rng.standard_normal((8, 2, 32)).astype(np.float32)
    keys = rng.standard_normal((5000, 32)).astype(np.float32)
    size = libdsa.workspace_size(libdsa.indexer_topk, q, keys, None, 64, ctx=ctx)
    memory = libdsa.workspace(size)
    assert memory.ctypes.data % 256 == 0 and memory.nbytes == size
    wanted = libdsa.indexer_topk(q, keys, None, 64)
    found = libdsa.indexer_topk(q, keys, None, 64, workspace=memory, ctx=ctx)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    view = libdsa.Tensor(memory.ctypes.data, (size,), "uint8")
    libdsa.indexer_topk(q, keys, None, 64, workspace=view, ctx=ctx)
    with pytest.raises(libdsa.WorkspaceError) as caught:
        libdsa.indexer_topk(q, keys, None, 64, workspace=memory[:256], ctx=ctx)
    assert caught.value.status == libdsa.ERROR_WORKSPACE
    with pytest.raises(libdsa.WorkspaceError):
        libdsa.indexer_topk(q, keys, None, 64, workspace=libdsa.workspace(size + 1)[1:], ctx=ctx)
    with pytest.raises(libdsa.InvalidError, match="contiguous"):
        libdsa.indexer_topk(q, keys, None, 64, workspace=memory[::2], ctx=ctx)
    with pytest.raises(libdsa.InvalidError, match="bytes on one axis"):
        libdsa.indexer_topk(q, keys, None, 64, workspace=libdsa.Tensor(0, (4, 4), "uint8"), ctx=ctx)


def test_a_prepared_call_runs_again(scores):
    call = libdsa.prepare(libdsa.topk, scores, 3)
    first = call().indices.copy()
    scores *= -1
    again = call()
    assert again is call.result
    np.testing.assert_array_equal(again.indices, libdsa.topk(scores, 3).indices)
    assert (again.indices != first).any()
    assert call.supports() and call.workspace_size() >= 0
