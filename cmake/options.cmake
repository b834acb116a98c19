# Warnings, hardening and sanitizers: one interface target that all our code links.
# Probes link `sanctum_warnings` only: the shipped filter must be the tested filter, and a sanitized child needs more.
add_library(sanctum_warnings INTERFACE)
target_compile_options(sanctum_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion $<$<CONFIG:Debug>:-Wnull-dereference>
  -Wimplicit-fallthrough
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual>)

# GCC collects its garbage each time its heap has grown by a part; with this much room it never does for one of our
# files, which saves a tenth of the time.
set(SANCTUM_COMPILER_ROOM $<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=262144>)

add_library(sanctum_options INTERFACE)
if(CMAKE_UNITY_BUILD)
  # Files compiled in one batch: what one of them keeps to itself would look as if it came from a header.
  target_compile_options(sanctum_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
target_compile_options(sanctum_options INTERFACE ${SANCTUM_COMPILER_ROOM})
target_link_libraries(sanctum_options INTERFACE sanctum_warnings)
target_include_directories(sanctum_options INTERFACE ${PROJECT_SOURCE_DIR})

if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" OR CMAKE_BUILD_TYPE STREQUAL "Release")
  # No path of the building machine gets into the programs: two builds in two folders give the same bytes.
  add_compile_options(-ffile-prefix-map=${CMAKE_BINARY_DIR}=build -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
  # When optimising, GCC reports the frame allocator of Asio's coroutines, of whose pair of operator new and delete it
  # sees only half. (-Wnull-dereference, above for Debug only, would report paths inside inlined library code.)
  target_compile_options(sanctum_options INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-mismatched-new-delete>
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -D_GLIBCXX_ASSERTIONS)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    target_compile_options(sanctum_options INTERFACE -fcf-protection)
  endif()
  target_link_options(sanctum_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack
    -static-libstdc++ -static-libgcc)
endif()

if(SANCTUM_SANITIZE)
  target_compile_options(sanctum_options INTERFACE -fsanitize=${SANCTUM_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -Wno-null-dereference)
  # The vptr check probes memory through a pipe, a call that the filters of our own processes refuse: it would report
  # every virtual call of a confined process.
  target_compile_options(sanctum_options INTERFACE -fno-sanitize=vptr)
  target_link_options(sanctum_options INTERFACE -fsanitize=${SANCTUM_SANITIZE})
endif()
# For programs that hold credentials. A sanitizer has an operator delete of its own, which goes with its operator new.
set(SANCTUM_WIPE_ON_FREE ${PROJECT_SOURCE_DIR}/base/wipe_on_free.cpp)
if(SANCTUM_SANITIZE)
  set(SANCTUM_WIPE_ON_FREE "")
endif()
if(SANCTUM_COVERAGE)
  target_compile_options(sanctum_options INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(sanctum_options INTERFACE --coverage)
endif()
if(SANCTUM_BUILD_FUZZERS)
  target_compile_options(sanctum_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(SANCTUM_LLD ld.lld)
if(SANCTUM_LLD)
  target_link_options(sanctum_options INTERFACE -fuse-ld=lld)
endif()

# What nearly every file includes is parsed once: the standard library's common headers, never one of ours (a change of
# ours must not rebuild everything) and never a heavy one (precompiling saves parsing, not instantiation).
set(SANCTUM_PRECOMPILED <algorithm> <array> <chrono> <cstdint> <cstring> <filesystem> <functional> <map> <memory>
  <optional> <set> <span> <string> <string_view> <utility> <variant> <vector>)

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_library(sanctum_common_instances STATIC ${PROJECT_SOURCE_DIR}/cmake/common_instances.cpp)
  target_link_libraries(sanctum_common_instances PRIVATE sanctum_warnings)
  target_include_directories(sanctum_common_instances PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(sanctum_options INTERFACE sanctum_common_instances)
  list(PREPEND SANCTUM_PRECOMPILED ${PROJECT_SOURCE_DIR}/cmake/common_instances.hpp)
endif()

# sanctum_precompiled(NAME KIND HEADERS …): a target whose only job is to own a precompiled header that others reuse.
# KIND as of those others, STATIC or PROGRAM: GCC wants the same code model for both.
function(sanctum_precompiled name kind)
  file(WRITE ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp "int main() {}\n")
  if(kind STREQUAL PROGRAM)
    add_executable(${name} ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp)
  else()
    add_library(${name} STATIC ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp)
  endif()
  target_link_libraries(${name} PRIVATE sanctum_options)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()
sanctum_precompiled(sanctum_common_headers STATIC ${SANCTUM_PRECOMPILED})

# A module of ours: a static library named sanctum_<module> with all sources listed by hand.
function(sanctum_library name)
  cmake_parse_arguments(ARG "" "PRECOMPILED" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sanctum_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  if(NOT ARG_PRECOMPILED)
    set(ARG_PRECOMPILED sanctum_common_headers)
  endif()
  target_precompile_headers(${name} REUSE_FROM ${ARG_PRECOMPILED})
endfunction()
