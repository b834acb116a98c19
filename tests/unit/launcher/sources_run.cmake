# Unit tests of launcher/run and launcher/watch, for the launcher's test program.
set(SANCTUM_LAUNCHER_RUN_TESTS
  control_test.cpp event_loop_test.cpp mission_loop_test.cpp mission_record_test.cpp options_test.cpp
  peer_protocol_test.cpp peers_test.cpp secret_variables_test.cpp summary_test.cpp trusted_process_test.cpp
  watch_live_test.cpp watch_test.cpp witness_test.cpp child_missions_test.cpp delegation_words_test.cpp)
