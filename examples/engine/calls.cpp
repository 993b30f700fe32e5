#include "calls.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace engine {
namespace {

void check(dsa_status status) {
  if (status != DSA_OK) throw std::runtime_error(dsa_last_error());
}

}  // namespace

void Calls::Free::operator()(void *memory) const { std::free(memory); }

Calls::Calls(dsa_ctx *ctx, Cache &cache, const Limits &limits)
    : ctx_(ctx),
      cache_(cache),
      batch_(limits.batch),
      max_rows_(limits.step_rows),
      longest_(limits.longest),
      index_pages_(cache.index_pool.pages_for(limits.longest)),
      kv_pages_(cache.kv_pool.pages_for(limits.longest)),
      index_table_(at(batch_, index_pages_), -1),
      kv_table_(at(batch_, kv_pages_), -1),
      row_request_(at(max_rows_, 1)),
      row_end_(at(max_rows_, 1)),
      q_(at(max_rows_, Shape::kHeads * Shape::kDim)),
      index_q_(at(max_rows_, Shape::kIndexHeads * Shape::kIndexDim)),
      index_w_(at(max_rows_, Shape::kIndexHeads)),
      slots_(at(max_rows_, Shape::kTopk)),
      counts_(at(max_rows_, 1)),
      out_(at(max_rows_, Shape::kHeads * Shape::kValueDim)) {
  const dsa_indexer_topk_desc select = describe_select(max_rows_);
  const dsa_sparse_attn_desc attend = describe_attend(max_rows_);
  prepare(&select, select_plan_);
  prepare(&attend, attend_plan_);
  // dsa.h asks for 256-byte alignment.
  workspace_.reset(std::aligned_alloc(256, (workspace_size_ + 255) / 256 * 256 + 256));
  if (!workspace_) throw std::bad_alloc();
}

void Calls::prepare(const void *desc, std::unique_ptr<dsa_plan, DestroyPlan> &plan) {
  dsa_plan *made = nullptr;
  check(dsa_plan_create(ctx_, desc, &made));
  plan.reset(made);
  uint64_t bytes = 0;
  check(dsa_workspace_size(ctx_, desc, &bytes));
  workspace_size_ = std::max(workspace_size_, bytes);
}

void Calls::clear_tables(int r) {
  std::fill_n(index_table(r), index_pages_, -1);
  std::fill_n(kv_table(r), kv_pages_, -1);
}

void Calls::add(int r, int token, int position) {
  const int row = rows_++;
  cache_.write(token, position, index_table(r), kv_table(r));
  make_query(token, position, &q_[at(row, Shape::kHeads * Shape::kDim)],
             &index_q_[at(row, Shape::kIndexHeads * Shape::kIndexDim)],
             &index_w_[at(row, Shape::kIndexHeads)]);
  row_request_[at(row, 1)] = r;
  row_end_[at(row, 1)] = position + 1;  // itself and all before it
}

// Prompt chunks and single tokens are rows alike: row_request says whose, row_end how far it sees.
dsa_indexer_topk_desc Calls::describe_select(int rows) {
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  d.key_layout = DSA_LAYOUT_PAGES;
  d.max_keys = longest_;
  d.k = Shape::kTopk;
  d.slot_page_size = Cache::kKvPage;
  d.q = dsa_tensor_3d(index_q_.data(), DSA_BF16, rows, Shape::kIndexHeads, Shape::kIndexDim);
  d.keys = dsa_tensor_3d(cache_.index_keys.data(), DSA_BF16, cache_.capacity / Cache::kIndexPage,
                         Cache::kIndexPage, Shape::kIndexDim);
  d.w = dsa_tensor_2d(index_w_.data(), DSA_F32, rows, Shape::kIndexHeads);
  d.block_table = dsa_tensor_2d(index_table_.data(), DSA_I32, batch_, index_pages_);
  d.slot_table = dsa_tensor_2d(kv_table_.data(), DSA_I32, batch_, kv_pages_);
  d.row_request = dsa_tensor_1d(row_request_.data(), DSA_I32, rows);
  d.row_end = dsa_tensor_1d(row_end_.data(), DSA_I32, rows);
  d.slots = dsa_tensor_2d(slots_.data(), DSA_I32, rows, Shape::kTopk);
  d.counts = dsa_tensor_1d(counts_.data(), DSA_I32, rows);
  return d;
}

dsa_sparse_attn_desc Calls::describe_attend(int rows) {
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.selection = DSA_SELECTION_SLOTS;
  d.k = Shape::kTopk;
  d.scale = Shape::kScale;
  d.q = dsa_tensor_3d(q_.data(), DSA_BF16, rows, Shape::kHeads, Shape::kDim);
  d.kv = dsa_tensor_2d(cache_.kv.data(), DSA_BF16, cache_.capacity, Shape::kDim);
  d.indices = dsa_tensor_2d(slots_.data(), DSA_I32, rows, Shape::kTopk);
  d.counts = dsa_tensor_1d(counts_.data(), DSA_I32, rows);
  d.out = dsa_tensor_3d(out_.data(), DSA_F32, rows, Shape::kHeads, Shape::kValueDim);
  return d;
}

dsa_exec Calls::exec(const dsa_plan *plan) const {
  dsa_exec exec = {};
  exec.struct_size = sizeof exec;
  exec.workspace = workspace_.get();
  exec.workspace_size = workspace_size_;
  exec.plan = plan;
  return exec;
}

void Calls::run() {
  const dsa_indexer_topk_desc select = describe_select(rows_);
  const dsa_exec select_exec = exec(select_plan_.get());
  check(dsa_indexer_topk(ctx_, &select, &select_exec));
  const dsa_sparse_attn_desc attend = describe_attend(rows_);
  const dsa_exec attend_exec = exec(attend_plan_.get());
  check(dsa_sparse_attn(ctx_, &attend, &attend_exec));
}

}  // namespace engine
