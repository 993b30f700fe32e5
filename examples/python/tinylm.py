"""The model of examples/tinylm in numpy, with libdsa in every layer (README.md there has the
formulas)."""

import json
import pathlib
from typing import NamedTuple

import numpy as np

import libdsa

DATA = pathlib.Path(__file__).parents[1] / "tinylm" / "data"


def read_safetensors(path):
    """F32 and BF16 tensors as f32 arrays, by name."""
    raw = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    arrays = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = (start + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":  # the upper half of an f32
            values = (np.frombuffer(raw[begin:end], np.uint16).astype(np.uint32) << 16).view("f4")
        else:
            values = np.frombuffer(raw[begin:end], np.float32)
        arrays[name] = values.reshape(entry["shape"])
    return arrays


class Layer(NamedTuple):
    """What one layer's attention works on."""
    q: np.ndarray        # [S, H, 160], absorbed
    kv: np.ndarray       # [S, 160]
    index_q: np.ndarray  # [S, 8, 64]
    index_k: np.ndarray  # [S, 64]
    index_w: np.ndarray  # [S, 8]


class Model:
    def __init__(self, folder=DATA):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = read_safetensors(folder / "model.safetensors")
        self.scale = (self.config["nope"] + self.config["rope"]) ** -0.5

    def select(self, layer, k, rows=slice(None)):
        """Each of these queries' k best keys of those before it and itself: [rows, k]."""
        ends = np.arange(1, len(layer.kv) + 1, dtype=np.int32)[rows]
        return libdsa.indexer_topk(layer.index_q[rows], layer.index_k, layer.index_w[rows], k,
                                   row_end=ends).indices

    def losses(self, text, visit=lambda number, layer: None):
        """Next-byte loss of every position but the last, in nats; visit(number, layer) sees every
        layer."""
        w, c = self.weights, self.config
        ids = np.frombuffer(text, np.uint8)
        x = w["embed.weight"][ids]
        for number in range(c["n_layers"]):
            part = {name.split(".", 2)[2]: value for name, value in w.items()
                    if name.startswith(f"layers.{number}.")}
            x = self._layer(number, part, x, visit)
        logits = _rms(x, w["norm.weight"]) @ w["embed.weight"].T
        logits -= logits.max(1, keepdims=True)
        scored = logits[:-1][np.arange(len(ids) - 1), ids[1:]]
        return np.log(np.exp(logits[:-1]).sum(1)) - scored

    def _layer(self, number, w, x, visit):
        c = self.config
        rows, heads, latent = len(x), c["n_heads"], c["kv_latent"]
        h = _rms(x, w["norm1.weight"])
        q = (h @ w["wq.weight"].T).reshape(rows, heads, -1)
        compressed, k_rope = np.split(h @ w["wkv.weight"].T, [latent], axis=1)
        kv = np.concatenate([_rms(compressed, w["kv_norm.weight"]), self._rope(k_rope)], 1)
        up_k = w["wuk.weight"].reshape(heads, c["nope"], latent)
        absorbed = np.einsum("tan,anr->tar", q[..., :c["nope"]], up_k, optimize=True)
        layer = Layer(
            np.concatenate([absorbed, self._rope(q[..., c["nope"]:])], 2), kv,
            self._rope_first((h @ w["iq.weight"].T).reshape(rows, c["index_heads"], -1)),
            self._rope_first(_layer_norm(h @ w["ik.weight"].T, w["ik_norm.weight"],
                                         w["ik_norm.bias"])),
            h @ w["iw.weight"].T * np.float32((c["index_heads"] * c["index_dim"]) ** -0.5))
        visit(number, layer)

        out = libdsa.sparse_attn(layer.q, layer.kv, self.select(layer, c["topk"]),
                                 scale=self.scale, value_dim=latent).out
        up_v = w["wuv.weight"].reshape(heads, c["v_head"], latent)
        heads_out = np.einsum("tar,avr->tav", out, up_v, optimize=True).reshape(rows, -1)
        x = x + heads_out @ w["wo.weight"].T
        h = _rms(x, w["norm2.weight"])
        gate = h @ w["w1.weight"].T
        return x + (gate / (1 + np.exp(-gate)) * (h @ w["w3.weight"].T)) @ w["w2.weight"].T

    def _rope(self, x):
        """NeoX halves, by the position on the first axis."""
        half = x.shape[-1] // 2
        rates = self.config["rope_theta"] ** (-np.arange(half) / half)
        angles = np.arange(len(x))[:, None] * rates
        angles = angles.reshape(len(x), *[1] * (x.ndim - 2), half)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def _rope_first(self, x):
        turned = self.config["index_rope"]
        return np.concatenate([self._rope(x[..., :turned]), x[..., turned:]], -1)


def _rms(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-6)) * gain


def _layer_norm(x, gain, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-6)) * gain + bias
