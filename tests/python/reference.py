"""Naive numpy reference, in double; one request unless the keys come with a batch axis."""

import numpy as np


def f64(x):
    return np.asarray(x).astype(np.float64)


def indexer(q, keys, w=None, q_scale=None, k_scale=None, relu=True):
    """q [T, Hi, Di], keys [S, Di] -> [T, S]"""
    logits = np.einsum("thd,sd->ths", f64(q), f64(keys))
    if q_scale is not None:
        logits *= np.broadcast_to(f64(q_scale), q.shape[:2])[:, :, None]
    if relu:
        logits = np.maximum(logits, 0)
    scores = (logits * (1 if w is None else f64(w)[:, :, None])).sum(1)
    return scores if k_scale is None else scores * f64(k_scale)


def topk(scores, k, begin=None, end=None, visible=None):
    """scores [T, S] -> list of ascending index arrays"""
    picked = []
    for t, row in enumerate(f64(scores)):
        shown = np.isfinite(row) | (row == np.inf)
        s = np.arange(len(row))
        if begin is not None:
            shown &= s >= begin[t]
        if end is not None:
            shown &= s < end[t]
        if visible is not None:
            shown &= visible[t]
        candidates = np.flatnonzero(shown)
        order = np.lexsort((candidates, -row[candidates]))
        picked.append(np.sort(candidates[order[:k]]))
    return picked


def padded(picked, k):
    rows = np.full((len(picked), k), -1, np.int32)
    for t, row in enumerate(picked):
        rows[t, :len(row)] = row
    return rows


def attention(q, kv, picked, scale, value_dim=None, v=None, sink=None, q2=None, kv2=None):
    """q [T, H, D], kv [S, D] or [S, Hkv, D], picked: list of key arrays -> out, lse, max"""
    q, kv = f64(q), f64(kv)
    if kv.ndim == 2:
        v = f64(kv)[:, :value_dim] if v is None else f64(v)
        kv, v = kv[:, None], v[:, None]
    else:
        v = f64(v)
    heads = q.shape[1]
    share = heads // kv.shape[1]
    out = np.zeros((len(q), heads, v.shape[-1]))
    lse = np.full((len(q), heads), -np.inf)
    largest = np.full((len(q), heads), -np.inf)
    for t, keys in enumerate(picked):
        if len(keys) == 0:
            continue
        for h in range(heads):
            z = kv[keys, h // share] @ q[t, h]
            if q2 is not None:
                z = z + f64(kv2)[keys] @ f64(q2)[t, h]
            z = scale * z
            largest[t, h] = z.max()
            p = np.exp(z - z.max())
            total = p.sum()
            lse[t, h] = z.max() + np.log(total)
            if sink is not None:
                total += np.exp(sink[h] - z.max())
            out[t, h] = p @ v[keys, h // share] / total
    return out, lse, largest


def merge(partial_out, partial_lse, sink=None):
    lse = np.logaddexp.reduce(f64(partial_lse), axis=0)
    total = lse if sink is None else np.logaddexp(lse, f64(sink))
    return (np.exp(f64(partial_lse) - total)[..., None] * f64(partial_out)).sum(0), lse
