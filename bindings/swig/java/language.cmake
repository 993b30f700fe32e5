# The JDK whose compiler is found, unless JAVA_HOME names one.
if(NOT JAVA_HOME AND NOT DEFINED ENV{JAVA_HOME})
  find_program(DSA_JAVAC javac REQUIRED)
  file(REAL_PATH ${DSA_JAVAC} javac)
  cmake_path(GET javac PARENT_PATH JAVA_HOME)
  cmake_path(GET JAVA_HOME PARENT_PATH JAVA_HOME)
endif()
find_package(JNI REQUIRED COMPONENTS JVM)  # headless: no AWT

add_language(java -package libdsa)
target_include_directories(dsa_java PRIVATE ${JAVA_INCLUDE_PATH} ${JAVA_INCLUDE_PATH2})
