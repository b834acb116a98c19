# Sources of launcher/run and launcher/watch, for the launcher's library.
set(SANCTUM_LAUNCHER_RUN_SOURCES
  run/child_process.cpp run/control.cpp run/event_loop.cpp run/exit_codes.cpp run/launcher_confinement.cpp
  run/lease_lines.cpp run/mission_end.cpp run/mission_loop.cpp run/mission_record.cpp run/mission_view.cpp
  run/open_record.cpp run/options.cpp run/peer_protocol.cpp run/peers.cpp run/preparation.cpp run/processes.cpp
  run/secret_variables.cpp run/signals.cpp run/standby.cpp run/status.cpp run/summary.cpp run/supervisor.cpp
  run/terminal.cpp run/trust_question.cpp run/trusted_process.cpp run/witness.cpp run/workspace_care.cpp
  watch/process_facts.cpp watch/watch.cpp
  run/child_missions.cpp run/child_side.cpp run/delegation_client.cpp run/delegation_words.cpp run/prepare_child.cpp)
