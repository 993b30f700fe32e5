#pragma once
// Errors of the engine, told apart by whose fault they are.

#include <stdexcept>

namespace tinylm {

// A file or an option is at fault: one line on stderr, exit code 2. Everything else that is thrown
// (libdsa refused a call, memory ran out) ends with exit code 1.
class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tinylm
