# Boost.Asio and Beast compiled once, without our warnings; everybody else includes their headers as system headers.
file(WRITE ${CMAKE_BINARY_DIR}/boost/asio.cpp "#include <boost/asio/impl/src.hpp>\n")
file(WRITE ${CMAKE_BINARY_DIR}/boost/beast.cpp "#include <boost/beast/src.hpp>\n")
add_library(sanctum_boost STATIC ${CMAKE_BINARY_DIR}/boost/asio.cpp ${CMAKE_BINARY_DIR}/boost/beast.cpp)
target_include_directories(sanctum_boost SYSTEM PUBLIC ${Boost_INCLUDE_DIRS})
target_compile_definitions(sanctum_boost PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(sanctum_boost PUBLIC Threads::Threads)
if(SANCTUM_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Clang 14 puts the data of this check before every part of a coroutine, and then cannot write the object file.
  target_compile_options(sanctum_boost PUBLIC -fno-sanitize=function)
endif()
if(SANCTUM_SANITIZE)
  target_compile_options(sanctum_boost PRIVATE -fsanitize=${SANCTUM_SANITIZE})
endif()
