# C++ tests: plain executables, no framework. The behaviour tests are in Python (test/test_*.py).

function(labvla_control_program name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE test/cpp fuzz)
  target_link_libraries(${name} PRIVATE labvla_control_core labvla_control_strict)
endfunction()

if(BUILD_TESTING)
  find_package(Threads REQUIRED)
  foreach(test viability threads random_chunks two_wrists)
    labvla_control_program(test_${test} test/cpp/test_${test}.cpp)
    add_test(NAME labvla_control_${test} COMMAND test_${test})
  endforeach()
  target_link_libraries(test_threads PRIVATE Threads::Threads)

  # A sanitizer brings its own allocator: counting there would count the sanitizer.
  if(NOT LABVLA_SANITIZE)
    labvla_control_program(test_no_allocation test/cpp/test_no_allocation.cpp)
    target_compile_options(test_no_allocation PRIVATE -fno-builtin)
    add_test(NAME labvla_control_no_allocation COMMAND test_no_allocation)
  endif()

  labvla_control_program(update_cost test/cpp/update_cost.cpp)

  if(TARGET _core)
    execute_process(COMMAND ${Python_EXECUTABLE} -c "import pytest, hypothesis, numpy"
      RESULT_VARIABLE python_tests_missing OUTPUT_QUIET ERROR_QUIET)
    if(python_tests_missing)
      message(STATUS "labvla_control: pytest, hypothesis or numpy is missing; the Python tests are not registered")
    else()
      # The package as a user imports it: sources beside the native module, in the build folder.
      set(staged ${CMAKE_CURRENT_BINARY_DIR}/staged)
      add_custom_target(labvla_control_staged ALL
        COMMAND ${CMAKE_COMMAND} -E copy_directory ${CMAKE_CURRENT_SOURCE_DIR}/labvla_control ${staged}/labvla_control
        COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:_core> ${staged}/labvla_control/
        DEPENDS _core)
      add_test(NAME labvla_control_python
        COMMAND ${Python_EXECUTABLE} -m pytest -q -m "not long" ${CMAKE_CURRENT_SOURCE_DIR}/test)
      set_tests_properties(labvla_control_python PROPERTIES ENVIRONMENT_MODIFICATION
        PYTHONPATH=path_list_prepend:${staged})
    endif()
  endif()
endif()

if(LABVLA_FUZZ)
  labvla_control_program(fuzz_chunk fuzz/fuzz_chunk.cpp)
  target_compile_options(fuzz_chunk PRIVATE -fsanitize=fuzzer,address,undefined -fno-omit-frame-pointer)
  target_link_options(fuzz_chunk PRIVATE -fsanitize=fuzzer,address,undefined)
endif()
