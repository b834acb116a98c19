# Warnings, hardening and sanitizers: one interface target that all our code links.
# Probes link `sanctum_warnings` only: the shipped filter must be the tested filter, and a sanitized child needs more.
add_library(sanctum_warnings INTERFACE)
target_compile_options(sanctum_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion $<$<CONFIG:Debug>:-Wnull-dereference>
  -Wimplicit-fallthrough
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual>)

add_library(sanctum_options INTERFACE)
target_link_libraries(sanctum_options INTERFACE sanctum_warnings)
target_include_directories(sanctum_options INTERFACE ${PROJECT_SOURCE_DIR})

if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" OR CMAKE_BUILD_TYPE STREQUAL "Release")
  # When optimising, GCC reports the frame allocator of Asio's coroutines, of whose pair of operator new and delete it
  # sees only half. (-Wnull-dereference, above for Debug only, would report paths inside inlined library code.)
  target_compile_options(sanctum_options INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-mismatched-new-delete>
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -D_GLIBCXX_ASSERTIONS)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    target_compile_options(sanctum_options INTERFACE -fcf-protection)
  endif()
  target_link_options(sanctum_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

if(SANCTUM_SANITIZE)
  target_compile_options(sanctum_options INTERFACE -fsanitize=${SANCTUM_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -Wno-null-dereference)
  # The vptr check probes memory through a pipe, a call that the filters of our own processes refuse: it would report
  # every virtual call of a confined process.
  target_compile_options(sanctum_options INTERFACE -fno-sanitize=vptr)
  target_link_options(sanctum_options INTERFACE -fsanitize=${SANCTUM_SANITIZE})
endif()
if(SANCTUM_BUILD_FUZZERS)
  target_compile_options(sanctum_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(SANCTUM_LLD ld.lld)
if(SANCTUM_LLD)
  target_link_options(sanctum_options INTERFACE -fuse-ld=lld)
endif()

# A module of ours: a static library named sanctum_<module> with all sources listed by hand.
function(sanctum_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sanctum_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
endfunction()
