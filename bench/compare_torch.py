#!/usr/bin/env python3
"""Times libdsa (through dsa-bench) and PyTorch on the CPU, by turns, on the same shapes.

Every case runs as ours, torch, ours, torch, ...: what disturbs the machine for a while disturbs
both. A case's time is the median over the rounds of each round's median. Where PyTorch can say the
same thing in several ways, the fastest one counts. Without PyTorch only our own times are printed.

Written into the output folder: compare.json, compare.csv, compare.md and the files of dsa-bench.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

try:
    import torch
except ImportError:
    torch = None

ROOT = pathlib.Path(__file__).resolve().parent.parent

# rows x n, k: batches of short rows to one long row
TOPK_SHAPES = [
    (128, 128, 8), (256, 256, 16), (512, 128, 8), (8192, 512, 32), (8192, 512, 128),
    (16384, 1024, 64), (65536, 1024, 64), (64, 4096, 512), (64, 16384, 1024), (16, 65536, 2048),
    (1, 131072, 2048), (1, 131072, 64), (16, 131072, 2048),
]
GROUPS = ["topk", "indexer", "attn", "overhead", "suite"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsa-bench", type=pathlib.Path,
                        default=ROOT / "build" / "release" / "bin" / "dsa-bench",
                        help="the program (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("compare-torch"),
                        help="output folder (default: %(default)s)")
    parser.add_argument("--only", default=",".join(GROUPS),
                        help="comma list of " + ", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--budget", type=float, default=220,
                        help="seconds for all; later cases are left out (default: 220)")
    parser.add_argument("--min-time", type=float, default=0.15,
                        help="seconds of samples a turn (default: 0.15)")
    parser.add_argument("--threads", type=int, default=0,
                        help="libdsa's threads (default: its own choice)")
    parser.add_argument("--torch-threads", type=int, default=0,
                        help="PyTorch's threads (default: every CPU of the process)")
    parser.add_argument("--no-plots", action="store_true", help="do not call plot.py")
    parser.add_argument("--smoke", action="store_true",
                        help="tiny shapes and one round: does it run at all")
    arguments = parser.parse_args()
    unknown = [g for g in arguments.only.split(",") if g not in GROUPS]
    if unknown:
        parser.error(f"no group {unknown[0]}; there are {', '.join(GROUPS)}")
    if not arguments.dsa_bench.exists():
        parser.error(f"no program {arguments.dsa_bench}; --dsa-bench PATH")
    if arguments.rounds < 1:
        parser.error("--rounds is at least 1")
    return arguments


def median_seconds(f, min_time):
    """The median time of f(), as dsa-bench takes it: warm, batches of at least 50 us."""
    f()
    f()
    begin = time.perf_counter()
    f()
    once = max(time.perf_counter() - begin, 1e-7)
    calls = max(1, math.ceil(50e-6 / once))
    samples = []
    begin = time.perf_counter()
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            f()
        end = time.perf_counter()
        samples.append((end - start) / calls)
        if len(samples) >= 10 and end - begin >= min_time:
            break
        if len(samples) >= 3 and end - begin >= 10 * min_time:
            break
    return statistics.median(samples)


class Ours:
    """Runs dsa-bench."""

    def __init__(self, arguments):
        self.program = str(arguments.dsa_bench.resolve())
        self.environment = dict(os.environ)
        self.out = arguments.out
        self.common = ["--min-time", str(arguments.min_time), "--max-time", "2", "--quiet"]
        if arguments.threads:  # not as an option: some cases have their own
            self.environment["DSA_NUM_THREADS"] = str(arguments.threads)
        if arguments.smoke:
            self.common += ["--repeats", "2", "--warmup", "0"]

    def run(self, command, name="turn", roofs=False):
        path = self.out / f"{name}.json"
        line = [self.program, *map(str, command), *self.common, "--json", str(path),
                "--csv", str(self.out / f"{name}.csv")]
        if not roofs:
            line.append("--no-roofs")
        done = subprocess.run(line, capture_output=True, text=True, env=self.environment)
        if not path.exists() or done.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(line)}: {done.stderr.strip()}")
        if done.returncode:  # results are there, but one of them is wrong
            print(done.stderr.strip(), file=sys.stderr)
        result = json.loads(path.read_text())
        if name == "turn":
            path.unlink()
            (self.out / "turn.csv").unlink()
        return result


# ---- what PyTorch does: {name of the way: function}, made once a case ----


def torch_topk(rows, n, k):
    x = torch.randn(rows, n)
    return {"sorted": lambda: torch.topk(x, k, dim=-1),
            "unsorted": lambda: torch.topk(x, k, dim=-1, sorted=False)}


def torch_indexer(queries, keys, heads, dim, dtype):
    q = torch.randn(queries, heads, dim).to(dtype)
    key = torch.randn(keys, dim).to(dtype)
    w = (torch.randn(queries, heads) * (heads * dim) ** -0.5).to(dtype)

    def products():
        return torch.einsum("thd,sd->ths", q, key).relu_()

    return {"einsum": lambda: torch.einsum("ths,th->ts", products(), w).float(),
            "bmm": lambda: torch.bmm(w.unsqueeze(1), products()).squeeze(1).float(),
            "sum": lambda: products().mul_(w.unsqueeze(-1)).sum(1).float()}


def torch_attn(queries, keys, heads, dim, value_dim, k, dtype):
    q = torch.randn(queries, heads, dim).to(dtype)
    kv = torch.randn(keys, dim).to(dtype)
    chosen = torch.stack([torch.randperm(keys)[:k].sort().values for _ in range(queries)])
    scale = dim ** -0.5

    def attend(gathered, in_f32):
        z = torch.einsum("thd,tkd->thk", q, gathered) * scale
        p = torch.softmax(z.float(), -1).to(dtype) if in_f32 else torch.softmax(z, -1)
        return torch.einsum("thk,tkv->thv", p, gathered[..., :value_dim])

    def by_index():
        return kv[chosen]

    def by_select():
        return kv.index_select(0, chosen.view(-1)).view(queries, k, dim)

    return {"index": lambda: attend(by_index(), True),
            "index_select": lambda: attend(by_select(), True),
            "index_select, softmax in bf16": lambda: attend(by_select(), False)}


def cases(groups, smoke):
    """(group, label, arguments of dsa-bench, function that makes PyTorch's ways)."""
    if "topk" in groups:
        for rows, n, k in TOPK_SHAPES[:2] if smoke else TOPK_SHAPES:
            yield ("topk", f"{rows} x {n}, k {k}", ["topk", "--shapes", f"{rows}x{n}x{k}"],
                   lambda rows=rows, n=n, k=k: torch_topk(rows, n, k))
    if "indexer" in groups:
        queries, keys, heads, dim = (3, 200, 4, 32) if smoke else (64, 65536, 64, 128)
        for dtype in ("bf16", "f32"):
            yield ("indexer", f"{dtype} {queries} x {keys}, {heads} x {dim}",
                   ["indexer", "--queries", queries, "--keys", keys, "--heads", heads, "--dim", dim,
                    "--dtype", dtype],
                   lambda dtype=dtype: torch_indexer(queries, keys, heads, dim, torch_dtype(dtype)))
    if "attn" in groups:
        queries, keys, dim, value_dim, k = (2, 100, 48, 32, 20) if smoke else (
            64, 65536, 576, 512, 2048)
        for heads in (16, 128):
            yield ("attn", f"bf16 {queries} queries, k {k}, {heads} x {dim}/{value_dim}",
                   ["attn", "--queries", queries, "--keys", keys, "--heads", heads, "--dim", dim,
                    "--value-dim", value_dim, "--k", k],
                   lambda heads=heads: torch_attn(queries, keys, heads, dim, value_dim, k,
                                                  torch.bfloat16))
    if "overhead" in groups:
        yield ("overhead", "topk 1 x 128, k 8, 1 thread", ["overhead", "--threads", 1],
               lambda: torch_topk(1, 128, 8))


def torch_dtype(name):
    return {"f32": torch.float32, "bf16": torch.bfloat16}[name]


def compare(arguments, ours, all_cases, deadline):
    rows = []
    show = sys.stderr.isatty()
    for i, (group, label, command, make) in enumerate(all_cases):
        if time.monotonic() > deadline:
            rows.append({"group": group, "case": label, "note": "left out: out of time"})
            continue
        if show or i % 4 == 0:
            print(f"{'' if not show else chr(13)}{i + 1}/{len(all_cases)} {group} {label}",
                  end="\x1b[K" if show else "\n", file=sys.stderr, flush=True)
        row = {"group": group, "case": label}
        try:
            ways = make() if torch else {}
        except RuntimeError as error:  # out of memory, a dtype without a kernel
            ways, row["note"] = {}, f"torch: {error}".splitlines()[0]
        if torch:
            torch.set_num_threads(1 if group == "overhead" else arguments.torch_threads)
        mine, theirs = [], {way: [] for way in ways}
        for turn in range(1 if arguments.smoke else arguments.rounds):
            result = ours.run(command)["results"]
            mine.append(result[0])  # of the overheads, the plainest call
            for way, f in list(ways.items()):
                try:
                    theirs[way].append(median_seconds(f, arguments.min_time) * 1e6)
                except RuntimeError as error:
                    del ways[way], theirs[way]
                    row["note"] = f"torch {way}: {error}".splitlines()[0]
            # After the first turn only the two fastest ways are still in the race.
            if turn == 0 and len(ways) > 2:
                slowest = max(theirs, key=lambda way: theirs[way][0])
                del ways[slowest], theirs[slowest]
        row["kernel"] = mine[0]["kernel"]
        row["ours_us"] = statistics.median(r["median_us"] for r in mine)
        row["spread"] = max(r["median_us"] for r in mine) / min(r["median_us"] for r in mine) - 1
        row["check"] = "ok" if all(r["check"] == "ok" for r in mine) else "FAILED"
        if "gflop_s" in mine[0]:
            row["gflop_s"] = mine[0]["flop"] / row["ours_us"] * 1e-3
        if theirs:
            best = min(theirs, key=lambda way: statistics.median(theirs[way]))
            row["torch_us"] = statistics.median(theirs[best])
            row["way"] = best
            row["ratio"] = row["torch_us"] / row["ours_us"]
        rows.append(row)
        del ways, make
    if show:
        print("\r\x1b[K", end="", file=sys.stderr)
    return rows


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def show_us(us):
    if us is None:
        return ""
    return f"{us:.2f} us" if us < 1000 else f"{us / 1000:.2f} ms"


def table_of(rows):
    lines = ["| group | case | kernel | ours | torch | way | ratio | note |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        note = row.get("note", "")
        if "gflop_s" in row:
            note = f"{row['gflop_s']:.0f} GFLOP/s {note}".strip()
        if row.get("check") == "FAILED":
            note = f"WRONG RESULT {note}".strip()
        ratio = f"{row['ratio']:.2f}x" if "ratio" in row else ""
        lines.append(f"| {row['group']} | {row['case']} | {row.get('kernel', '')} | "
                     f"{show_us(row.get('ours_us'))} | {show_us(row.get('torch_us'))} | "
                     f"{row.get('way', '')} | {ratio} | {note} |")
    return lines


def ratio_lines(rows):
    """Geometric mean and minimum of each group that has ratios."""
    lines = []
    for group in dict.fromkeys(row["group"] for row in rows):
        ratios = [row["ratio"] for row in rows if row["group"] == group and "ratio" in row]
        if ratios:
            lines.append(f"{group}: geomean {geomean(ratios):.2f}x, min {min(ratios):.2f}x of "
                         f"torch over {len(ratios)} cases")
    return lines


def suite_lines(suite):
    """What our own run says: patterns against random rows, one core, shares of the roofs."""
    results = [r for r in suite["results"] if "median_us" in r]
    lines = []
    patterns = [r for r in results if r["group"] == "topk-patterns"]
    randn = {(r["rows"], r["n"], r["k"]): r["median_us"] for r in patterns
             if r["pattern"] == "randn"}
    for pattern in dict.fromkeys(r["pattern"] for r in patterns):
        if pattern == "randn":
            continue
        slower = [r["median_us"] / randn[r["rows"], r["n"], r["k"]] for r in patterns
                  if r["pattern"] == pattern]
        lines.append(f"{pattern} rows: {geomean(slower):.2f}x (worst {max(slower):.2f}x) the time "
                     f"of randn")
    for r in results:
        if "to_maximum" in r:
            lines.append(f"one core, {r['rows']} x {r['n']}, k {r['k']}: {r['median_us']:.1f} us, "
                         f"{r['to_maximum']:.2f}x a maximum ({r['kernel']})")
    for r in results:
        if r["group"] in ("indexer", "indexer-topk", "attn"):
            share = f", {r['flop_roof'] * 100:.0f}% of the roof" if "flop_roof" in r else ""
            lines.append(f"{r['op']} {r['dtype']} {r['rows']} x {r['n']}, {r['heads']} heads: "
                         f"{show_us(r['median_us'])}, {r['gflop_s']:.0f} GFLOP/s{share} "
                         f"({r['kernel']}, {r['threads']} threads, {r['check']})")
    for r in results:
        if r["group"] == "topk-cut":
            lines.append(f"cut only, {r['rows']} x {r['n']}, k {r['k']}: "
                         f"{show_us(r['median_us'])} ({r['kernel']})")
    for r in results:
        if r["group"] == "overhead":
            lines.append(f"overhead, {r['threads']} threads, {r['note']}: "
                         f"{r['median_us'] * 1000:.0f} ns")
    for r in suite["results"]:
        if "median_us" not in r:
            lines.append(f"{r['op']}: {r.get('note', '')} ({r['check']})")
    return lines


def roof_lines(suite):
    lines = []
    for name, rate in suite.get("roofs", {}).get("rates", {}).items():
        lines.append(f"roof {name}: one core {rate['one']:.1f}, all {rate['all']:.1f} "
                     f"{rate['unit']}")
    return lines


def write_csv(path, rows):
    columns = ["group", "case", "kernel", "ours_us", "torch_us", "way", "ratio", "gflop_s",
               "spread", "check", "note"]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.torch_threads = arguments.torch_threads or len(os.sched_getaffinity(0))
    deadline = time.monotonic() + arguments.budget
    groups = arguments.only.split(",")
    ours = Ours(arguments)
    torch_name = f"torch {torch.__version__}, {arguments.torch_threads} threads" if torch else \
        "no torch"
    if torch:
        torch.manual_seed(1)
        torch.set_grad_enabled(False)

    rows = compare(arguments, ours, list(cases(groups, arguments.smoke)), deadline)

    suite, suite_note = {"results": []}, []
    if "suite" in groups:
        wanted = ["overhead"] if arguments.smoke else [
            "topk-one-core", "topk-patterns", "topk-cut", "indexer", "indexer-topk", "attn",
            "overhead"]
        for group in wanted:  # group by group, so that the budget holds
            if time.monotonic() > deadline:
                suite_note.append(f"{group}: left out: out of time")
                continue
            part = ours.run(["suite", "--only", group], f"suite-{group}",
                            roofs=not suite["results"])
            suite["results"] += part["results"]
            suite.setdefault("roofs", part.get("roofs", {}))
            suite.setdefault("about", part["about"])
        # The roofs of the first run hold for all.
        rates = suite.get("roofs", {}).get("rates", {})
        for r in suite["results"]:
            roof = rates.get("amx.bf16" if r.get("kernel", "").endswith(".amx")
                             else f"fma.{r.get('kernel', '').split('.')[-1]}.f32")
            if roof and "gflop_s" in r and r["threads"] == suite["roofs"]["threads"]:
                r["flop_roof"] = r["gflop_s"] / roof["all"]

    about = suite.get("about") or ours.run(["overhead"])["about"]
    head = (f"{about['cpu']}; libdsa {about['version']}, {about['threads']} threads, "
            f"{about['isa_used']}; {torch_name}")
    summary = ratio_lines(rows) + suite_lines(suite) + suite_note
    table = table_of(rows)
    text = "\n".join([head, "", *roof_lines(suite), "", *summary, "", *table])
    (arguments.out / "compare.md").write_text(text + "\n")
    (arguments.out / "compare.json").write_text(json.dumps(
        {"tool": "compare_torch", "about": about, "torch": torch_name,
         "command": " ".join(sys.argv), "roofs": suite.get("roofs", {}),
         "results": rows, "suite": suite["results"], "summary": summary}, indent=1) + "\n")
    write_csv(arguments.out / "compare.csv", rows)
    if not arguments.no_plots and any("ratio" in row for row in rows):
        subprocess.run([sys.executable, str(pathlib.Path(__file__).with_name("plot.py")),
                        str(arguments.out / "compare.csv"), "-o",
                        str(arguments.out / "compare.png")], check=False)
    print(text)
    failed = [r for r in rows + suite["results"] if r.get("check") == "FAILED"]
    if failed:
        print(f"compare_torch: {len(failed)} wrong results", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, json.JSONDecodeError) as problem:
        print(f"compare_torch: {problem}", file=sys.stderr)
        sys.exit(1)
