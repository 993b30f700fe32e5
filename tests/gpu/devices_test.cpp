// Several contexts, threads and devices in one process: each call is its own device's, gives the
// same bits, and leaves the caller's current device alone. Parts of it need two GPUs.
#include <memory>
#include <thread>

#include "gpu_test.h"
#include "support/random.h"

using namespace support;

namespace {

Context context_of(int device) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.device = DSA_DEVICE_CUDA;
  options.device_id = device;
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  return Context(ctx);
}

// Scores on the current device, and what the CPU selects of them.
class Selection {
 public:
  Selection(int64_t rows, int64_t columns, int32_t k, uint64_t seed)
      : scores_(DSA_F32, {rows, columns}), indices_(DSA_I32, {rows, k}), want_(indices_.size()) {
    Random random(seed);
    std::vector<float> host(scores_.size());
    for (float& x : host) x = float(random.normal());
    scores_.set(host);
    d_ = dsa_topk_desc_init();
    d_.k = k;
    d_.scores = dsa_tensor_2d(host.data(), DSA_F32, rows, columns);
    d_.indices = dsa_tensor_2d(want_.data(), DSA_I32, rows, k);
    const Context cpu = make_context("cpu.*");
    EXPECT_EQ(dsa_topk(cpu.get(), &d_, nullptr), DSA_OK) << dsa_last_error();
    d_.scores = scores_.tensor;
    d_.indices = indices_.tensor;
  }
  const dsa_topk_desc& desc() const { return d_; }
  dsa_status call(dsa_ctx* ctx, const dsa_exec* exec) const { return dsa_topk(ctx, &d_, exec); }
  void clear() { indices_.fill(0x5a); }
  bool is_right() const { return indices_.get() == want_; }

 private:
  DeviceArray<float> scores_;
  DeviceArray<int32_t> indices_;
  std::vector<int32_t> want_;
  dsa_topk_desc d_;
};

// A call that takes memory from its context's pool. What it gives, its first run says.
class FusedCall {
 public:
  explicit FusedCall(uint64_t seed)
      : q_(DSA_F8_E4M3FN, {kRows, kHeads, kDim}),
        keys_(DSA_F8_E4M3FN, {kKeys, kDim}),
        w_(DSA_F32, {kRows, kHeads}),
        indices_(DSA_I32, {kRows, kSelected}) {
    Random random(seed);
    const auto bytes = [&](size_t n) {
      std::vector<uint8_t> v(n);
      for (uint8_t& x : v) x = uint8_t(random.between(0, 1) * 128 + random.between(0, 0x58));
      return v;
    };
    q_.set(bytes(q_.size()));
    keys_.set(bytes(keys_.size()));
    std::vector<float> w(w_.size());
    for (float& x : w) x = float(random.normal());
    w_.set(w);
    d_ = dsa_indexer_topk_desc_init();
    d_.q = q_.tensor;
    d_.keys = keys_.tensor;
    d_.w = w_.tensor;
    d_.k = kSelected;
    d_.indices = indices_.tensor;
  }
  const dsa_indexer_topk_desc& desc() const { return d_; }
  dsa_status call(dsa_ctx* ctx, const dsa_exec* exec) const {
    return dsa_indexer_topk(ctx, &d_, exec);
  }
  void clear() { indices_.fill(0x5a); }
  std::vector<int32_t> result() const { return indices_.get(); }

 private:
  static constexpr int64_t kRows = 40, kKeys = 9000, kHeads = 64, kDim = 128;
  static constexpr int32_t kSelected = 512;
  DeviceArray<uint8_t> q_, keys_;
  DeviceArray<float> w_;
  DeviceArray<int32_t> indices_;
  dsa_indexer_topk_desc d_;
};

// Calls of all kinds on one device: few keys, shared memory above 48 KiB, many rows, a pool.
class Work {
 public:
  explicit Work(int device) : device_(device) {
    const DeviceScope scope(device);
    selections_.push_back(std::make_unique<Selection>(3, 5000, 64, 1));
    selections_.push_back(std::make_unique<Selection>(20, 70000, 2048, 2));
    selections_.push_back(std::make_unique<Selection>(300, 20000, 512, 3));
    fused_ = std::make_unique<FusedCall>(4);
  }

  // What the fused call gives.
  const std::vector<int32_t>& learn(dsa_ctx* ctx) {
    const DeviceScope scope(device_);
    fused_->clear();
    EXPECT_EQ(fused_->call(ctx, nullptr), DSA_OK) << dsa_last_error();
    want_ = fused_->result();
    return want_;
  }

