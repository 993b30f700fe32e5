"""PyTorch tensors, and libdsa.torch's operators. On a GPU too where there is one."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import libdsa
import libdsa.torch as ops

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device"))]
on_each_device = pytest.mark.parametrize("device", DEVICES)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def inputs(rng):
    """q, keys, w of an indexer; q, kv of an attention. Small integers: every sum is exact, so that
    all devices give the same bits."""
    def integers(*shape):
        return torch.from_numpy(rng.integers(-3, 4, shape).astype(np.float32))
    return {"q": integers(6, 4, 32), "keys": integers(90, 32), "w": integers(6, 4),
            "aq": integers(6, 3, 48) / 16, "kv": integers(90, 48)}


def moved(inputs, device, *names):
    return [inputs[name].to(device) for name in names]


def equal(found, wanted):
    np.testing.assert_array_equal(found.cpu().numpy(), np.asarray(wanted))


@on_each_device
def test_operators_give_what_numpy_gives(inputs, device):
    q, keys, w = moved(inputs, device, "q", "keys", "w")
    scores = ops.indexer(q, keys, w)
    wanted_scores = libdsa.indexer(*(inputs[n].numpy() for n in ("q", "keys", "w")))
    assert scores.device.type == device and scores.dtype == torch.float32
    equal(scores, wanted_scores)

    wanted = libdsa.topk(wanted_scores, 10)
    for indices, values, counts in (ops.topk(scores, 10), ops.indexer_topk(q, keys, w, 10)):
        equal(indices, wanted.indices)
        equal(values, wanted.values)
        equal(counts, wanted.counts)

    aq, kv = moved(inputs, device, "aq", "kv")
    out, lse = ops.sparse_attn(aq, kv, ops.topk(scores, 10)[0], 0.25, 32)
    wanted_attn = libdsa.sparse_attn(inputs["aq"].numpy(), inputs["kv"].numpy(), wanted.indices,
                                     scale=0.25, value_dim=32)
    np.testing.assert_allclose(out.cpu(), wanted_attn.out, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(lse.cpu(), wanted_attn.lse, rtol=1e-5, atol=1e-5)

    merged, merged_lse = ops.merge_lse(torch.stack([out, out]), torch.stack([lse, lse]))
    np.testing.assert_allclose(merged.cpu(), wanted_attn.out, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(merged_lse.cpu(), wanted_attn.lse + np.log(2), rtol=1e-5, atol=1e-5)


@on_each_device
def test_second_scope(inputs, device):
    """Half of the keys as a scope of ranges, a selection of the others as a second one."""
    aq, kv = moved(inputs, device, "aq", "kv")
    begin, end = (torch.tensor(x, dtype=torch.int32, device=device)
                  for x in ((0, 3, 7, 40, 41, 20), (45, 9, 7, 45, 42, 31)))
    indices = torch.tensor([[0, 7, 44], [3, 4, -1], [1, 2, 3], [9, 10, 40], [-1, -1, -1],
                            [5, 8, 9]], dtype=torch.int32, device=device)
    fields = dict(sink=torch.tensor([0.5, -1.0, 2.0], device=device))
    found = ops.sparse_attn(aq, kv[:45], None, 0.25, 32, selection=libdsa.SELECTION_ALL,
                            row_begin=begin, row_end=end, kv_b=kv[45:], indices_b=indices, **fields)
    ranges = torch.arange(45, dtype=torch.int32, device=device).expand(6, -1)
    ranges = torch.where((ranges >= begin[:, None]) & (ranges < end[:, None]), ranges, -1)
    both = torch.cat([ranges, torch.where(indices < 0, -1, indices + 45)], 1)
    for x, y in zip(found, ops.sparse_attn(aq, kv, both, 0.25, 32, **fields)):
        np.testing.assert_allclose(x.cpu(), y.cpu(), rtol=1e-5, atol=1e-5)
    # The second scope can be a range too; ranges that meet are one.
    found = ops.sparse_attn(aq, kv[:45], None, 0.25, 32, selection=libdsa.SELECTION_ALL,
                            row_begin=begin, row_end=torch.full_like(end, 45), kv_b=kv[45:],
                            selection_b=libdsa.SELECTION_ALL, row_begin_b=torch.zeros_like(end),
                            row_end_b=end)
    one = ops.sparse_attn(aq, kv, None, 0.25, 32, selection=libdsa.SELECTION_ALL, row_begin=begin,
                          row_end=end + 45)
    for x, y in zip(found, one):
        np.testing.assert_allclose(x.cpu(), y.cpu(), rtol=1e-5, atol=1e-5)


@on_each_device
def test_plain_functions_take_tensors(inputs, device):
    q, keys, w = moved(inputs, device, "q", "keys", "w")
    found = libdsa.indexer_topk(q, keys, w, 7, flags=libdsa.CAUSAL, offset=84)
    wanted = libdsa.indexer_topk(*(inputs[n].numpy() for n in ("q", "keys", "w")), 7,
                                 flags=libdsa.CAUSAL, offset=84)
    if device == "cuda":  # on the CPU outputs that are not given are numpy arrays
        assert isinstance(found.indices, torch.Tensor) and found.indices.is_cuda
        equal(found.indices, wanted.indices)
    given = torch.empty((6, 7), dtype=torch.int32, device=device)
    assert libdsa.indexer_topk(q, keys, w, 7, flags=libdsa.CAUSAL, offset=84,
                               indices=given).indices is given
    equal(given, wanted.indices)
    assert libdsa.supports(libdsa.indexer_topk, q, keys, w, 7)
    libdsa.workspace_size(libdsa.indexer_topk, q, keys, w, 7)


@on_each_device
def test_opcheck(inputs, device):
    """Schema, fake kernel against the real one, autograd registration, AOT dispatch."""
    q, keys, w, aq, kv = moved(inputs, device, "q", "keys", "w", "aq", "kv")
    scores = ops.indexer(q, keys, w)
    indices = ops.topk(scores, 5)[0]
    attended = ops.sparse_attn(aq, kv, indices, 0.25, 32)
    partial = [torch.stack([x, x]) for x in attended]
    for name, arguments in (("indexer", (q, keys, w)), ("topk", (scores, 5)),
                            ("indexer_topk", (q, keys, w, 5)),
                            ("sparse_attn", (aq, kv, indices, 0.25, 32)),
                            ("merge_lse", tuple(partial))):
        torch.library.opcheck(getattr(torch.ops.libdsa, name).default, arguments)


@on_each_device
def test_compiles_in_one_graph(inputs, device):
    q, keys, w, aq, kv = moved(inputs, device, "q", "keys", "w", "aq", "kv")

    def layer(q, keys, w, aq, kv):
        indices, _, _ = ops.indexer_topk(q, keys, w * 2, 10)
        return ops.sparse_attn(aq, kv, indices, 0.25, 32)[0] + 1

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    equal(compiled(q, keys, w, aq, kv), layer(q, keys, w, aq, kv).cpu())


@on_each_device
def test_low_precision_and_strides(inputs, device):
    q, keys, w = moved(inputs, device, "q", "keys", "w")
    wanted = ops.indexer(q, keys, w)
    equal(ops.indexer(q.bfloat16(), keys.half(), w), wanted.cpu())
    wide = torch.zeros(90, 64, device=device)
    wide[:, ::2] = keys
    equal(ops.indexer(q, wide[:, ::2], w), wanted.cpu())
    # Forward only: a gradient is refused where it is asked for, not before.
    found = ops.indexer(q.requires_grad_(), keys, w)
    equal(found.detach(), wanted.cpu())
    with pytest.raises(RuntimeError):
        found.sum().backward()


@on_each_device
def test_errors_are_the_librarys(inputs, device):
    q, keys = moved(inputs, device, "q", "keys")
    with pytest.raises(libdsa.InvalidError, match=r"topk.k is 0"):
        ops.topk(q[:, :, 0], 0)
    with pytest.raises(libdsa.InvalidError, match=r"indexer\.w"):
        ops.indexer(q, keys, torch.zeros(5, 4, device=device))


@needs_gpu
def test_runs_on_the_current_stream(inputs):
    """The scores are written late on a side stream: a call on any other would read what was there
    before."""
    scores = torch.zeros(64, 4096, device="cuda")
    wanted = torch.rand(64, 4096, device="cuda")
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        torch.cuda._sleep(100_000_000)
        scores.copy_(wanted)
        plain = libdsa.topk(scores, 9).indices
        operator = ops.topk(scores, 9)[0]
    side.synchronize()
    right = torch.topk(wanted, 9)[1].sort(1)[0]
    equal(plain.sort(1)[0], right.cpu())
    equal(operator.sort(1)[0], right.cpu())


@needs_gpu
def test_graph_capture(inputs):
    q, keys, w = moved(inputs, "cuda", "q", "keys", "w")
    ops.indexer_topk(q, keys, w, 10)  # makes the context
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        indices, values, _ = ops.indexer_topk(q, keys, w, 10)
    keys.copy_(keys.flip(0))
    graph.replay()
    wanted = ops.indexer_topk(q, keys, w, 10)
    equal(indices, wanted[0].cpu())
    equal(values, wanted[1].cpu())
