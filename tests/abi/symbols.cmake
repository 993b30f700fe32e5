# Compares three lists of functions: cmake/symbols.txt, what the library exports, what the header
# declares.
file(STRINGS ${SYMBOLS} listed REGEX "^dsa_")
list(SORT listed)

execute_process(COMMAND ${NM} --dynamic --defined-only --format=posix ${LIBRARY}
  OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${table}")
set(exported)
foreach(line IN LISTS lines)
  string(REGEX MATCH "^([^ @]+)[^ ]* ([A-Za-z])" matched "${line}")
  # The version node itself (DSA_1) is an absolute symbol.
  if(NOT CMAKE_MATCH_2 STREQUAL A)
    list(APPEND exported ${CMAKE_MATCH_1})
  endif()
endforeach()
list(SORT exported)

file(READ ${HEADER} header)
string(REGEX REPLACE "/\\*[^*]*\\*+([^/*][^*]*\\*+)*/" "" header "${header}")
string(REGEX MATCHALL "DSA_API [^;(]*(dsa_[a-z0-9_]+)\\(" declarations "${header}")
set(declared)
foreach(declaration IN LISTS declarations)
  string(REGEX MATCH "(dsa_[a-z0-9_]+)\\($" matched "${declaration}")
  list(APPEND declared ${CMAKE_MATCH_1})
endforeach()
list(SORT declared)

foreach(list IN ITEMS exported declared)
  if(NOT ${list} STREQUAL listed)
    message("listed:   ${listed}\n${list}: ${${list}}")
    message(FATAL_ERROR "functions ${list} differ from cmake/symbols.txt")
  endif()
endforeach()
list(LENGTH listed count)
message("${count} functions")