  // Enqueues all of it and waits. The calling thread's current device may be another, or none.
  void run(dsa_ctx* ctx, const std::string& note) {
    std::unique_ptr<DeviceStream> stream;
    {
      const DeviceScope scope(device_);
      stream = std::make_unique<DeviceStream>();
      fused_->clear();
      for (const auto& selection : selections_) selection->clear();
    }
    dsa_exec exec{};
    exec.struct_size = sizeof exec;
    exec.stream = stream->get();
    const int before = current_device();
    EXPECT_EQ(fused_->call(ctx, &exec), DSA_OK) << note << dsa_last_error();
    for (const auto& selection : selections_) {
      EXPECT_EQ(selection->call(ctx, &exec), DSA_OK) << note << dsa_last_error();
    }
    EXPECT_EQ(current_device(), before) << note;
    const DeviceScope scope(device_);
    stream->wait();
    EXPECT_EQ(fused_->result(), want_) << note;
    for (size_t i = 0; i < selections_.size(); ++i) {
      EXPECT_TRUE(selections_[i]->is_right()) << note << ", selection " << i;
    }
  }

  FusedCall& fused() { return *fused_; }
  Selection& selection() { return *selections_.front(); }

 private:
  int device_;
  std::vector<std::unique_ptr<Selection>> selections_;
  std::unique_ptr<FusedCall> fused_;
  std::vector<int32_t> want_;
};

// f(i) on threads that have no CUDA context of their own.
template <class F>
void on_threads(int n, F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < n; ++i) threads.emplace_back([=] { f(i); });
  for (std::thread& thread : threads) thread.join();
}

// Captured on the device, and replayed.
void check_graph(Work& work, dsa_ctx* ctx, int device) {
  uint64_t bytes = 0;
  ASSERT_EQ(dsa_workspace_size(ctx, &work.fused().desc(), &bytes), DSA_OK) << dsa_last_error();
  const std::vector<int32_t> want = work.learn(ctx);
  const DeviceScope scope(device);
  CapturedCall captured(bytes, [&](const dsa_exec* exec) {
    const dsa_status status = work.fused().call(ctx, exec);
    return status == DSA_OK ? work.selection().call(ctx, exec) : status;
  });
  ASSERT_EQ(captured.status(), DSA_OK) << dsa_last_error();
  for (int round = 0; round < 3; ++round) {
    work.fused().clear();
    work.selection().clear();
    captured.run();
    EXPECT_EQ(work.fused().result(), want);
    EXPECT_TRUE(work.selection().is_right());
  }
}

TEST(Devices, TwoContextsOfOneDeviceInTurns) {
  DSA_GPU_OR_SKIP(first);
  Work work(0);
  work.learn(first.get());
  {
    const Context second = context_of(0);
    for (int round = 0; round < 4; ++round) {
      work.run(first.get(), "first");
      work.run(second.get(), "second");
    }
  }
  work.run(first.get(), "first, without the second");
}

TEST(Devices, ThreadsShareContextsOfOneDevice) {
  DSA_GPU_OR_SKIP(first);
  const Context second = context_of(0);
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 4; ++i) {
    works.push_back(std::make_unique<Work>(0));
    works.back()->learn(first.get());
  }
  on_threads(4, [&](int i) {
    for (int round = 0; round < 10; ++round) {
      works[size_t(i)]->run((i % 2 ? second : first).get(), "thread " + std::to_string(i));
    }
  });
}

// The context too is made and ended by threads that have no current device, or any.
TEST(Devices, CurrentDeviceStaysTheCallers) {
  DSA_GPU_OR_SKIP(any);
  const int count = device_count();
  std::vector<std::unique_ptr<Work>> works;
  for (int device = 0; device < count; ++device) {
    works.push_back(std::make_unique<Work>(device));
    works.back()->learn(context_of(device).get());
  }
  for (int device = 0; device < count; ++device) {
    for (int current = -1; current < count; ++current) {
      on_threads(1, [&](int) {
        std::unique_ptr<DeviceScope> scope;
        if (current >= 0) scope = std::make_unique<DeviceScope>(current);
        const std::string note =
            "device " + std::to_string(device) + " from " + std::to_string(current);
        ASSERT_EQ(current_device(), current);
        Context ctx = context_of(device);
        EXPECT_EQ(current_device(), current) << note << ", after dsa_ctx_create";
        works[size_t(device)]->run(ctx.get(), note);
        ctx.reset();
        EXPECT_EQ(current_device(), current) << note << ", after dsa_ctx_destroy";
      });
    }
  }
}

