# The Python package and, where nanobind is installed for the same interpreter, its native module.

find_package(Python 3.10 COMPONENTS Interpreter Development.Module QUIET)
set(nanobind_dir "")
if(Python_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
    OUTPUT_VARIABLE nanobind_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()

if(nanobind_dir)
  find_package(nanobind CONFIG REQUIRED PATHS ${nanobind_dir} NO_DEFAULT_PATH)
  nanobind_add_module(_core NB_STATIC NOMINSIZE
    python/module.cpp python/bind_config.cpp python/bind_controller.cpp python/bind_plant.cpp)
  target_link_libraries(_core PRIVATE labvla_control_core)
  target_compile_options(_core PRIVATE -Wall -Wextra -Werror)
else()
  message(STATUS "labvla_control: nanobind was not found for ${Python_EXECUTABLE}; the Python module is left out. "
                 "Install it with 'pip install nanobind' to get it.")
endif()

if(ament_cmake_FOUND)
  ament_python_install_package(labvla_control)
  set(python_destination ${PYTHON_INSTALL_DIR}/labvla_control)
else()
  set(python_destination ${CMAKE_INSTALL_LIBDIR}/python/labvla_control)
  install(DIRECTORY labvla_control/ DESTINATION ${python_destination} FILES_MATCHING PATTERN "*.py*")
endif()
if(TARGET _core)
  install(TARGETS _core LIBRARY DESTINATION ${python_destination})
endif()
