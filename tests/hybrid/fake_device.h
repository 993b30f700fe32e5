// A device that is the host: a CUDA module whose kernels are those of the CPU and whose streams are
// lazy. What is enqueued runs when somebody waits for it, and not before, so that a step that was
// not waited for leaves garbage behind, whatever the machine's speed.
#pragma once

#include <cstdint>

// Found by name in the module.
struct FakeControl {
  void (*finish)();               // all that is enqueued on any stream
  void (*set_capturing)(bool);    // what every stream answers
  void (*fail_at)(int64_t call);  // the call of that number from now on fails, from 1; 0: none does
  int64_t (*calls)();             // since fail_at
  int64_t (*live)();              // streams, events and memory that were made and not freed
  int64_t (*pinned_bytes)();
  int64_t (*pins)();  // how often memory was pinned
};
using FakeControlEntry = const FakeControl* (*)();
inline constexpr const char* kFakeControlName = "dsa_fake_control";
