"""Every operation against the naive reference."""

import ml_dtypes
import numpy as np
import pytest

import libdsa
import reference

BF16 = np.dtype(ml_dtypes.bfloat16)
FP8 = np.dtype(ml_dtypes.float8_e4m3fn)


def normal(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(np.float32).astype(dtype)


def close(found, wanted, tolerance=2e-5):
    wanted = np.asarray(wanted)
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1)
    np.testing.assert_allclose(reference.f64(found), wanted, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16, FP8])
@pytest.mark.parametrize("shape", [(1, 1, 16, 1), (3, 4, 64, 37), (5, 8, 128, 300)])
def test_indexer(rng, dtype, shape):
    rows, heads, dim, keys = shape
    q, k = normal(rng, rows, heads, dim, dtype=dtype), normal(rng, keys, dim, dtype=dtype)
    w = normal(rng, rows, heads)
    scores = libdsa.indexer(q, k, w)
    assert scores.shape == (rows, keys) and scores.dtype == np.float32
    # bf16 denormals are flushed and pairs summed by the amx tier: the bound has room for it.
    close(scores, reference.indexer(q, k, w))
    close(libdsa.indexer(q, k), reference.indexer(q, k))
    close(libdsa.indexer(q, k, w, flags=libdsa.NO_RELU), reference.indexer(q, k, w, relu=False))


def test_indexer_scales_and_dtype(rng):
    q, k, w = normal(rng, 3, 4, 32), normal(rng, 50, 32), normal(rng, 3, 4)
    q_scale, k_scale = np.abs(normal(rng, 3, 4)), np.abs(normal(rng, 50))
    wanted = reference.indexer(q, k, w, q_scale, k_scale)
    close(libdsa.indexer(q, k, w, q_scale=q_scale, k_scale=k_scale), wanted)
    rounded = libdsa.indexer(q, k, w, q_scale=q_scale, k_scale=k_scale, out_dtype="bfloat16")
    assert rounded.dtype == BF16
    close(rounded, wanted, 1 / 256)


def test_indexer_layouts(rng):
    q, w = normal(rng, 2, 3, 4, 32), normal(rng, 2, 3, 4)  # [B, T/B, Hi, Di]
    keys = normal(rng, 2, 24, 32)
    wanted = np.stack([reference.indexer(q[r], keys[r], w[r]) for r in range(2)])
    found = libdsa.indexer(q, keys, w, key_layout=libdsa.LAYOUT_BATCH)
    assert found.shape == (2, 3, 24)
    close(found, wanted)

    pages = keys.reshape(12, 4, 32)  # page size 4
    order = rng.permutation(12)
    table = np.empty((2, 6), np.int32)
    shuffled = np.empty_like(pages)
    for page, place in enumerate(order):
        shuffled[place] = pages[page]
        table[page // 6, page % 6] = place
    found = libdsa.indexer(q, shuffled, w, key_layout=libdsa.LAYOUT_PAGES, block_table=table)
    close(found, wanted)

    found = libdsa.indexer(q, keys, w, key_layout=libdsa.LAYOUT_BATCH, flags=libdsa.CAUSAL,
                           offset=20)
    for t in range(3):
        close(found[:, t, :21 + t], wanted[:, t, :21 + t])
        assert (found[:, t, 21 + t:] == -np.inf).all()


def test_indexer_packed_pages(rng):
    q, w = normal(rng, 2, 4, 128), normal(rng, 2, 4)
    values = normal(rng, 2, 64, 128, dtype=FP8)
    scales = np.abs(normal(rng, 2, 64))
    pages = np.concatenate([values.view(np.uint8).reshape(2, -1),
                            scales.view(np.uint8).reshape(2, -1)], axis=1)
    found = libdsa.indexer(q, pages, w, key_layout=libdsa.LAYOUT_PAGES, page_size=64,
                           key_format=libdsa.FORMAT_KEY_PAGE_132,
                           block_table=np.array([[1, 0]], np.int32))
    keys = reference.f64(values)[[1, 0]].reshape(128, 128)
    close(found, reference.indexer(q, keys, w, k_scale=scales[[1, 0]].reshape(-1)))


def test_max_keys_narrows_columns(rng):
    q, keys = normal(rng, 2, 2, 16), normal(rng, 40, 16)
    begin = np.array([5, 30], np.int32)
    end = np.array([12, 38], np.int32)
    found = libdsa.indexer(q, keys, row_begin=begin, row_end=end, max_keys=8,
                           flags=libdsa.COLUMNS_FROM_BEGIN)
    wanted = reference.indexer(q, keys)
    assert found.shape == (2, 8)
    close(found[0, :7], wanted[0, 5:12])
    close(found[1], wanted[1, 30:38])
    assert found[0, 7] == -np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 9), (3, 128, 8), (4, 1000, 64)])
