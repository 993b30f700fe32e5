#include "cuda/topk/stages.h"

#include <algorithm>

#include "cuda/topk/order.h"
#include "cuda/topk/visible.h"

namespace dsa::cuda::topk {
namespace {

// What the L2 cache holds beside other things, and enough rows for any form.
constexpr int64_t kCopyBytes = int64_t{24} << 20;
constexpr int64_t kListBytes = int64_t{8} << 20;

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Memory from `offset` on as a tensor of which the rows from `first_row` on are there.
RowTensor view_of(char* memory, uint64_t offset, int64_t first_row, int64_t row_bytes,
                  int32_t dtype, int64_t width) {
  RowTensor view;
  view.data = reinterpret_cast<char*>(reinterpret_cast<intptr_t>(memory) +
                                      static_cast<intptr_t>(offset) - first_row * row_bytes);
  view.dtype = dtype;
  view.bytes = element_bytes(dtype);
  view.row_stride = row_bytes;
  view.extent[0] = width;
  view.stride[0] = 1;
  return view;
}

bool is_contiguous(const RowTensor& t) { return t.stride[0] == 1 || t.extent[0] <= 1; }

int64_t most_selected(const TopkParams& p) {
  return std::min<int64_t>(p.select.k, p.rows.max_length());
}

}  // namespace

Stages::Stages(const TopkCall& call)
    : call_(call),
      copies_(call.p.rows.mask.given() || !is_contiguous(call.p.scores)),
      sorts_(call.p.select.order == DSA_ORDER_SCORE && !call.p.select.cut_only()),
      in_place_(call.p.select.indices.given() && is_contiguous(call.p.select.indices) &&
                call.p.select.indices.split == 0),
      copy_row_(round_up(call.p.rows.max_length() * call.p.scores.bytes, 16)),
      list_row_(most_selected(call.p) * int64_t{sizeof(int32_t)}),
      batch_rows_(std::max<int64_t>(call.row_count, 1)) {
  // Of all rows or of as many as fit, of one at least: grows with each extent.
  const auto share = [&](int64_t row, int64_t most) {
    const int64_t bytes = std::min(call.row_count * row, std::max(most, row));
    if (row > 0) batch_rows_ = std::min(batch_rows_, std::max<int64_t>(bytes / row, 1));
    return static_cast<uint64_t>(round_up(bytes, 256));
  };
  if (copies_) copy_bytes_ = share(copy_row_, kCopyBytes);
  if (sorts_ && !in_place_) list_bytes_ = share(list_row_, kListBytes);
}

const char* Stages::refuse() const {
  if (sorts_ && most_selected(call_.p) > kMostSorted) {
    return "DSA_ORDER_SCORE of more than fits into shared memory";
  }
  return nullptr;
}

// The batch after its scores have been copied.
TopkCall Stages::copied(const TopkCall& batch, char* memory) const {
  if (!copies_) return batch;
  TopkCall out = batch;
  out.p.scores = view_of(memory, 0, batch.first_row, copy_row_, call_.p.scores.dtype,
                         call_.p.rows.max_length());
  out.p.rows = call_.p.rows.from_begin();
  return out;
}

// The batch as the form gets it: where it is sorted later only positions of keys, and counts.
TopkCall Stages::form_call(const TopkCall& batch, char* memory) const {
  TopkCall out = copied(batch, memory);
  out.row_count = std::min(batch.row_count, batch_rows_);
  if (!sorts_) return out;
  SelectParams& select = out.p.select;
  select.order = DSA_ORDER_INDEX;
  select.index_base = select.slots = select.values = select.cut_score = select.cut_index = {};
  if (!in_place_) {
    select.indices =
        view_of(memory, copy_bytes_, batch.first_row, list_row_, DSA_I32, most_selected(call_.p));
  }
  return out;
}

cudaError_t Stages::launch_batch(const Form& form, const TopkCall& batch, const Run& run) const {
  const TopkCall source = copied(batch, run.workspace);
  const TopkCall selects = form_call(batch, run.workspace);
  if (copies_) {
    const cudaError_t error = enqueue_visible(batch, source.p.scores, run);
    if (error != cudaSuccess) return error;
  }
  Run form_run = run;
  form_run.workspace = run.workspace + workspace();
  const cudaError_t error = form.launch(selects, form_run);
  if (error != cudaSuccess || !sorts_) return error;
  return enqueue_order(source, selects.p.select.indices, run);
}

cudaError_t Stages::launch(const Form& form, const Run& run) const {
  cudaError_t error = cudaSuccess;
  for (int64_t first = 0; first < call_.row_count && error == cudaSuccess; first += batch_rows_) {
    error = launch_batch(
        form, {call_.p, call_.first_row + first, std::min(batch_rows_, call_.row_count - first)},
        run);
  }
  return error;
}

cudaError_t load_stages() {
  const cudaError_t error = load_visible();
  return error == cudaSuccess ? load_order() : error;
}

}  // namespace dsa::cuda::topk
