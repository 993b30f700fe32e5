# Looks into the library's objects: a CPU without AVX-512 must meet no zmm register outside of the
# files of tiers that have it, and one without AVX no ymm or VEX instruction outside of all tiers.
# A weak symbol in such a file (an inline function, a template of the standard library) could be
# the copy that the linker keeps for everybody.
set(wrong)
foreach(object IN LISTS OBJECTS)
  cmake_path(GET object FILENAME name)
  string(REGEX MATCH "^(avx2|avx512|amx)" tier "${name}")

  if(tier)
    execute_process(COMMAND ${NM} --defined-only --format=posix ${object}
      OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^\n]+ [VWu] [^\n]*" weak "${symbols}")
    foreach(symbol IN LISTS weak)
      if(NOT symbol MATCHES "^DW\\.ref\\.")
        list(APPEND wrong "${object}: weak symbol ${symbol}")
      endif()
    endforeach()
  endif()

  if(NOT tier)
    set(forbidden "\tv[a-z0-9]+ +%|%[yz]mm")
  elseif(tier STREQUAL avx2)
    set(forbidden "%zmm|%k[0-7]")
  else()
    continue()
  endif()
  execute_process(COMMAND ${OBJDUMP} --disassemble --no-show-raw-insn ${object}
    OUTPUT_VARIABLE code COMMAND_ERROR_IS_FATAL ANY)
  if(code MATCHES "\n([^\n]*(${forbidden})[^\n]*)")
    list(APPEND wrong "${object}: ${CMAKE_MATCH_1}")
  endif()
endforeach()
if(wrong)
  list(JOIN wrong "\n" wrong)
  message(FATAL_ERROR "${wrong}")
endif()
list(LENGTH OBJECTS count)
message("${count} objects")
