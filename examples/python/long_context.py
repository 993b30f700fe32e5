"""What a trained indexer selects, and how much of the attention lies there.

    long_context.py [--tokens 4096] [--layer 3] [--picture long_context.png]

Runs the model of examples/tinylm over held-out text with libdsa in every layer, checks its losses
against the trained model's, and asks of every layer: which share of dense attention's probability do
the k selected keys hold, for k = 64 ... 1024, and which the last k keys? (A share is
exp(lse of the selection - lse of all keys): two calls of sparse_attn that give no output but lse.)
The picture shows which positions each query of a layer attends to.
"""

import argparse
import sys

import numpy as np

import libdsa
from tinylm import DATA, Model, read_safetensors

SIZES = (64, 128, 256, 512, 1024)


def lse(model, layer, rows, **selection):
    ends = np.arange(1, len(layer.kv) + 1, dtype=np.int32)[rows]
    return libdsa.sparse_attn(layer.q[rows], layer.kv, scale=model.scale, out=False, lse=True,
                              row_end=ends, **selection).lse


def shares(model, layer, rows):
    """Mean share of attention by the indexer's k and by the last k keys, for each k of SIZES."""
    everything = lse(model, layer, rows, selection=libdsa.SELECTION_ALL)
    ends = np.arange(1, len(layer.kv) + 1, dtype=np.int32)[rows]
    result = []
    for k in SIZES:
        selected = lse(model, layer, rows, indices=model.select(layer, k, rows), k=k)
        window = lse(model, layer, rows, selection=libdsa.SELECTION_ALL,
                     row_begin=np.maximum(ends - k, 0).astype(np.int32))
        result.append([np.exp(part - everything).mean() for part in (selected, window)])
    return np.array(result)  # [sizes, 2]


def draw(path, indices, number, kept):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 5.2), width_ratios=(1.25, 1))
    queries, _ = indices.shape
    cell = max(1, queries // 512)  # positions a pixel
    seen = np.zeros((queries // cell + 1, queries // cell + 1))
    rows, slots = np.nonzero(indices >= 0)
    np.add.at(seen, (rows // cell, indices[rows, slots] // cell), 1 / cell**2)
    left.imshow(seen, extent=(0, len(seen) * cell, len(seen) * cell, 0), cmap="Blues", vmax=1,
                interpolation="nearest")
    left.set(xlim=(0, queries), ylim=(queries, 0), xlabel="key position", ylabel="query position",
             title=f"layer {number}: the {indices.shape[1]} keys each query attends to")
    for column, (label, style) in enumerate((("the indexer's k keys", "o-"),
                                             ("the last k keys", "s--"))):
        right.plot(SIZES, 100 * kept[:, :, column].mean(0), style, label=label)
    right.set_xscale("log", base=2)
    right.set_xticks(SIZES, [str(k) for k in SIZES])
    right.set(ylim=(60, 101), xlabel="k", ylabel="share of attention, %",
              title="attention kept, mean over layers")
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4096, help="bytes of text (4096)")
    parser.add_argument("--layer", type=int, default=3, help="layer of the picture (3)")
    parser.add_argument("--picture", help="a PNG file to draw (needs matplotlib)")
    options = parser.parse_args()
    if options.tokens <= max(SIZES):
        parser.error(f"--tokens must be more than {max(SIZES)}, the largest selection")

    model = Model()
    text = (DATA / "held_out.txt").read_bytes()[:options.tokens]
    # Queries that see more keys than any k; every eighth is plenty for a mean.
    rows = slice(max(SIZES), len(text), 8)
    layers = {}
    losses = model.losses(text, layers.__setitem__)
    if options.layer not in layers:
        parser.error(f"--layer must be 0 to {len(layers) - 1}")

    reference = read_safetensors(DATA / "reference_4096.safetensors")["nll"]
    compared = min(len(losses), len(reference))
    difference = np.abs(losses[:compared] - reference[:compared]).mean()
    print(f"held-out loss {losses.mean():.4f} nats/byte; mean difference to the reference "
          f"{difference:.1e} over {compared} bytes")

    kept = np.array([shares(model, layer, rows) for layer in layers.values()])
    print(f"\nshare of attention kept, %, queries with {max(SIZES)} to {len(text)} visible keys")
    print("layer  " + "".join(f"{'k = ' + str(k):>9}" for k in SIZES))
    for number, part in zip([*layers, "mean"], [*kept, kept.mean(0)]):
        print(f"{number:>5}  " + "".join(f"{100 * share:9.1f}" for share in part[:, 0]))
    print("last k " + "".join(f"{100 * share:9.1f}" for share in kept.mean(0)[:, 1]))

    if options.picture:
        layer = layers[options.layer]
        draw(options.picture, model.select(layer, model.config["topk"]), options.layer, kept)
        print(f"\ndrawn: {options.picture}")
    # More keys never hold less, and a trained indexer finds more than a window of the same size.
    right = difference < 1e-4 and (np.diff(kept[:, :, 0]) > -1e-6).all() and \
        (kept.mean(0)[:, 0] > kept.mean(0)[:, 1]).all()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
