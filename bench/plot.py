#!/usr/bin/env python3
"""Plots (PNG) of what dsa-bench and compare_torch.py wrote, from their CSV or JSON files.

  plot.py compare.csv                        bars: how many times faster than the other library
  plot.py bench.csv --kind scaling --x n     lines: a measure over rows, n, k, heads or threads
  plot.py bench.json --kind roof             bars: share of the memory and multiply-add roofs
  plot.py gpu.csv --op topk --peer best      tables: times as fast as a peer (column to_best) by
                                             rows and n, one for each k, or number of heads

Without --kind: ratio where the file has ratios, roof where it has shares of roofs and one size
only, else scaling over the size that varies most.
"""

import argparse
import math
import pathlib
import sys

from plotting import filled_cell, number, save

LABELS = {
    "median_us": "median time of a call, µs", "min_us": "shortest time of a call, µs",
    "gb_s": "GB/s", "gflop_s": "GFLOP/s", "mem_roof": "share of memory bandwidth",
    "flop_roof": "share of the multiply-add rate", "rows": "query rows", "n": "keys (columns)",
    "k": "selected a row (k)", "heads": "heads", "threads": "threads",
}
SIZES = ["n", "rows", "k", "heads", "threads"]
NAMES = ["op", "kernel", "dtype", "pattern", "outputs"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path, help="CSV or JSON files")
    parser.add_argument("-o", "--output", type=pathlib.Path,
                        help="PNG (default: the first file's name with .png)")
    parser.add_argument("--kind", choices=["ratio", "scaling", "roof", "peer"])
    parser.add_argument("--peer", help="NAME of a column to_NAME: implies --kind peer")
    parser.add_argument("--x", choices=SIZES, help="the size along the axis of a scaling plot")
    parser.add_argument("--y", default="median_us",
                        choices=["median_us", "min_us", "gb_s", "gflop_s", "mem_roof", "flop_roof"],
                        help="the measure of a scaling plot (default: median_us)")
    parser.add_argument("--op", help="only this operation or group")
    parser.add_argument("--title", default="")
    return parser.parse_args()


def values_of(records, key):
    return {r[key] for r in records if r.get(key) not in (None, "")}


def pick_kind(records):
    if values_of(records, "ratio"):
        return "ratio"
    one_size = all(len(values_of(records, size)) <= 1 for size in SIZES)
    return "roof" if one_size and values_of(records, "mem_roof") else "scaling"


def bars(axes, names, series):
    """Horizontal bars, the first record on top; `series` is {label: values}."""
    height = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        places = [-(row + i * height) for row in range(len(names))]
        drawn = axes.barh(places, values, height=height, label=label)
        axes.bar_label(drawn, [f"{v:.2f}" if v else "" for v in values], padding=3, fontsize=8)
    middle = (len(series) - 1) * height / 2
    axes.set_yticks([-(row + middle) for row in range(len(names))], names, fontsize=8)
    axes.margins(x=0.12)


def plot_ratio(axes, records):
    records = [r for r in records if number(r.get("ratio"))]
    if not records:
        raise ValueError("no record has a ratio")
    bars(axes, [f"{r['group']}: {r['case']}" for r in records],
         {"ratio": [number(r["ratio"]) for r in records]})
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times as fast as PyTorch")
    return len(records)


def name_of(record, keys):
    return ", ".join(str(record[key]) if key in NAMES else f"{key} {record[key]}"
                     for key in keys if record.get(key) not in (None, ""))


def plot_roof(axes, records):
    records = [r for r in records if number(r.get("mem_roof")) or number(r.get("flop_roof"))]
    if not records:
        raise ValueError("no record has a share of a roof (dsa-bench ran with --no-roofs?)")
    sizes = ["rows", "n", "k", "heads"]
    bars(axes, [name_of(r, ["kernel", "dtype", "pattern"] + sizes) for r in records],
         {"memory": [number(r.get("mem_roof")) or 0 for r in records],
          "multiply-add": [number(r.get("flop_roof")) or 0 for r in records]})
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("share of the roof measured in the same run")
    axes.legend()
    return len(records)


