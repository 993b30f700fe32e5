"""Puts libdsa into the modules of a model, and takes it out."""

from __future__ import annotations

import functools
import types
from typing import Any, Iterator

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from ._attention import attention
from ._compressed import Compressor, IndexedCompressor, WindowAttention
from ._masks import visible_keys
from ._pooled import PooledAttention, PooledIndexer
from ._scores import ScoreMode

NAME = "libdsa"

AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, visible_keys)


class _Indexer:
    """Mixed into an indexer: its own forward, its scores left to libdsa."""

    @torch.compiler.disable
    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        with ScoreMode():
            return super().forward(*arguments, **keywords)


class _LatentAttention:
    """Mixed into MLA attention: latents are not expanded to keys and values of every head. They go
    to the attention function; into the cache too, where the model caches after expanding."""

    libdsa_latent = True

    def expand_kv(self, latent: torch.Tensor,
                  rope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return latent, rope


class _MaskedAttention:
    """Mixed into attention that turns its selection into a mask: the selection goes instead."""

    def build_attention_mask_from_topk(self, topk_indices: torch.Tensor,
                                       **_ignored: Any) -> torch.Tensor:
        return topk_indices


@functools.cache
def _mixed(kind: type, *mixins: type) -> type:
    """Classes, not methods of the instance, change: so that a copied model is whole."""
    return type(kind.__name__, (*mixins, kind),
                {"__module__": kind.__module__, "libdsa_original": kind})


def _become(module: torch.nn.Module, kind: type) -> None:
    module.__class__ = kind
    if "_old_forward" in module.__dict__:  # accelerate's hooks (device_map) keep the bound method
        module._old_forward = types.MethodType(kind.forward, module)


def enable(model: PreTrainedModel) -> PreTrainedModel:
    """Runs indexer, selection and attention of `model` on libdsa; returns the model.

    For models whose attention layers hold an `indexer`, over MLA latents (`expand_kv`), over pooled
    keys (`compress_ratio`), over blocks of keys (`build_block_mask`) or over the keys of a
    `compressor`. A cache must be filled and read in one mode: with libdsa it may hold latents where
    the model alone keeps keys and values of every head.
    """
    if not any(hasattr(module, "indexer") for module in model.modules()):
        raise ValueError(f"libdsa.transformers: {type(model).__name__} has no attention with an "
                         "indexer")
    changes = list(_changes(model))
    configs = {}
    for module, mixins in changes:
        if hasattr(module, "config"):
            configs[id(module.config)] = module.config
        if mixins and not hasattr(module, "libdsa_original"):
            _become(module, _mixed(type(module), *mixins))
    previous = getattr(model, "_libdsa_previous", [])
    for config in configs.values():
        if config._attn_implementation != NAME:
            previous.append((config, config._attn_implementation))
            config._attn_implementation = NAME
    model._libdsa_previous = previous
    return model


def disable(model: PreTrainedModel) -> PreTrainedModel:
    """Undoes `enable`; returns the model."""
    for module in model.modules():
        original = getattr(module, "libdsa_original", None)
        if original is not None:
            _become(module, original)
    for config, implementation in model.__dict__.pop("_libdsa_previous", []):
        config._attn_implementation = implementation
    return model


def _changes(model: PreTrainedModel) -> Iterator[tuple[torch.nn.Module, list[type]]]:
    """Modules, and what is mixed into each."""
    compressors = set()
    for module in model.modules():  # a compressor comes after the attention that holds it
        if hasattr(module, "compressor") and hasattr(module, "scaling"):
            yield module, [WindowAttention]
            compressors.add(module.compressor)
        elif module in compressors:
            if hasattr(module, "indexer"):
                yield module, [IndexedCompressor]
                yield module.indexer, [_Indexer]
            else:
                yield module, [Compressor]
        elif hasattr(module, "indexer"):
            of_layer, of_indexer = _mixins_of(module)
            yield module, of_layer
            if module.indexer is not None:
                yield module.indexer, [of_indexer]


def _mixins_of(layer: torch.nn.Module) -> tuple[list[type], type]:
    """What goes into an attention layer and its indexer."""
    if hasattr(layer, "config") and hasattr(layer, "scaling"):
        if hasattr(layer, "expand_kv") and hasattr(layer, "kv_b_proj"):
            masked = hasattr(layer, "build_attention_mask_from_topk")
            return [_LatentAttention] + [_MaskedAttention] * masked, _Indexer
        if hasattr(layer.indexer, "compress_ratio") and hasattr(layer.indexer, "block_topk"):
            return [PooledAttention], PooledIndexer
        if layer.indexer is None or hasattr(layer.indexer, "build_block_mask"):
            return [], _Indexer
    raise ValueError(f"libdsa.transformers: the indexer of {type(layer).__name__} is of a kind "
                     "that is not known: not over MLA latents, QSA's pooled keys, compressed keys "
                     "or blocks of keys")
