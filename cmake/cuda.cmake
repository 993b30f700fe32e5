# libdsa-cuda.so: the CUDA module. It links the CUDA runtime statically, never libcuda, and exports
# one function. Needs CUDA 12.8 or later.

# CMake 3.25 does not know that nvcc has C++20.
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_EXTENSIONS OFF)
if(DSA_CUDA_ARCHITECTURES MATCHES "(^|;)90(-|;|$)")
  message(FATAL_ERROR "DSA_CUDA_ARCHITECTURES is ${DSA_CUDA_ARCHITECTURES}: the kernels for Hopper "
                      "need 90a instead of 90")
endif()
set(CMAKE_CUDA_ARCHITECTURES ${DSA_CUDA_ARCHITECTURES})

file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cuda/*.cpp
                                                 ${PROJECT_SOURCE_DIR}/src/cuda/*.cu)
string(REGEX MATCH "^[0-9]+\\.[0-9]+" cuda_version ${CMAKE_CUDA_COMPILER_VERSION})
add_library(dsa_cuda MODULE ${cuda_sources})
target_include_directories(dsa_cuda PRIVATE ${PROJECT_SOURCE_DIR}/include
                                            ${PROJECT_SOURCE_DIR}/src)
target_include_directories(dsa_cuda SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
list(JOIN DSA_CUDA_ARCHITECTURES ", " cuda_architectures)
target_compile_definitions(dsa_cuda PRIVATE
  "DSA_CUDA_VERSION=\"${cuda_version}\"" "DSA_CUDA_ARCHITECTURES=\"${cuda_architectures}\"")
target_compile_options(dsa_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Xfatbin=-compress-all>")
set_target_properties(dsa_cuda PROPERTIES
  CUDA_RUNTIME_LIBRARY Static OUTPUT_NAME dsa-cuda PREFIX lib POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
# libgcc_s stays shared, as in libdsa.so: the static one of GCC 12 asks for glibc 2.35, all else for
# 2.34.
target_link_options(dsa_cuda PRIVATE LINKER:--no-undefined LINKER:--gc-sections
  -static-libstdc++
  LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/libdsa-cuda.map)
set_property(TARGET dsa_cuda APPEND PROPERTY LINK_DEPENDS
  ${PROJECT_SOURCE_DIR}/cmake/libdsa-cuda.map)
