#include "routes/case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "fill.h"

namespace bench::routes {
namespace {

constexpr float kScale = 0.17677669f;  // 32^-0.5

struct Reference {
  const float *q, *keys, *w, *attend_q, *kv, *v;
  int64_t length;
  int32_t k;

  // out [kHeads, kDim] of row t of a request, or nothing where the selection hangs by a thread.
  std::optional<std::vector<double>> row(int64_t request, int64_t t) const {
    const int64_t row = request * length + t;
    std::vector<double> score(size_t(t + 1));
    for (int64_t s = 0; s <= t; ++s) {
      double sum = 0;
      for (int64_t h = 0; h < kIndexHeads; ++h) {
        double dot = 0;
        for (int64_t d = 0; d < kIndexDim; ++d) {
          dot += double(q[(row * kIndexHeads + h) * kIndexDim + d]) *
                 double(keys[(request * length + s) * kIndexDim + d]);
        }
        sum += double(w[row * kIndexHeads + h]) * std::max(dot, 0.0);
      }
      score[size_t(s)] = sum;
    }
    std::vector<int64_t> order(size_t(t + 1));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&score](int64_t a, int64_t b) {
      return score[size_t(a)] > score[size_t(b)];
    });
    if (int64_t(order.size()) > k) {
      const double last = score[size_t(order[size_t(k) - 1])],
                   next = score[size_t(order[size_t(k)])];
      if (last - next < 1e-4 * (1 + std::abs(last))) return std::nullopt;
      order.resize(size_t(k));
    }
    return attend(request, row, order);
  }

  std::vector<double> attend(int64_t request, int64_t row,
                             const std::vector<int64_t>& selected) const {
    std::vector<double> out;
    for (int64_t h = 0; h < kHeads; ++h) {
      std::vector<double> sum(size_t(kDim), 0.0);
      double total = 0;
      for (const int64_t s : selected) {
        const int64_t at = ((request * length + s) * kHeads + h) * kDim;
        double dot = 0;
        for (int64_t d = 0; d < kDim; ++d) {
          dot += double(attend_q[(row * kHeads + h) * kDim + d]) * double(kv[at + d]);
        }
        // Products of 32 normal numbers, scaled: far from what exp overflows at.
        const double p = std::exp(double(kScale) * dot);
        total += p;
        for (int64_t d = 0; d < kDim; ++d) sum[size_t(d)] += p * double(v[at + d]);
      }
      for (const double x : sum) out.push_back(x / total);
    }
    return out;
  }
};

}  // namespace

Tensors::Tensors(const Context& context, const Point& point, uint64_t seed)
    : point_(point), device_(context.device()) {
  const int64_t b = point.batch, t = point.length;
  q_ = Array(DSA_F32, {b, t, kIndexHeads, kIndexDim});
  keys_ = Array(DSA_F32, {b, t, kIndexDim});
  w_ = Array(DSA_F32, {b, t, kIndexHeads});
  attend_q_ = Array(DSA_F32, {b, t, kHeads, kDim});
  kv_ = Array(DSA_F32, {b, t, kHeads, kDim});
  v_ = Array(DSA_F32, {b, t, kHeads, kDim});
  out_ = Array(DSA_F32, {b, t, kHeads, kDim});
  for (const Array* array : {&q_, &keys_, &w_, &attend_q_, &kv_, &v_}) {
    fill_normal(*const_cast<Array*>(array), seed++);
  }
  host_select_ = dsa_indexer_topk_desc_init();
  host_select_.flags = DSA_CAUSAL;
  host_select_.key_layout = DSA_LAYOUT_BATCH;
  host_select_.k = point.k;
  host_select_.q = q_.tensor();
  host_select_.keys = keys_.tensor();
  host_select_.w = w_.tensor();
  host_attend_ = dsa_sparse_attn_desc_init();
  host_attend_.key_layout = DSA_LAYOUT_BATCH;
  host_attend_.scale = kScale;
  host_attend_.q = attend_q_.tensor();
  host_attend_.kv = kv_.tensor();
  host_attend_.v = v_.tensor();
  host_attend_.out = out_.tensor();
  device_select_ = host_select_;
  device_attend_ = host_attend_;
  if (device_) move_to(*device_, context.device_id());
}

void Tensors::move_to(Device& device, int32_t device_id) {
  for (dsa_tensor* t :
       {&device_select_.q, &device_select_.keys, &device_select_.w, &device_attend_.q,
        &device_attend_.kv, &device_attend_.v, &device_attend_.out}) {
    int64_t bytes = dtype_bytes(t->dtype);
    for (int32_t i = 0; i < t->ndim; ++i) bytes *= t->shape[i];
    memory_.emplace_back(device, bytes);
    if (t != &device_attend_.out) device.upload(memory_.back().data(), t->data, bytes);
    t->data = memory_.back().data();
    t->device = DSA_DEVICE_CUDA;
    t->device_id = device_id;
  }
}

const dsa_forward_desc& Tensors::forward(int32_t route, bool on_device) {
  forward_ = dsa_forward_desc_init();
  forward_.route = route;
  forward_.select = &select(on_device);
  forward_.attend = &attend(on_device);
  return forward_;
}

const float* Tensors::output(bool on_device) {
  if (on_device) device_->download(out_.data<float>(), device_attend_.out.data, out_.bytes());
  return out_.data<float>();
}

void Tensors::clear_output(bool on_device) {
  std::memset(out_.data<char>(), 0xff, size_t(out_.bytes()));  // NaN
  if (on_device) device_->upload(device_attend_.out.data, out_.data<char>(), out_.bytes());
}

bool rows_are_right(Tensors& tensors, const float* out) {
  const dsa_indexer_topk_desc& s = tensors.select(false);
  const dsa_sparse_attn_desc& a = tensors.attend(false);
  const auto data = [](const dsa_tensor& t) { return static_cast<const float*>(t.data); };
  const Point& point = tensors.point();
  const Reference reference = {data(s.q),  data(s.keys), data(s.w),    data(a.q),
                               data(a.kv), data(a.v),    point.length, point.k};
  for (const int64_t request : {int64_t{0}, point.batch - 1}) {
    for (const int64_t t : {int64_t{0}, point.length / 2, point.length - 1}) {
      const auto expected = reference.row(request, t);
      if (!expected) continue;
      const float* row = out + (request * point.length + t) * kHeads * kDim;
      for (size_t i = 0; i < expected->size(); ++i) {
        // A NaN must fail.
        if (!(std::abs(double(row[i]) - (*expected)[i]) <= 1e-4)) return false;
      }
    }
  }
  return true;
}

}  // namespace bench::routes
