#pragma once
// The two calls of a step. Everything that a step needs is allocated here, once, for the largest
// step: tables, rows, workspace and plans.

#include <dsa.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "cache.h"
#include "request.h"

namespace engine {

class Calls {
 public:
  Calls(dsa_ctx *ctx, Cache &cache, const Limits &limits);

  // The tables of request r of the batch; entries behind the request's pages are -1.
  int32_t *index_table(int r) { return &index_table_[static_cast<size_t>(r * index_pages_)]; }
  int32_t *kv_table(int r) { return &kv_table_[static_cast<size_t>(r * kv_pages_)]; }
  void clear_tables(int r);

  void start() { rows_ = 0; }
  int rows() const { return rows_; }
  // A row of the next run: the token at this position of request r.
  void add(int r, int token, int position);

  // Selects and attends for all rows.
  void run();

  const int32_t *slots(int row) const { return &slots_[at(row, Shape::kTopk)]; }
  int count(int row) const { return counts_[static_cast<size_t>(row)]; }
  const float *out(int row) const { return &out_[at(row, Shape::kHeads * Shape::kValueDim)]; }

 private:
  struct DestroyPlan {
    void operator()(dsa_plan *plan) const { dsa_plan_destroy(plan); }
  };
  struct Free {
    void operator()(void *memory) const;
  };

  static size_t at(int row, int width) {
    return static_cast<size_t>(row) * static_cast<size_t>(width);
  }
  dsa_indexer_topk_desc describe_select(int rows);
  dsa_sparse_attn_desc describe_attend(int rows);
  // A plan and enough workspace for a descriptor of the largest step.
  void prepare(const void *desc, std::unique_ptr<dsa_plan, DestroyPlan> &plan);
  dsa_exec exec(const dsa_plan *plan) const;

  dsa_ctx *ctx_;
  Cache &cache_;
  int batch_, max_rows_, longest_, index_pages_, kv_pages_;
  int rows_ = 0;

  std::vector<int32_t> index_table_, kv_table_;  // [batch, pages]
  std::vector<int32_t> row_request_, row_end_;   // [rows]
  std::vector<Bf16> q_, index_q_;                // [rows, H, D], [rows, Hi, Di]
  std::vector<float> index_w_;                   // [rows, Hi]
  std::vector<int32_t> slots_, counts_;          // [rows, k], [rows]
  std::vector<float> out_;                       // [rows, H, Dv]

  std::unique_ptr<dsa_plan, DestroyPlan> select_plan_, attend_plan_;
  std::unique_ptr<void, Free> workspace_;
  uint64_t workspace_size_ = 0;
};

}  // namespace engine