def plot_scaling(axes, records, x, y):
    records = [r for r in records if number(r.get(y)) is not None]
    if not records:
        raise ValueError(f"no record has {y}")
    if x is None:
        x = max(SIZES, key=lambda size: len(values_of(records, size)))
    # A line is everything that is equal but for x; its name says what differs between lines.
    keys = [key for key in NAMES + SIZES + ["model"] if key != x]
    telling = [key for key in keys if len(values_of(records, key)) > 1]
    lines = {}
    for r in records:
        if number(r.get(x)) is not None:
            lines.setdefault(name_of(r, telling), []).append((number(r[x]), number(r[y])))
    for name, points in lines.items():
        points.sort()
        axes.plot(*zip(*points), marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("linear" if y.endswith("roof") else "log")
    axes.set_xlabel(LABELS[x])
    axes.set_ylabel(LABELS[y])
    axes.grid(True, which="both", alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8)
    return 12


def plot_peer(figure, records, peer):
    column = "to_" + (peer or "best")
    records = [r for r in records if number(r.get(column))]
    if not records:
        raise ValueError(f"no record has {column} (dsa-bench --peers)")
    # Two sizes are the axes of a table; a table is what else differs.
    keys = [key for key in ["op", "dtype", "timing", "k", "heads"]
            if len(values_of(records, key)) > 1]
    tables = {}
    for r in sorted(records, key=lambda r: [number(r.get(key)) or 0 for key in ("heads", "k")]):
        cell = tables.setdefault(name_of_all(r, keys), {})
        # The first: what else a suite has of a size is other patterns, outputs and lengths.
        cell.setdefault((int(r["rows"]), int(r["n"])), number(r[column]))
    figure.clear()
    across = min(len(tables), 4)
    down = -(-len(tables) // across)
    places = figure.subplots(down, across, squeeze=False)
    for axes in places.flat[len(tables):]:
        axes.remove()
    for axes, (name, cells) in zip(places.flat, tables.items()):
        rows, columns = (sorted({place[i] for place in cells}) for i in (0, 1))
        for (row, n), ratio in cells.items():
            x, y = columns.index(n), rows.index(row)
            shade = max(-1.0, min(1.0, math.log2(ratio)))
            colour = (1 - max(shade, 0) * 0.6, 1 + min(shade, 0) * 0.5, 1 - abs(shade) * 0.6)
            axes.add_patch(filled_cell((x - 0.5, y - 0.5), colour))
            axes.text(x, y, f"{ratio:.2f}", ha="center", va="center", fontsize=7)
        axes.set_xticks(range(len(columns)), [short(n) for n in columns], fontsize=8)
        axes.set_yticks(range(len(rows)), [short(row) for row in rows], fontsize=8)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(name, fontsize=9)
    figure.supxlabel(LABELS["n"], fontsize=10)
    for first in places[:, 0]:
        first.set_ylabel(LABELS["rows"])
    tallest = max(len({row for row, _ in cells}) for cells in tables.values())
    widest = max(len({n for _, n in cells}) for cells in tables.values())
    figure.set_size_inches(0.9 + across * (0.6 + 0.45 * widest), 0.4 + down * (1.2 + 0.32 * tallest))
    figure.tight_layout()


def name_of_all(record, keys):
    return ", ".join(f"{key} {record[key]}" if number(record[key]) else str(record[key])
                     for key in keys) or str(record.get("op"))


def short(n):
    return f"{n // 1024}K" if n >= 1024 and n % 1024 == 0 else str(n)


def main():
    arguments = parse_arguments()

    def draw(figure, axes, records):
        if arguments.op:
            records = [r for r in records if arguments.op in (r.get("op"), r.get("group"))]
        kind = arguments.kind or ("peer" if arguments.peer else pick_kind(records))
        if kind == "peer":
            plot_peer(figure, records, arguments.peer)
            figure.suptitle(arguments.title, y=1.02, fontsize=10)
            return
        if kind == "ratio":
            entries = plot_ratio(axes, records)
        elif kind == "roof":
            entries = plot_roof(axes, records)
        else:
            entries = plot_scaling(axes, records, arguments.x, arguments.y)
        figure.set_size_inches(9, max(3.5, 1.2 + 0.35 * entries))
        axes.set_title(arguments.title)

    return save("plot.py", arguments, (9, 5), draw)


if __name__ == "__main__":
    sys.exit(main())
