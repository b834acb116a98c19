sanctum_unit_test(interceptor_io_test PRECOMPILED sanctum_interceptor_test_headers
  SOURCES
    address_test.cpp agent_door_test.cpp agent_tls_test.cpp dialler_test.cpp dns_test.cpp lease_book_test.cpp
    loopback.cpp mission_server_test.cpp recorder_test.cpp upstream_certificate_test.cpp upstream_pool_test.cpp
    ${PROJECT_SOURCE_DIR}/tests/support/interceptor_world.cpp
  LINK sanctum_interceptor OpenSSL::SSL OpenSSL::Crypto)
