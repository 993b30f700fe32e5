# Options, and what holds for everything that is built from this tree.

option(DSA_SHARED "Build libdsa.so (OFF: libdsa.a)" ON)
option(DSA_HWLOC "Choose cores by hwloc (OFF: by the affinity mask and /sys alone)" ON)
option(DSA_OPENMP "Run on OpenMP threads (OFF: on the caller's parallel_for, else serially)" ON)
option(DSA_WERROR "Warnings are errors" OFF)
option(DSA_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(DSA_TOOLS "Build dsa-info and dsa-bench" ${PROJECT_IS_TOP_LEVEL})
option(DSA_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(DSA_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
option(DSA_EMULATED_TESTS "Also link all unit and operation tests into one program, which can run \
in the emulator when everything is static" OFF)
option(DSA_CUDA "Build the CUDA module libdsa-cuda.so" OFF)
set(DSA_CUDA_ARCHITECTURES 80 90a-real CACHE STRING "GPUs to compile the CUDA module for")
set(DSA_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, RelWithDebInfo or Debug" FORCE)
  endif()
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
  set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)  # for clang-tidy
  find_program(DSA_CCACHE ccache)
  mark_as_advanced(DSA_CCACHE)
  if(DSA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${DSA_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${DSA_CCACHE})
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${DSA_CCACHE})
  endif()
endif()

include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(DSA_X86 ON)
else()
  set(DSA_X86 OFF)
endif()

# Multiply-adds are written where they are meant: the same bits from every compiler.
add_compile_options(
  "$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-ffp-contract=off;-fno-math-errno>")
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Says of "text" + std::string that it copies onto itself (GCC bug 105651).
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(DSA_WERROR)
  add_compile_options("$<IF:$<COMPILE_LANGUAGE:CUDA>,-Werror=all-warnings,-Werror>")
endif()
if(DSA_SANITIZE)
  add_compile_options(-fsanitize=${DSA_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DSA_SANITIZE})
endif()
