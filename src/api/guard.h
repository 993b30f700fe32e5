// The boundary: nothing is thrown across it, and every failure leaves its text behind.
#pragma once

#include <exception>
#include <new>

#include "core/error.h"

namespace dsa {

template <class F>
dsa_status guarded(F&& f) noexcept {
  try {
    f();
    return DSA_OK;
  } catch (const Error& error) {
    set_last_error(error.text);
    return error.status;
  } catch (const std::bad_alloc&) {
    set_last_error("out of host memory");
    return DSA_ERROR_NO_MEMORY;
  } catch (const std::exception& error) {
    set_last_error(error.what());
    return DSA_ERROR_INTERNAL;
  } catch (...) {
    set_last_error("an unknown exception inside the library");
    return DSA_ERROR_INTERNAL;
  }
}

}  // namespace dsa
