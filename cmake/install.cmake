# find_package(dsa) gives dsa::dsa; pkg-config knows libdsa. Components: runtime, development,
# cuda.

if(NOT DSA_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dsa)
install(TARGETS dsa EXPORT dsaTargets
  RUNTIME COMPONENT runtime
  LIBRARY COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE COMPONENT development)
if(DSA_CUDA)
  # The first place where the library looks for its module. One component, so that a package for
  # machines without a GPU leaves it out.
  install(TARGETS dsa_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/dsa COMPONENT cuda)
endif()
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.h")
install(EXPORT dsaTargets NAMESPACE dsa:: DESTINATION ${config_folder} COMPONENT development)

configure_package_config_file(cmake/dsaConfig.cmake.in ${PROJECT_BINARY_DIR}/dsaConfig.cmake
  INSTALL_DESTINATION ${config_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dsaConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dsaConfig.cmake ${PROJECT_BINARY_DIR}/dsaConfigVersion.cmake
  DESTINATION ${config_folder} COMPONENT development)

# The prefix is found from where libdsa.pc lies, so that an installed tree can be moved.
cmake_path(SET pc_folder NORMALIZE ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${pc_folder} OUTPUT_VARIABLE PC_PREFIX)
list(JOIN DSA_STATIC_LIBS " " PC_STATIC_LIBS)
if(DSA_SHARED)
  set(PC_LIBS "-L\${libdir} -ldsa")
else()
  set(PC_LIBS "-L\${libdir} -ldsa ${PC_STATIC_LIBS}")
endif()
configure_file(pkgconfig/libdsa.pc.in ${PROJECT_BINARY_DIR}/libdsa.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/libdsa.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