TEST(Devices, OneThatIsNotThere) {
  DSA_GPU_OR_SKIP(any);
  const int count = device_count();
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.device = DSA_DEVICE_CUDA;
  options.device_id = count;
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_ERROR_NO_BACKEND);
  EXPECT_EQ(ctx, nullptr);
  const std::string want = "ctx_options.device_id is " + std::to_string(count) + ", there are " +
                           std::to_string(count) + " CUDA devices";
  EXPECT_NE(std::string(dsa_last_error()).find(want), std::string::npos) << dsa_last_error();
}

// Whichever tensor it is, and whether that device is there or not.
TEST(Devices, TensorOfAnotherDeviceIsRefused) {
  DSA_GPU_OR_SKIP(ctx);
  Work work(0);
  const DeviceScope scope(0);
  work.selection().clear();
  for (const int device : {1, 7}) {
    for (const bool is_output : {false, true}) {
      dsa_topk_desc d = work.selection().desc();
      (is_output ? d.indices : d.scores).device_id = device;
      EXPECT_EQ(dsa_topk(ctx.get(), &d, nullptr), DSA_ERROR_INVALID);
      const std::string want = std::string("topk.") + (is_output ? "indices" : "scores") +
                               ".device_id is " + std::to_string(device) +
                               ", the context's device is 0";
      EXPECT_EQ(dsa_last_error(), want);
      EXPECT_FALSE(work.selection().is_right()) << "written all the same";
    }
  }
}

TEST(Devices, Graph) {
  DSA_GPU_OR_SKIP(ctx);
  Work work(0);
  check_graph(work, ctx.get(), 0);
}

#define DSA_TWO_GPUS_OR_SKIP()                               \
  DSA_GPU_OR_SKIP(any);                                      \
  if (device_count() < 2) {                                  \
    GTEST_SKIP() << "there is one GPU; this test needs two"; \
  }

TEST(TwoDevices, InTurnsFromOneThread) {
  DSA_TWO_GPUS_OR_SKIP();
  const Context first = context_of(0), second = context_of(1);
  Work one(0), two(1);
  const std::vector<int32_t> want = one.learn(first.get());
  EXPECT_EQ(two.learn(second.get()), want) << "devices of one kind give the same bits";
  for (int round = 0; round < 4; ++round) {
    one.run(first.get(), "device 0");
    two.run(second.get(), "device 1");
  }
}

TEST(TwoDevices, AtATimeFromSeveralThreads) {
  DSA_TWO_GPUS_OR_SKIP();
  const Context contexts[2] = {context_of(0), context_of(1)};
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 6; ++i) {
    works.push_back(std::make_unique<Work>(i % 2));
    works.back()->learn(contexts[i % 2].get());
  }
  on_threads(6, [&](int i) {
    for (int round = 0; round < 10; ++round) {
      works[size_t(i)]->run(contexts[i % 2].get(), "thread " + std::to_string(i));
    }
  });
}

TEST(TwoDevices, TensorOfTheOtherIsRefused) {
  DSA_TWO_GPUS_OR_SKIP();
  const Context first = context_of(0), second = context_of(1);
  Work one(0), two(1);
  dsa_topk_desc d = two.selection().desc();
  EXPECT_EQ(dsa_topk(first.get(), &d, nullptr), DSA_ERROR_INVALID);
  EXPECT_STREQ(dsa_last_error(), "topk.scores.device_id is 1, the context's device is 0");
  d.scores = one.selection().desc().scores;
  EXPECT_EQ(dsa_topk(second.get(), &d, nullptr), DSA_ERROR_INVALID);
  EXPECT_STREQ(dsa_last_error(), "topk.scores.device_id is 0, the context's device is 1");
  EXPECT_EQ(dsa_topk(first.get(), &d, nullptr), DSA_ERROR_INVALID);
  EXPECT_STREQ(dsa_last_error(), "topk.indices.device_id is 1, the context's device is 0");
}

TEST(TwoDevices, GraphOnTheSecond) {
  DSA_TWO_GPUS_OR_SKIP();
  const Context ctx = context_of(1);
  Work work(1);
  check_graph(work, ctx.get(), 1);
}

}  // namespace