def test_topk(rng, dtype, shape):
    rows, columns, k = shape
    scores = np.round(normal(rng, rows, columns) * 8) / 8  # ties
    scores = scores.astype(dtype)
    scores[0, 0] = -np.inf
    scores[-1, -1] = np.nan
    picked = reference.topk(scores, k)
    found = libdsa.topk(scores, k)
    np.testing.assert_array_equal(found.indices, reference.padded(picked, k))
    np.testing.assert_array_equal(found.counts, [len(row) for row in picked])
    assert found.values.dtype == scores.dtype and found.slots is None and found.cut_score is None
    for t, row in enumerate(picked):
        np.testing.assert_array_equal(found.values[t, :len(row)], scores[t, row])
        assert (reference.f64(found.values[t, len(row):]) == -np.inf).all()


def test_topk_outputs(rng):
    scores = np.round(normal(rng, 4, 200) * 4) / 4
    picked = reference.topk(scores, 20)
    table = rng.permutation(25).astype(np.int32)[None]
    found = libdsa.topk(scores, 20, page_size=8, block_table=table, slots=True, cut_score=True,
                        cut_index=True, indices=True, values=False)
    assert found.values is None and found.counts is None
    np.testing.assert_array_equal(found.indices, picked)
    np.testing.assert_array_equal(found.slots, table[0][found.indices // 8] * 8 + found.indices % 8)
    s = np.arange(200)
    for t in range(4):
        cut, last = found.cut_score[t], found.cut_index[t]
        passed = (scores[t] > cut) | ((scores[t] == cut) & (s <= last))
        np.testing.assert_array_equal(np.flatnonzero(passed), picked[t])

    ordered = libdsa.topk(scores, 20, order=libdsa.ORDER_SCORE)
    assert (np.diff(ordered.values, axis=1) <= 0).all()
    np.testing.assert_array_equal(np.sort(ordered.indices, axis=1), found.indices)


def test_topk_visibility(rng):
    scores = normal(rng, 4, 50)
    begin, end = np.array([0, 3, 10, 40], np.int32), np.array([50, 9, 40, 40], np.int32)
    mask = rng.random((4, 50)) < 0.5
    picked = reference.topk(scores, 8, begin, end, mask)
    found = libdsa.topk(scores, 8, row_begin=begin, row_end=end, mask=mask)
    np.testing.assert_array_equal(found.indices, reference.padded(picked, 8))
    additive = np.where(mask, 0, np.finfo(np.float16).min).astype(np.float16)
    found = libdsa.topk(scores, 8, row_begin=begin, row_end=end, mask=additive)
    np.testing.assert_array_equal(found.indices, reference.padded(picked, 8))
    lens = np.array([10, 30], np.int32)  # two rows a request
    found = libdsa.topk(scores, 8, seq_lens=lens, next_n=2, hint_indices=found.indices)
    picked = reference.topk(scores, 8, end=[9, 10, 29, 30])
    np.testing.assert_array_equal(found.indices, reference.padded(picked, 8))
    shifted = libdsa.topk(scores, 8, row_begin=begin, row_end=end, index_base=np.zeros(4, np.int32))
    picked = [row - first for row, first in zip(reference.topk(scores, 8, begin, end), begin)]
    np.testing.assert_array_equal(shifted.indices, reference.padded(picked, 8))


@pytest.mark.parametrize("dtype", [np.float32, BF16, FP8])
def test_indexer_topk_is_the_two_steps(rng, dtype):
    q, keys = normal(rng, 6, 4, 64, dtype=dtype), normal(rng, 500, 64, dtype=dtype)
    w = normal(rng, 6, 4)
    scores = libdsa.indexer(q, keys, w, flags=libdsa.CAUSAL, offset=490)
    two = libdsa.topk(scores, 32, cut_score=True, cut_index=True, indices=True, values=True,
                      counts=True)
    one = libdsa.indexer_topk(q, keys, w, 32, flags=libdsa.CAUSAL, offset=490, cut_score=True,
                              cut_index=True, indices=True, values=True, counts=True)
    for name in ("indices", "values", "counts", "cut_score", "cut_index"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    assert libdsa.indexer_topk(q, keys, None, 3).indices.shape == (6, 3)


def tolerance_of(dtype):
    return {"float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}[np.dtype(dtype).name]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16])
def test_sparse_attn_latent(rng, dtype):
    q, kv = normal(rng, 5, 4, 96, dtype=dtype), normal(rng, 80, 96, dtype=dtype)
    indices = np.stack([rng.choice(80, 16, replace=False) for _ in range(5)]).astype(np.int32)
    indices[1, 4:] = -1
    indices[2] = -1
    picked = [row[row >= 0] for row in indices]
    sink = normal(rng, 4)
    wanted = reference.attention(q, kv, picked, 0.1, 64, sink=sink)
    found = libdsa.sparse_attn(q, kv, indices, scale=0.1, value_dim=64, sink=sink)
    assert found.out.shape == (5, 4, 64) and found.out.dtype == q.dtype and found.max is None
    close(found.out, wanted[0], tolerance_of(dtype))
    np.testing.assert_allclose(found.lse, wanted[1], atol=1e-4)
    assert (found.lse[2] == -np.inf).all() and (reference.f64(found.out[2]) == 0).all()
    only = libdsa.sparse_attn(q, kv, indices, scale=0.1, max=True, lse=True)
    assert only.out is None
    np.testing.assert_allclose(only.max, wanted[2], atol=1e-4)
    wide = libdsa.sparse_attn(q, kv, indices, scale=0.1, value_dim=64, sink=sink,
                              out_dtype=np.float32)
    close(wide.out, wanted[0], 1e-2 if dtype == BF16 else 2e-5)  # amx rounds P to bf16


def test_sparse_attn_k_and_v(rng):
    q = normal(rng, 3, 6, 32)
    k, v = normal(rng, 2, 60, 32).swapaxes(0, 1), normal(rng, 60, 2, 48)  # k head-major
    indices = np.stack([rng.choice(60, 10, replace=False) for _ in range(3)]).astype(np.int32)
    counts = np.array([10, 5, 0], np.int32)
    wanted = reference.attention(q, k, [row[:n] for row, n in zip(indices, counts)], 0.2, v=v)
    found = libdsa.sparse_attn(q, k, indices, scale=0.2, v=v, counts=counts)
    assert found.out.shape == (3, 6, 48)
    close(found.out, wanted[0])


def test_sparse_attn_two_pieces_and_dense(rng):
    q, kv = normal(rng, 4, 2, 64), normal(rng, 30, 64)
    q2, kv2 = normal(rng, 4, 2, 16), normal(rng, 30, 16)
    everything = [np.arange(min(30, 27 + t)) for t in range(4)]
    wanted = reference.attention(q, kv, everything, 0.1, 64, q2=q2, kv2=kv2)
    found = libdsa.sparse_attn(q, kv, scale=0.1, q2=q2, kv2=kv2, selection=libdsa.SELECTION_ALL,
                               flags=libdsa.CAUSAL, offset=26)
    close(found.out, wanted[0])


def test_sparse_attn_packed(rng):
    q = normal(rng, 2, 4, 576)
    latent, rope = normal(rng, 40, 512, dtype=FP8), normal(rng, 40, 64, dtype=BF16)
    scales = np.abs(normal(rng, 40, 4))
    rows = np.concatenate([part.view(np.uint8) for part in (latent, scales, rope)], axis=1)
    assert rows.shape == (40, 656)
    plain = np.concatenate([reference.f64(latent) * np.repeat(scales, 128, axis=1),
                            reference.f64(rope)], axis=1)
    indices = np.arange(20, dtype=np.int32)[None].repeat(2, 0)
    found = libdsa.sparse_attn(q, rows, indices, scale=0.05,
                               key_format=libdsa.FORMAT_KV_FP8_656)
    assert found.out.shape == (2, 4, 512)
    close(found.out, reference.attention(q, plain, indices, 0.05, 512)[0], 1e-4)


def test_sparse_attn_cut_and_slots(rng):
    q, kv, scores = normal(rng, 3, 2, 32), normal(rng, 64, 32), normal(rng, 3, 64)
    table = rng.permutation(16).astype(np.int32)[None]
    top = libdsa.topk(scores, 8, indices=True, slots=True, cut_score=True, cut_index=True,
                      block_table=table, page_size=4)
    wanted = reference.attention(q, kv, top.indices, 0.1, 32)[0]
    by_cut = libdsa.sparse_attn(q, kv, scale=0.1, k=8, selection=libdsa.SELECTION_CUT,
                                scores=scores, cut_score=top.cut_score, cut_index=top.cut_index)
    close(by_cut.out, wanted)
    pages = np.empty((16, 4, 32), np.float32)
    pages[table[0]] = kv.reshape(16, 4, 32)
    by_slot = libdsa.sparse_attn(q, pages, top.slots, scale=0.1, key_layout=libdsa.LAYOUT_PAGES,
                                 block_table=table, selection=libdsa.SELECTION_SLOTS)
    close(by_slot.out, wanted)


def test_two_scopes_are_a_merge(rng):
    q, a, b = normal(rng, 3, 4, 64), normal(rng, 50, 64), normal(rng, 20, 64)
    i = np.stack([rng.choice(50, 8, replace=False) for _ in range(3)]).astype(np.int32)
    j = np.stack([rng.choice(20, 5, replace=False) for _ in range(3)]).astype(np.int32)
    sink = normal(rng, 4)
    both = libdsa.sparse_attn(q, a, i, scale=0.1, kv_b=b, indices_b=j, sink=sink)
    first, second = libdsa.sparse_attn(q, a, i, scale=0.1), libdsa.sparse_attn(q, b, j, scale=0.1)
    parts, lses = np.stack([first.out, second.out]), np.stack([first.lse, second.lse])
    merged = libdsa.merge_lse(parts, lses, sink=sink)
    close(merged.out, both.out)
    close(merged.lse, both.lse)
    wanted = reference.merge(parts, lses, sink)
    close(merged.out, wanted[0])
    close(merged.lse, wanted[1])
    alone = libdsa.merge_lse(None, lses)
    assert alone.out is None
    np.testing.assert_array_equal(alone.lse, merged.lse)
    largest = libdsa.merge_lse(None, lses, partial_max=lses, max=True)
    assert largest.out is None
    np.testing.assert_array_equal(largest.max, lses.max(0))


def forward_parts(rng, **outputs):
    inputs = normal(rng, 6, 2, 16), normal(rng, 40, 16), normal(rng, 6, 2)
    q, kv = normal(rng, 6, 4, 32), normal(rng, 40, 32)
    causal = dict(flags=libdsa.CAUSAL, offset=30)
    select = libdsa.prepare(libdsa.indexer_topk, *inputs, 8, **causal, **outputs)
    attend = libdsa.prepare(libdsa.sparse_attn, q, kv, scale=0.2, value_dim=24, **causal)
    selected = libdsa.indexer_topk(*inputs, 8, **causal)
    wanted = libdsa.sparse_attn(q, kv, selected.indices, scale=0.2, value_dim=24)
    return select, attend, selected, wanted


def test_forward_is_selection_and_attention(rng):
    select, attend, selected, wanted = forward_parts(rng)
    done = libdsa.forward(select, attend, route=libdsa.ROUTE_CPU)
    assert done.out is attend.result.out and done.out.shape == (6, 4, 24)
    np.testing.assert_array_equal(select.result.indices, selected.indices)
    np.testing.assert_array_equal(done.out, wanted.out)
    np.testing.assert_array_equal(done.lse, wanted.lse)


def test_forward_without_outputs_of_the_selection(rng):
    select, attend, _, wanted = forward_parts(rng, indices=False, values=False, counts=False)
    call = libdsa.prepare(libdsa.forward, select, attend)
    assert call.supports()
    call.use_workspace(libdsa.workspace(call.workspace_size()))
    np.testing.assert_array_equal(call().out, wanted.out)
    plan = libdsa.Plan(libdsa.forward, select, attend)
    assert plan.kernel == "forward.cpu"
    assert any("the context has no CUDA device" in line for line in plan.refused)
    attend.result.out[:] = 0
    np.testing.assert_array_equal(libdsa.forward(select, attend, plan=plan).out, wanted.out)


def test_forward_refuses(rng):
    select, attend, _, _ = forward_parts(rng)
    with pytest.raises(libdsa.UnsupportedError, match="route is 1 .gpu.: the context has no CUDA"):
        libdsa.forward(select, attend, route=libdsa.ROUTE_GPU)
    assert not libdsa.supports(libdsa.forward, select, attend, route=libdsa.ROUTE_HYBRID)
    libdsa.forward(select, attend, memory_limit=1)  # of a device; the CPU's memory is not limited
    with pytest.raises(TypeError, match="select"):
        libdsa.forward(attend, attend)
