# Writes the version script of libimaged-client.so: cmake -DHEADERS=… -DOUT=… -P this.
#
# The structs of protobuf-c are laid out by the program and read by the library by its
# own descriptors, so a field more in a message would let a library read past the end of
# what an older program has. Therefore the version of a descriptor is a hash of its
# struct: such a program does not start ("version `…' not found") until it is built
# again, and one that does not use the message never notices.
# Everything else has one version. Which symbols are global decides CMakeLists.txt.

set(nodes "")
foreach(header ${HEADERS})
  file(READ ${header} text)
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" "" text "${text}")
  string(REGEX REPLACE "[ \t\n]+" " " text "${text}")
  set(mark "PROTOBUF_C_MESSAGE_INIT (&")
  string(LENGTH "${mark}" mark_length)
  string(FIND "${text}" "${mark}" at)
  while(NOT at EQUAL -1)
    # Before the mark the struct, behind it the name of its descriptor.
    string(SUBSTRING "${text}" 0 ${at} before)
    math(EXPR at "${at} + ${mark_length}")
    string(SUBSTRING "${text}" ${at} -1 text)
    string(REGEX MATCH "^[a-z0-9_]+" descriptor "${text}")
    string(FIND "${before}" " struct " begin REVERSE)
    string(SUBSTRING "${before}" ${begin} -1 struct)
    string(REGEX MATCH "^ struct ([A-Za-z0-9_]+) {" found "${struct}")
    if(NOT found OR NOT descriptor)
      message(FATAL_ERROR "${header}: there is no struct before ${descriptor}")
    endif()
    set(name ${CMAKE_MATCH_1})
    string(FIND "${struct}" " #define " end)
    string(SUBSTRING "${struct}" 0 ${end} struct)
    string(SHA256 hash "${struct}")
    string(SUBSTRING ${hash} 0 8 hash)
    string(APPEND nodes "${name}_${hash} {\nglobal:\n\t${descriptor};\n};\n")
    string(FIND "${text}" "${mark}" at)
  endwhile()
endforeach()
file(WRITE ${OUT} "IMAGED_CLIENT_0 {\nglobal:\n\t*;\n};\n${nodes}")
