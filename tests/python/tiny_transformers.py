"""Tiny random models of every architecture of transformers with an indexer like DeepSeek's."""

import importlib

import torch

_COMMON = dict(
    vocab_size=96, hidden_size=64, intermediate_size=64, moe_intermediate_size=32,
    num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, n_shared_experts=1,
    n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1, kv_lora_rank=32,
    q_lora_rank=32, qk_rope_head_dim=16, qk_nope_head_dim=24, v_head_dim=16, index_topk=8,
    index_head_dim=32, index_n_heads=16, max_position_embeddings=512, initializer_range=0.2,
    pad_token_id=None, bos_token_id=None, eos_token_id=None)
_VISION = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
               num_heads=2, depth=1, out_hidden_size=64, projection_intermediate_size=32)
_SHARED = {"indexer_types": ["full", "shared", "full", "shared"]}

# name: (configuration, model, what differs); of a model with towers, the text configuration first
_MODELS = {
    "deepseek_v32": ("DeepseekV32Config", "DeepseekV32ForCausalLM", {}),
    "glm_moe_dsa": ("GlmMoeDsaConfig", "GlmMoeDsaForCausalLM", _SHARED),
    "hy_v4": ("HYV4Config", "HYV4ForCausalLM", _SHARED),
    "axk2": ("AXK2Config", "AXK2ForCausalLM", {}),
    "mistral_large4": ("MistralLarge4TextConfig", "MistralLarge4ForConditionalGeneration",
                       {**_SHARED, "no_rope_layers": [1, 1, 1, 0]}),
    "dots3_note": ("Dots3NoteTextConfig", "Dots3NoteForCausalLM",
                   {"layer_types": ["indexed_attention", "sliding_attention"] * 2,
                    "sliding_window": 12, "head_dim": 40, "swa_num_attention_heads": 2,
                    "swa_num_key_value_heads": 2, "swa_q_lora_rank": 32, "swa_kv_lora_rank": 48,
                    "swa_head_dim": 40, "swa_qk_nope_head_dim": 24, "swa_v_head_dim": 16,
                    "shared_experts_intermediate_size": 32}),
    "hy_v4_vl": ("HYV4VLTextConfig", "HYV4VLForConditionalGeneration",
                 {**_SHARED, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                                                 "mrope_section": [4, 2, 2]}}),
    "glm5_next": ("Glm5NextTextConfig", "Glm5NextForConditionalGeneration",
                  {"qk_rope_head_dim": 0, "index_kpool": 4, "index_topk": 16,
                   "layer_types": ["full_attention", "full_attention", "linear_attention",
                                   "full_attention"],
                   "indexer_types": ["full", "shared", "full", "full"], "linear_head_dim": 16,
                   "linear_num_heads": 4}),
    "qwen4_exp": ("Qwen4ExpTextConfig", "Qwen4ExpForCausalLM",
                  {"num_key_value_heads": 2, "head_dim": 32, "indexer_n_heads": 16,
                   "indexer_kv_heads": 1, "indexer_head_dim": 32, "indexer_budget": 16,
                   "indexer_compress_ratio": 4, "linear_num_key_heads": 2,
                   "linear_num_value_heads": 4, "linear_key_head_dim": 16,
                   "linear_value_head_dim": 16, "shared_expert_intermediate_size": 32,
                   "num_experts": 4, "hc_count": 2, "hc_lowrank": 8,
                   "layer_types": ["full_attention", "linear_attention"] * 2}),
    "deepseek_v4": ("DeepseekV4Config", "DeepseekV4ForCausalLM",
                    {"num_key_value_heads": 1, "head_dim": 32, "index_topk": 4, "o_groups": 2,
                     "o_lora_rank": 16, "hc_mult": 2, "sliding_window": 12,
                     "layer_types": ["heavily_compressed_attention", "compressed_sparse_attention",
                                     "sliding_attention", "compressed_sparse_attention"],
                     "mlp_layer_types": ["hash_moe", "moe", "moe", "moe"],
                     "compress_rates": {"compressed_sparse_attention": 4,
                                        "heavily_compressed_attention": 8}}),
    "minimax_m3_vl": ("MiniMaxM3VLTextConfig", "MiniMaxM3SparseForConditionalGeneration",
                      {"num_key_value_heads": 2, "head_dim": 32, "rotary_dim": 16,
                       "index_n_heads": 2, "index_block_size": 6, "index_topk_blocks": 3,
                       "layer_types": ["full_attention"] + ["minimax_m3_sparse"] * 3,
                       "num_local_experts": 4, "dense_intermediate_size": 64,
                       "shared_intermediate_size": 32}),
}


def _module(name):
    try:
        return importlib.import_module(f"transformers.models.{name}")
    except ImportError:
        return None


# What the models themselves cannot do, in transformers 5.24. These count compressed keys, or blocks
# of keys, from a row's first token, be it padding or of another text; and with padding on the left
# MiniMax-M3's indexer looks for blocks before those that a query sees.
COUNT_FROM_FIRST_TOKEN = ("deepseek_v4", "minimax_m3_vl")
NO_LEFT_PADDING = ("minimax_m3_vl",)
NO_PACKING = ("glm5_next", "minimax_m3_vl")
NO_STATIC_CACHE = ("deepseek_v4",)

NAMES = [name for name in _MODELS if _module(name) is not None]


def make(name, seed=0, **changes):
    config_class, model_class, own = _MODELS[name]
    module = _module(name)
    config = getattr(module, config_class)(**{**_COMMON, **own, **changes})
    if "Text" in config_class and "Conditional" in model_class:
        whole = config_class.replace("Text", "")
        config = getattr(module, whole)(text_config=config.to_dict(), vision_config=dict(_VISION))
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = getattr(module, model_class)(config).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith(("norm.weight", "norm.bias")):
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif parameter_name.endswith(("sinks", "compress_gate", "position_bias")):
                parameter.copy_(torch.randn_like(parameter))
    return model
