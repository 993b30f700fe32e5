# The interpreter decides which headers: Lua 5.4, or another that pkg-config knows by DSA_LUA.
set(DSA_LUA lua5.4 CACHE STRING "pkg-config's name of Lua")
find_package(PkgConfig REQUIRED)
pkg_check_modules(LUA REQUIRED ${DSA_LUA})

add_language(lua)
target_include_directories(dsa_lua PRIVATE ${LUA_INCLUDE_DIRS})
set_target_properties(dsa_lua PROPERTIES OUTPUT_NAME dsa PREFIX "")  # require "dsa"
