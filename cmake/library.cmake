# libdsa. Its objects are compiled once, for the library and for tests that see its inside.

file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/src/api/*.cpp ${PROJECT_SOURCE_DIR}/src/core/*.cpp
  ${PROJECT_SOURCE_DIR}/src/cpu/*.cpp ${PROJECT_SOURCE_DIR}/src/hybrid/*.cpp)

# A file's name says its tier (DESIGN: one translation unit a tier), the tier its flags.
set(avx2_flags -mavx2 -mfma -mf16c)
set(avx512_flags -mavx512f -mavx512bw -mavx512dq -mavx512vl ${avx2_flags})
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC's own AVX-512 intrinsics start from an undefined register (GCC bug 105593).
  list(APPEND avx512_flags -Wno-uninitialized -Wno-maybe-uninitialized)
endif()
set(amx_flags ${avx512_flags} -mavx512bf16 -mamx-tile -mamx-bf16)
foreach(source IN LISTS sources)
  cmake_path(GET source FILENAME name)
  if(name MATCHES "^(avx2|avx512|amx)")
    set(tier ${CMAKE_MATCH_1})
    if(NOT DSA_X86)
      list(REMOVE_ITEM sources ${source})
      continue()
    endif()
    set(flags ${${tier}_flags})
    # AVX-512 parts that not every AVX-512 CPU has stand in files named after them.
    foreach(part IN ITEMS bf16 vbmi2)
      if(tier STREQUAL avx512 AND name MATCHES "${part}")
        list(APPEND flags -mavx512${part})
      endif()
    endforeach()
    set_property(SOURCE ${PROJECT_SOURCE_DIR}/${source} APPEND PROPERTY COMPILE_OPTIONS ${flags})
  endif()
endforeach()
list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/)

find_package(Threads REQUIRED)

# What the objects are compiled and linked with.
add_library(dsa_needs INTERFACE)
target_compile_definitions(dsa_needs INTERFACE $<$<BOOL:${DSA_X86}>:DSA_X86>)
target_link_libraries(dsa_needs INTERFACE Threads::Threads ${CMAKE_DL_LIBS})

add_library(dsa_objects OBJECT ${sources})
target_include_directories(dsa_objects PRIVATE ${PROJECT_SOURCE_DIR}/include
                                               ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(dsa_objects PRIVATE DSA_BUILDING_LIBRARY)
target_link_libraries(dsa_objects PRIVATE dsa_needs)
set_target_properties(dsa_objects PROPERTIES POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)

# What a program needs that links libdsa.a.
set(DSA_STATIC_LIBS -pthread -lstdc++ -lm)
if(DSA_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(dsa_needs INTERFACE OpenMP::OpenMP_CXX)
  list(APPEND DSA_STATIC_LIBS ${OpenMP_CXX_FLAGS})
endif()
if(DSA_HWLOC)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(hwloc IMPORTED_TARGET hwloc>=2.0)
  if(NOT hwloc_FOUND)
    message(FATAL_ERROR "hwloc 2 is not there (Debian, Ubuntu: libhwloc-dev); \
-DDSA_HWLOC=OFF builds without it")
  endif()
  target_compile_definitions(dsa_needs INTERFACE DSA_HAVE_HWLOC)
  target_link_libraries(dsa_needs INTERFACE PkgConfig::hwloc)
  list(APPEND DSA_STATIC_LIBS -lhwloc)
endif()

if(DSA_SHARED)
  add_library(dsa SHARED $<TARGET_OBJECTS:dsa_objects>)
  target_link_libraries(dsa PRIVATE $<BUILD_INTERFACE:dsa_needs>)

  # cmake/symbols.txt lists the functions that leave the library; all else stays inside.
  set(symbols_file ${PROJECT_SOURCE_DIR}/cmake/symbols.txt)
  set(map ${PROJECT_BINARY_DIR}/libdsa.map)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${symbols_file})
  file(STRINGS ${symbols_file} DSA_SYMBOLS REGEX "^dsa_")
  list(JOIN DSA_SYMBOLS ";\n    " DSA_SYMBOLS)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/libdsa.map.in ${map} @ONLY)
  target_link_options(dsa PRIVATE LINKER:--version-script=${map})
  set_property(TARGET dsa APPEND PROPERTY LINK_DEPENDS ${map})
  if(NOT DSA_SANITIZE)
    target_link_options(dsa PRIVATE LINKER:--no-undefined)
  endif()
  set_target_properties(dsa PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${DSA_ABI_VERSION})
else()
  add_library(dsa STATIC $<TARGET_OBJECTS:dsa_objects>)
  target_link_libraries(dsa PUBLIC $<BUILD_INTERFACE:dsa_needs>
                                   "$<INSTALL_INTERFACE:${DSA_STATIC_LIBS}>")
endif()
target_include_directories(dsa PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_library(dsa::dsa ALIAS dsa)
