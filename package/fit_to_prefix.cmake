# Runs when something is installed, because only then the prefix is known: `cmake --install --prefix` may name another.
# Writes what names the prefix to SANCTUM_FITTED, from SANCTUM_TEMPLATES, and says where systemd and zsh look below it.
get_filename_component(SANCTUM_PREFIX "${CMAKE_INSTALL_PREFIX}" ABSOLUTE)

# In quotes, what means something in a pattern of AppArmor's (apparmor.d(5), globbing) stands for itself after a \.
string(REGEX REPLACE "([][{}*?^\"\\\\])" "\\\\\\1" SANCTUM_APPARMOR_PREFIX "${SANCTUM_PREFIX}")
configure_file("${SANCTUM_TEMPLATES}/apparmor/sanctum-run.in" "${SANCTUM_FITTED}/apparmor/sanctum-run" @ONLY)

# In quotes blanks are the path's own, and %% is a % (systemd.unit(5), specifiers). systemd runs no program whose path
# has a quote or a \ in it.
string(REPLACE "%" "%%" SANCTUM_UNIT_PREFIX "${SANCTUM_PREFIX}")
foreach(unit sanctum-reap.service sanctum-recover.service)
  configure_file("${SANCTUM_TEMPLATES}/systemd/${unit}.in" "${SANCTUM_FITTED}/system/${unit}" @ONLY)
endforeach()
configure_file("${SANCTUM_TEMPLATES}/systemd/sanctum-reap.user.service.in"
  "${SANCTUM_FITTED}/user/sanctum-reap.service" @ONLY)

# systemd.unit(5): lib below /usr and /usr/local, share below ~/.local and each of XDG_DATA_DIRS.
if(SANCTUM_PREFIX MATCHES "^/usr(/local)?$")
  set(SANCTUM_USER_UNITS lib/systemd/user)
else()
  set(SANCTUM_USER_UNITS share/systemd/user)
endif()
# Debian's zsh: vendor-completions is for its packages, site-functions for what is installed beside them.
if(SANCTUM_PREFIX STREQUAL "/usr")
  set(SANCTUM_ZSH_FUNCTIONS share/zsh/vendor-completions)
else()
  set(SANCTUM_ZSH_FUNCTIONS share/zsh/site-functions)
endif()
