# Runs when cpack has installed everything below its own directory, /usr of the package.
# DESTDIR is set then: file(INSTALL) would go astray.
set(deploy ${CMAKE_CURRENT_LIST_DIR}/..)
set(root ${CPACK_TEMPORARY_DIRECTORY})

# The build directory's unit may name another prefix.
file(COPY ${deploy}/systemd/imaged.service DESTINATION ${root}/usr/lib/systemd/system)
file(COPY ${deploy}/imaged.toml DESTINATION ${root}/etc/imaged)
file(COPY ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${root}/usr/share/doc/imaged)
file(MAKE_DIRECTORY ${root}/usr/share/lintian/overrides)
configure_file(${CMAKE_CURRENT_LIST_DIR}/lintian-overrides ${root}/usr/share/lintian/overrides/imaged COPYONLY)

file(GLOB pages ${root}/usr/share/man/man*/*)
foreach(page ${pages})
  execute_process(COMMAND gzip -9nf ${page} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
