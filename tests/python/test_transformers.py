"""libdsa.transformers against the models' own eager attention. On a GPU too where there is one."""

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import libdsa.transformers
import tiny_transformers as tiny
from transformers import DynamicCache, StaticCache

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device"))]
on_each_device = pytest.mark.parametrize("device", DEVICES)
of_each_model = pytest.mark.parametrize("name", tiny.NAMES)
VOCABULARY = 96


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def pair(name, device):
    """A model with its own attention, and a copy of it on libdsa."""
    model = tiny.make(name).to(device)
    return model, libdsa.transformers.enable(copy.deepcopy(model))


def tokens(device, *shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, shape, generator=generator).to(device)


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


@on_each_device
@of_each_model
def test_logits(pair, device):
    wanted, ours = pair
    ids = tokens(device, 2, 70)
    close(ours(input_ids=ids).logits, wanted(input_ids=ids).logits)


def needs_finite(logits):
    if not torch.isfinite(logits).all():
        pytest.skip("eager attention of this transformers gives NaN for padding (qwen4_exp, 5.17)")


def unless(name, cannot):
    if name in cannot:
        pytest.skip("the model itself cannot")


@on_each_device
@of_each_model
def test_left_padding(pair, name, device):
    """The logits of eager attention with the same padding, and of each text alone."""
    unless(name, tiny.NO_LEFT_PADDING)
    wanted, ours = pair
    ids = tokens(device, 3, 40)
    mask = torch.ones_like(ids)
    for row, padding in enumerate((17, 0, 3)):
        mask[row, :padding] = 0
    found = ours(input_ids=ids, attention_mask=mask).logits
    for row, padding in enumerate((17, 0, 3)):
        if name not in tiny.COUNT_FROM_FIRST_TOKEN:
            alone = wanted(input_ids=ids[row:row + 1, padding:]).logits
            close(found[row:row + 1, padding:], alone)
    eager = wanted(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    needs_finite(eager)
    close(found[mask.bool()], eager)


@on_each_device
@of_each_model
def test_right_padding(pair, device):
    wanted, ours = pair
    ids = tokens(device, 2, 40)
    mask = torch.ones_like(ids)
    mask[0, 29:] = 0
    found = ours(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    close(found, wanted(input_ids=ids, attention_mask=mask).logits[mask.bool()])


@on_each_device
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@of_each_model
def test_generate(pair, name, device, static):
    """Same greedy text from left-padded prompts, whatever the cache."""
    if static:
        unless(name, tiny.NO_STATIC_CACHE)
    wanted, ours = pair
    ids = tokens(device, 2, 24)
    mask = torch.ones_like(ids)
    if name not in tiny.NO_LEFT_PADDING:
        mask[1, :7] = 0
    needs_finite(wanted(input_ids=ids, attention_mask=mask).logits)
    options = dict(input_ids=ids, attention_mask=mask, max_new_tokens=16, do_sample=False,
                   pad_token_id=0, disable_compile=True)
    if static:
        options["cache_implementation"] = "static"
    assert torch.equal(ours.generate(**options), wanted.generate(**options))


@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated")  # the name of 5.17
@on_each_device
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@of_each_model
def test_steps_with_a_cache(pair, name, device, static):
    """A prompt in two parts, then single tokens: the logits of one call over all of it."""
    if static:
        unless(name, tiny.NO_STATIC_CACHE)
    wanted, ours = pair
    ids = tokens(device, 2, 44)
    whole = wanted(input_ids=ids).logits
    text = ours.config.get_text_config()
    cache = StaticCache(config=text, max_cache_len=64) if static else DynamicCache(config=text)
    parts = [0, 21, 40, 41, 42, 43, 44]
    for begin, end in zip(parts, parts[1:]):
        part = ours(input_ids=ids[:, begin:end], past_key_values=cache, use_cache=True)
        close(part.logits, whole[:, begin:end])


@on_each_device
@of_each_model
def test_packed_positions(pair, name, device):
    """Two texts in one row, told apart by their positions alone."""
    unless(name, tiny.NO_PACKING)
    wanted, ours = pair
    ids = tokens(device, 1, 50)
    positions = torch.cat([torch.arange(18), torch.arange(32)])[None].to(device)
    if name == "hy_v4_vl":
        positions = positions.expand(4, 1, -1)  # of text, time, height, width
    found = ours(input_ids=ids, position_ids=positions, use_cache=False).logits
    close(found, wanted(input_ids=ids, position_ids=positions, use_cache=False).logits)
    recurrent = "linear_attention" in (ours.config.get_text_config().layer_types or ())
    if not recurrent and name not in tiny.COUNT_FROM_FIRST_TOKEN:
        close(found[:, 18:], ours(input_ids=ids[:, 18:], use_cache=False).logits)


@on_each_device
@pytest.mark.parametrize("name", [n for n in tiny.NAMES
                                  if n in ("deepseek_v32", "dots3_note", "minimax_m3_vl")])
def test_blocks_of_queries(pair, name, device, monkeypatch):
    """Latent queries, scores of blocks and their keys are made for a part of the rows at a time."""
    from libdsa.transformers import _attention, _blocks
    monkeypatch.setattr(_attention, "_BLOCK", 7 * 2 * 4 * 32 * 4)  # seven rows
    monkeypatch.setattr(_blocks, "_BLOCK", 7 * 2 * 2 * 40 * 4)
    wanted, ours = pair
    ids = tokens(device, 2, 40)
    close(ours(input_ids=ids).logits, wanted(input_ids=ids).logits)


@on_each_device
@pytest.mark.parametrize("local", [0, 2])
def test_blocks_near_the_query(device, local):
    """Blocks that MiniMax-M3 always selects; with none a query's own must win by its score."""
    wanted = tiny.make("minimax_m3_vl", index_local_blocks=local).to(device)
    ours = libdsa.transformers.enable(copy.deepcopy(wanted))
    ids = tokens(device, 2, 70)
    close(ours(input_ids=ids).logits, wanted(input_ids=ids).logits)


@on_each_device
@pytest.mark.parametrize("name", ["deepseek_v32", "deepseek_v4"])
def test_mask_with_holes(pair, device):
    wanted, ours = pair
    ids = tokens(device, 2, 30)
    mask = torch.ones_like(ids)
    mask[0, 10:14] = 0
    close(ours(input_ids=ids, attention_mask=mask).logits[mask.bool()],
          wanted(input_ids=ids, attention_mask=mask).logits[mask.bool()])


@on_each_device
@pytest.mark.parametrize("name", ["deepseek_v32", "deepseek_v4"])
def test_mask_of_ones_own(pair, device):
    """[B, 1, S, T], as bytes and as numbers to add."""
    wanted, ours = pair
    ids = tokens(device, 2, 30)
    generator = torch.Generator().manual_seed(3)
    shown = (torch.rand(1, 1, 30, 30, generator=generator) < 0.7).tril() | torch.eye(30).bool()
    added = torch.where(shown, 0.0, torch.finfo(torch.float32).min).to(device).expand(2, 1, 30, 30)
    reference = wanted(input_ids=ids, attention_mask=added).logits
    close(ours(input_ids=ids, attention_mask=added).logits, reference)
    shown = shown.to(device).expand(2, 1, 30, 30)
    close(ours(input_ids=ids, attention_mask=shown).logits, reference)


@on_each_device
@pytest.mark.parametrize("name", ["glm_moe_dsa", "deepseek_v4", "minimax_m3_vl"])
def test_beams(pair, device):
    wanted, ours = pair
    options = dict(input_ids=tokens(device, 2, 20), max_new_tokens=8, num_beams=3, do_sample=False,
                   pad_token_id=0)
    assert torch.equal(ours.generate(**options), wanted.generate(**options))


@on_each_device
@pytest.mark.parametrize("name", ["deepseek_v32", "hy_v4", "deepseek_v4", "minimax_m3_vl"])
def test_low_precision(name, device):
    """In bfloat16 libdsa is no farther from the float32 model than eager attention is."""
    exact = tiny.make(name).to(device)
    narrow = copy.deepcopy(exact).to(torch.bfloat16)
    ids = tokens(device, 2, 70)
    wanted = exact(input_ids=ids).logits
    error = (narrow(input_ids=ids).logits.float() - wanted).abs().mean()
    ours = libdsa.transformers.enable(narrow)(input_ids=ids).logits.float()
    assert (ours - wanted).abs().mean() < 1.25 * error


@on_each_device
@pytest.mark.parametrize("name", ["glm_moe_dsa", "deepseek_v4"])
def test_disable(pair, device):
    wanted, ours = pair
    ids = tokens(device, 1, 40)
    libdsa.transformers.enable(ours)  # a second time changes nothing
    own = libdsa.transformers.disable(ours)
    assert torch.equal(own(input_ids=ids).logits, wanted(input_ids=ids).logits)
    assert [type(m) for m in own.modules()] == [type(m) for m in wanted.modules()]


@pytest.mark.parametrize("name,rows,keys", [("deepseek_v32", 1000, 1000),
                                            ("deepseek_v4", 4000, 1000),
                                            ("minimax_m3_vl", 1000, 1000)])
@pytest.mark.parametrize("device", ["cpu"])
def test_uses_no_memory_for_scores(pair, device, rows, keys, monkeypatch):
    """No tensor of [S, T] elements or more is made, let alone one per head."""
    from libdsa.transformers import _blocks
    monkeypatch.setattr(_blocks, "_BLOCK", 1 << 20)
    _, ours = pair
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.untyped_storage().nbytes() // out.element_size())
            return out

    with Watch():
        ours(input_ids=tokens(device, 1, rows))
    assert largest < rows * keys


@pytest.mark.parametrize("name", ["deepseek_v32", "deepseek_v4"])
@pytest.mark.parametrize("device", ["cpu"])
def test_compiled(pair, device):
    wanted, ours = pair
    ids = tokens(device, 1, 40)
    compiled = torch.compile(ours, backend="eager")
    close(compiled(input_ids=ids).logits, wanted(input_ids=ids).logits)


@pytest.mark.parametrize("padding", [None, (0, 5), (3, 0)])
def test_ranges_say_what_the_mask_says(padding, monkeypatch):
    """Causal, sliding and packed visibility, against transformers' own masks."""
    from transformers import masking_utils as own
    from libdsa.transformers import _masks
    from libdsa.transformers._masks import mask_of_ranges, visible_keys
    monkeypatch.setattr(_masks, "_BLOCK", 3 * 2 * 12)  # three rows at a time
    packed = torch.tensor([[0] * 4 + [1] * 8] * 2)
    mask = None
    if padding:
        mask = torch.ones(2, 12, dtype=torch.bool)
        mask[0, :padding[0]] = mask[1, :padding[1]] = False
    for function in (own.causal_mask_function, own.sliding_window_causal_mask_function(3),
                     own.and_masks(own.causal_mask_function,
                                   own.packed_sequence_mask_function(packed))):
        fields = dict(batch_size=2, q_length=7, kv_length=12, q_offset=5, mask_function=function,
                      attention_mask=mask)
        late = {**fields, "q_length": 3, "q_offset": 9, "kv_length": 5, "kv_offset": 7}
        for fields in (fields, late):
            ranges = visible_keys(**fields)
            rows, keys = fields["q_length"], fields["kv_length"]
            assert ranges.shape == (2, 1, rows, 2) and ranges.dtype == torch.int32
            assert torch.equal(mask_of_ranges(ranges, keys),
                               own.sdpa_mask(**fields, allow_is_causal_skip=False))
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[0, 4] = False
    fields = dict(batch_size=2, q_length=7, kv_length=12, q_offset=5, attention_mask=mask)
    assert torch.equal(visible_keys(**fields), own.sdpa_mask(**fields, allow_is_causal_skip=False))


def test_unknown_steps_are_errors():
    from libdsa.transformers._compressed import IndexedCompressor
    from libdsa.transformers._scores import ScoreMode
    q, keys = torch.ones(1, 3, 16, 8), torch.ones(1, 5, 8)
    with ScoreMode():
        products = torch.matmul(q, keys.transpose(-1, -2).unsqueeze(1))
        weighted = products * torch.ones(1, 3, 16, 1)
        later = torch.arange(5)[None, None, None] > torch.ones(1, 1, 16, 1, dtype=int)
        blocks = products.masked_fill(later, -torch.inf)
        for step in (lambda: products * -1.0, lambda: products.exp(), lambda: products + 1,
                     lambda: torch.sigmoid(products), lambda: torch.matmul(products, keys),
                     lambda: weighted.sum(dim=1), lambda: products.masked_fill(later, 0.0),
                     lambda: blocks.amax(-1), lambda: blocks.topk(2),
                     lambda: torch.nn.functional.pad(blocks, (1, 0), value=-torch.inf)):
            with pytest.raises(NotImplementedError, match="the model's indexer does"):
                step()

    class Compressor:
        def forward(self, hidden_states, bias):
            return keys[:, None], bias

    class Mixed(IndexedCompressor, Compressor):
        pass

    with pytest.raises(NotImplementedError, match="does 'a mask of another kind'"):
        Mixed().forward(q, torch.zeros(1, 1, 3, 5))
    shown = keys[:, None].new_full((1, 1, 3, 6), -torch.inf)
    with pytest.raises(NotImplementedError, match="does 'a mask of another kind'"):
        Mixed().forward(q, shown)


def test_keys_that_are_not_counted_are_no_range():
    """A mask that looks like causal order, of keys in another order."""
    from libdsa.transformers._deferred import Beyond
    from libdsa.transformers._scores import ScoreMode
    ends = torch.tensor([1, 3])[None, :, None]
    with ScoreMode():
        assert isinstance(torch.arange(4).view(1, 1, -1) >= ends, Beyond)
        for hidden, shown in ((torch.arange(4).view(1, 1, -1) >= ends, [[0], [0, 1, 2]]),
                              (torch.arange(4).view(1, 1, -1) > ends, [[0, 1], [0, 1, 2, 3]])):
            assert isinstance(hidden, Beyond)
            assert [row.nonzero().flatten().tolist() for row in (~hidden)[0]] == shown
            assert hidden.ranges().tolist() == [[[0, len(keys)] for keys in shown]]
        assert not isinstance(torch.arange(4).view(1, 1, -1) >= ends + 0.5, Beyond)
        assert not isinstance(torch.arange(4).flip(0).view(1, 1, -1) >= ends, Beyond)
        assert not isinstance(torch.arange(8)[4:].view(1, 1, -1) >= ends, Beyond)
        assert not isinstance(torch.arange(8)[:4].view(1, 1, -1) * 2 >= ends, Beyond)


@pytest.mark.parametrize("name", ["deepseek_v32", "qwen4_exp", "deepseek_v4"])
@pytest.mark.parametrize("device", ["cpu"])
def test_models_with_hooks(pair, device):
    """accelerate's hooks (device_map) put a function before forward that calls what it was."""
    wanted, _ = pair
    hooked = copy.deepcopy(wanted)
    calls = 0
    for module in hooked.modules():
        def forward(*arguments, module=module, **keywords):
            nonlocal calls
            calls += 1
            return module._old_forward(*arguments, **keywords)
        module._old_forward = module.forward
        module.forward = forward
    ids = tokens(device, 1, 40)
    close(libdsa.transformers.enable(hooked)(input_ids=ids).logits, wanted(input_ids=ids).logits)
    assert calls
    libdsa.transformers.disable(hooked)
    assert torch.equal(hooked(input_ids=ids).logits, wanted(input_ids=ids).logits)


def test_refuses_other_models():
    from transformers import LlamaConfig, LlamaForCausalLM
    llama = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8,
                                         num_hidden_layers=1, num_attention_heads=1))
    with pytest.raises(ValueError, match="LlamaForCausalLM has no attention with an indexer"):
        libdsa.transformers.enable(llama)


def test_has_no_gradient():
    model = libdsa.transformers.enable(tiny.make("deepseek_v32"))
    with torch.enable_grad():
        loss = model(input_ids=tokens("cpu", 1, 20)).logits.sum()
        with pytest.raises((RuntimeError, NotImplementedError), match="libdsa"):
            loss.backward()
