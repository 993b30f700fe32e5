// What the tensors of a benchmark hold. The same numbers on every run and any number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "array.h"

namespace bench {

enum class Pattern { kRandn, kReluPlateau, kAllEqual, kLowBits, kRising, kFalling, kReal };

const std::vector<std::string>& pattern_names();     // in the order of the enum
Pattern pattern_from_name(const std::string& name);  // throws std::invalid_argument

// Independent normal numbers of mean 0, times `scale`; from the 2^26th on they repeat.
void fill_normal(Array& array, uint64_t seed, float scale = 1);

// Scores [rows, n] for a top-k of k:
//   randn         independent normal numbers
//   relu-plateau  k/2 elements a row above zero, the others exactly zero: the cut lies in the
//   plateau all-equal     one value low-bits      1 plus a random count of the 1024 lowest steps of
//   f32: other dtypes make it all
//                 equal or nearly so
//   rising        every element greater than the one before; falling: less
//   real          scores of a trained indexer, see real.h
void fill_scores(Array& scores, Pattern pattern, int32_t k, uint64_t seed,
                 const std::string& real_path);

// Lengths of rows of at most n, i32: "log-uniform" from 1 to n, or all the number that `kind` is.
void fill_lengths(Array& lengths, int64_t n, const std::string& kind, uint64_t seed);

// `queries` selections of k different keys out of `keys`, ascending, i32 [queries, k].
//   random  each query its own;  shared  all the same;  window  the last k keys before position
//   keys - queries + t
void fill_selection(Array& indices, int64_t keys, const std::string& kind, uint64_t seed);

}  // namespace bench
