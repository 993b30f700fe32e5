"""A Hugging Face model on long texts: its own eager attention against libdsa.

    python examples/python/transformers_long.py --device cuda
    python examples/python/transformers_long.py --device cpu --heads 16 --index-heads 16

Layers of DeepSeek-V3.2's shape (latent 512 + 64, indexer heads of 128, k = 2048) with random
weights, in bfloat16 (float32 with --dtype). Lengths double from --from until memory or --seconds
are used up: prefill, then the time of one more token with that cache, and the peak of memory over
what the model takes. At the greatest length that both reach they must give the same logits. Writes
a table to --csv; --plot PICTURE CSV... draws tables.
"""

import argparse
import csv
import gc
import pathlib
import time

import torch
from transformers import DeepseekV32Config, DeepseekV32ForCausalLM, DynamicCache

import libdsa.transformers

STEPS = 4  # tokens after the prompt; the first is not timed
COLUMNS = ("device", "attention", "tokens", "prefill_s", "token_ms", "peak_gib")


def make_model(options):
    config = DeepseekV32Config(
        vocab_size=4096, hidden_size=options.hidden, intermediate_size=2048,
        num_hidden_layers=options.layers, num_attention_heads=options.heads,
        num_key_value_heads=options.heads, index_n_heads=options.index_heads,
        mlp_layer_types=["dense"] * options.layers, max_position_embeddings=1 << 20,
        bos_token_id=None, eos_token_id=None, attn_implementation="eager")
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, options.dtype))
    with torch.device(options.device):
        model = DeepseekV32ForCausalLM(config).eval()
    torch.set_default_dtype(default)
    return model


class PeakMemory:
    """Bytes at the peak since it was made, over what there was then."""

    def __init__(self, device):
        self.cuda = device == "cuda"
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
            self.before = self._resident("VmRSS")

    @staticmethod
    def _resident(field):
        text = pathlib.Path("/proc/self/status").read_text()
        return int(text.split(field + ":")[1].split()[0]) * 1024

    def read(self):
        peak = torch.cuda.max_memory_allocated() if self.cuda else self._resident("VmHWM")
        return (peak - self.before) / 2**30


def clock(device):
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(model, tokens, device):
    """Seconds of the prefill, seconds of a token, GiB, logits of the prompt's last token."""
    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(0, 4096, (1, tokens + STEPS), generator=generator).to(device)
    memory = PeakMemory(device)
    cache = DynamicCache(config=model.config)
    begin = clock(device)
    prompt = model(ids[:, :tokens], past_key_values=cache, use_cache=True, logits_to_keep=1)
    prefill = clock(device) - begin
    times = []
    for step in range(STEPS):
        begin = clock(device)
        model(ids[:, tokens + step:tokens + step + 1], past_key_values=cache, use_cache=True)
        times.append(clock(device) - begin)
    return prefill, min(times[1:]), memory.read(), prompt.logits.float()


def fits(tokens, options):
    """Whether the scores that eager attention keeps, [heads, S, S] f32 three times, fit."""
    if options.device == "cuda":
        return True  # out of memory is an exception there, and the end of the program here
    text = pathlib.Path("/proc/meminfo").read_text()
    free = int(text.split("MemAvailable:")[1].split()[0]) * 1024
    return 12 * tokens**2 * max(options.heads, options.index_heads) < 0.8 * free


def sweep(name, model, options, rows):
    """Doubles the length until memory or time are used up; the logits of each."""
    end = time.monotonic() + options.seconds
    found, tokens, last = {}, options.begin, 0.0
    while tokens <= options.end and (name == "libdsa" or fits(tokens, options)):
        if time.monotonic() + 4.5 * last > end:  # four times the pairs
            print(f"{name}: {tokens} tokens would take longer than --seconds", flush=True)
            break
        try:
            begin = time.monotonic()
            if not found:
                measure(model, tokens, options.device)  # kernels are loaded, memory is mapped
            prefill, token, peak, found[tokens] = measure(model, tokens, options.device)
            last = time.monotonic() - begin
        except torch.OutOfMemoryError:
            print(f"{name}: out of memory at {tokens} tokens", flush=True)
            break
        rows.append((options.device, name, tokens, f"{prefill:.4f}", f"{token * 1e3:.2f}",
                     f"{peak:.3f}"))
        print(("{:>6} {:>7} {:>8} {:>10} {:>10} {:>9}").format(*rows[-1]), flush=True)
        tokens *= 2
    return found


def plot(files, picture):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = {}
    for file in files:
        with open(file, newline="") as table:
            for row in csv.DictReader(table):
                lines.setdefault((row["device"], row["attention"]), []).append(row)
    devices = sorted({device for device, _ in lines}, reverse=True)
    figure, axes = plt.subplots(len(devices), 3, figsize=(13, 3.6 * len(devices)), squeeze=False)
    for line, device in zip(axes, devices):
        for axis, column, title in zip(line, COLUMNS[3:], ("prefill, s", "one token, ms",
                                                           "peak over the model, GiB")):
            for name, style in (("eager", "o--"), ("libdsa", "o-")):
                rows = lines.get((device, name), [])
                axis.plot([int(r["tokens"]) for r in rows], [float(r[column]) for r in rows],
                          style, label=name)
            axis.set(xscale="log", yscale="log", xlabel="tokens", title=f"{device}: {title}")
            axis.set_xscale("log", base=2)
            axis.grid(alpha=0.3)
        line[0].legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=128)
    parser.add_argument("--index-heads", type=int, default=64)
    parser.add_argument("--from", dest="begin", type=int, default=2048)
    parser.add_argument("--to", dest="end", type=int, default=1 << 19)
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two")
    parser.add_argument("--csv", default="transformers_long.csv")
    parser.add_argument("--plot", nargs="+", metavar=("PICTURE", "CSV"))
    options = parser.parse_args()
    if options.plot:
        plot(options.plot[1:], options.plot[0])
        return

    rows, logits = [], {}
    model = make_model(options)
    with torch.no_grad():
        print(("{:>6} {:>7} {:>8} {:>10} {:>10} {:>9}").format(*COLUMNS))
        logits["eager"] = sweep("eager", model, options, rows)
        logits["libdsa"] = sweep("libdsa", libdsa.transformers.enable(model), options, rows)
    with open(options.csv, "w", newline="") as table:
        csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    common = [tokens for tokens in logits["eager"] if tokens in logits["libdsa"]]
    if not common:
        print("eager attention did not fit: nothing to compare with")
        return
    wanted, found = logits["eager"][common[-1]], logits["libdsa"][common[-1]]
    error = float((found - wanted).norm() / wanted.norm())
    limit = 1e-4 if options.dtype == "float32" else 5e-2
    print(f"logits after {common[-1]} tokens differ by {error:.1e} (relative)")
    assert error < limit, f"logits differ by {error}, the limit is {limit}"


if __name__ == "__main__":
    main()
