#!/usr/bin/env python3
"""Pictures (PNG) of what `dsa-bench routes` wrote.

  plot_routes.py routes.csv                   which route is best, and how far the hybrid is from the
                                              GPU alone, over B T^2 and k
  plot_routes.py timeline.csv                 the stages of one hybrid call, chunk by chunk: of the
                                              most scores, or --point BxTxK
"""

import argparse
import math
import pathlib
import sys

from plotting import filled_cell, number, save

ROUTES = {"forward.gpu": ("GPU", "#4477aa"), "forward.hybrid": ("hybrid", "#ee6677"),
          "forward.hybrid_prefilter": ("hybrid, prefilter", "#ccbb44"),
          "forward.cpu": ("CPU", "#228833")}
STAGES = ["score", "copy", "select", "cut", "attend"]
STAGE_NAMES = {"score": "GPU: scores", "copy": "link: scores down", "select": "CPU: select",
               "cut": "link: cuts up", "attend": "GPU: attend"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path,
                        help="CSV files of --csv, or of --timeline")
    parser.add_argument("-o", "--output", type=pathlib.Path,
                        help="PNG (default: the file's name with .png)")
    parser.add_argument("--point", help="BxTxK of a timeline")
    parser.add_argument("--kernel", default="forward.hybrid",
                        choices=["forward.hybrid", "forward.hybrid_prefilter"],
                        help="the route of a timeline")
    parser.add_argument("--title", default="")
    return parser.parse_args()


def points_of(records):
    """{(B, T, k): {route: median in us}} of a GPU that has nothing else to do"""
    points = {}
    for r in records:
        if r["kernel"] in ROUTES and r["median_us"] and not number(r.get("gpu_busy")):
            key = int(r["batch"]), int(r["n"]), int(r["k"])
            points.setdefault(key, {})[r["kernel"]] = float(r["median_us"])
    return points


def side_of(times):
    """The routes that have the tensors on their own side: the GPU's, where there is one."""
    return {name: t for name, t in times.items() if name != "forward.cpu"} or times


def cells_of(points, value):
    """{(B T^2, k): values of the points that fall there}"""
    cells = {}
    for (batch, length, k), times in points.items():
        found = value(times)
        if found is not None:
            cells.setdefault((batch * length * length, k), []).append(found)
    return cells


def draw_cells(axes, cells, colour_of, text_of):
    columns = sorted({scores for scores, _ in cells})
    rows = sorted({k for _, k in cells})
    for (scores, k), values in cells.items():
        x, y = columns.index(scores), rows.index(k)
        for i, value in enumerate(values):  # several points of as many scores stand side by side
            width = 1 / len(values)
            axes.add_patch(filled_cell((x - 0.5 + i * width, y - 0.5), colour_of(value), width,
                                       line=0.5))
        text = text_of(values)
        if text:
            axes.text(x, y, text, ha="center", va="center", fontsize=6)
    axes.set_xticks(range(len(columns)), [f"$2^{{{math.log2(s):.0f}}}$" for s in columns],
                    fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlabel("scores of a call, B T²")
    axes.set_ylabel("k")


def hybrid_over_gpu(times):
    hybrids = [t for name, t in times.items() if name.startswith("forward.hybrid")]
    if not hybrids or "forward.gpu" not in times:
        return None
    return min(hybrids) / times["forward.gpu"]


def ratio_colour(ratio):
    shade = max(-1.0, min(1.0, math.log2(ratio) / 4))  # full at 16 times
    if shade >= 0:
        return (1, 1 - 0.6 * shade, 1 - 0.6 * shade)
    return (1 + 0.6 * shade, 1, 1 + 0.6 * shade)


def plot_map(figure, records):
    from matplotlib.patches import Patch
    points = points_of(records)
    if not points:
        raise ValueError("no record has a route and a time")
    best = cells_of(points, lambda times: min(side_of(times), key=side_of(times).get))
    ratios = cells_of(points, hybrid_over_gpu)
    figure.clear()
    places = figure.subplots(2 if ratios else 1, 1, squeeze=False)[:, 0]
    draw_cells(places[0], best, lambda name: ROUTES[name][1], lambda _: "")
    names = {name for values in best.values() for name in values}
    places[0].legend(handles=[Patch(color=ROUTES[n][1], label=ROUTES[n][0])
                              for n in ROUTES if n in names], loc="lower right",
                     bbox_to_anchor=(1, 1), ncols=len(names), fontsize=8, frameon=False)
    places[0].set_title("the best route", fontsize=10, loc="left")
    if ratios:
        draw_cells(places[1], ratios, ratio_colour,
                   lambda v: f"{math.exp(sum(map(math.log, v)) / len(v)):.1f}")
        places[1].set_title("time of the better hybrid route over the GPU's alone", fontsize=10,
                            loc="left")
    columns = len({scores for scores, _ in best})
    figure.set_size_inches(1.5 + 0.45 * columns, 2.6 * len(places))
    figure.tight_layout()


def pick_point(records, wanted):
    points = {}
    for r in records:
        points.setdefault((int(r["batch"]), int(r["n"]), int(r["k"])), []).append(r)
    if wanted:
        key = tuple(int(part) for part in wanted.split("x"))
        if key not in points:
            raise ValueError(f"no call of {wanted} is there")
    else:
        key = max(points, key=lambda p: (p[0] * p[1] * p[1], p))
    return key, points[key]


def plot_timeline(axes, records, kernel, wanted):
    import matplotlib
    records = [r for r in records if r["kernel"] == kernel]
    if not records:
        raise ValueError(f"no call of {kernel} is there")
    (batch, length, k), stages = pick_point(records, wanted)
    chunks = 1 + max(int(r["chunk"]) for r in stages)
    colours = matplotlib.colormaps["viridis"]
    for r in stages:
        begin, end, chunk = float(r["begin_ms"]), float(r["end_ms"]), int(r["chunk"])
        row = len(STAGES) - 1 - STAGES.index(r["stage"])
        axes.broken_barh([(begin, end - begin)], (row - 0.4, 0.8),
                         facecolor=colours(chunk / max(chunks - 1, 1)), edgecolor="white",
                         linewidth=0.3)
    axes.set_yticks(range(len(STAGES)), [STAGE_NAMES[s] for s in reversed(STAGES)], fontsize=9)
    axes.set_xlabel("ms since the call's begin")
    axes.set_title(f"{ROUTES[kernel][0]}: {batch} requests of {length} queries, k {k}, "
                   f"{chunks} chunks (one colour each)", fontsize=10)


def main():
    arguments = parse_arguments()

    def draw(figure, axes, records):
        if not records:
            raise ValueError("no file has a line")
        if "begin_ms" in records[0]:
            plot_timeline(axes, records, arguments.kernel, arguments.point)
        else:
            plot_map(figure, records)
        if arguments.title:
            figure.suptitle(arguments.title, y=1.02, fontsize=10)

    return save("plot_routes.py", arguments, (10, 3), draw)


if __name__ == "__main__":
    sys.exit(main())
