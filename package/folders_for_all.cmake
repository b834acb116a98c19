# Run by CPack between installing and packing: the folders of the package are everybody's to enter, whatever umask the
# builder has. (A `./usr` that only its owner may enter would be unpacked onto the machine's own.)
file(CHMOD_RECURSE ${CPACK_TEMPORARY_DIRECTORY} DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
