"""Hugging Face transformers on libdsa: models with a lightning indexer, on the CPU or CUDA.

    import libdsa.transformers
    model = AutoModelForCausalLM.from_pretrained(...)
    libdsa.transformers.enable(model)

Nothing else changes: `generate`, left padding, dynamic and static caches, packed positions. The
model's own code computes queries, keys and weights of the indexer; scores, selection and attention
are libdsa's. docs/languages/transformers.md has the models and what differs.
"""

from ._model import disable, enable

__all__ = ["disable", "enable"]
