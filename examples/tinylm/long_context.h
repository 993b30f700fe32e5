#pragma once
// How sparse and dense attention grow with the context: a table from 2048 positions on.

#include <cstdint>
#include <span>

#include "attention.h"
#include "model.h"
#include "options.h"

namespace tinylm {

// Text repeated as often as needed. Prints a row whenever a length is reached.
void print_long_context(const Options &options, const Model &model, const Attention &attention,
                        std::span<const uint8_t> text);

}  // namespace tinylm
