# The Python package, where nanobind is installed for the interpreter in use.

find_package(Python 3.10 COMPONENTS Interpreter Development.Module QUIET)
set(nanobind_dir "")
if(Python_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
    OUTPUT_VARIABLE nanobind_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT nanobind_dir)
  message(STATUS "labvla_control: nanobind was not found for '${Python_EXECUTABLE}'; the Python package is left out. "
                 "Install it with 'pip install nanobind' to get it.")
  return()
endif()

find_package(nanobind CONFIG REQUIRED PATHS ${nanobind_dir} NO_DEFAULT_PATH)
nanobind_add_module(_core NB_STATIC NOMINSIZE
  python/module.cpp python/bind_config.cpp python/bind_controller.cpp python/bind_plant.cpp)
target_link_libraries(_core PRIVATE labvla_control_core)
target_compile_options(_core PRIVATE -Wall -Wextra -Werror)

set(python_package ${PROJECT_SOURCE_DIR}/labvla_control)
if(ament_cmake_FOUND)
  ament_python_install_package(labvla_control PACKAGE_DIR ${python_package})
  set(python_destination ${PYTHON_INSTALL_DIR}/labvla_control)
else()
  set(python_destination ${CMAKE_INSTALL_LIBDIR}/python/labvla_control)
  install(DIRECTORY ${python_package}/ DESTINATION ${python_destination} FILES_MATCHING PATTERN "*.py*")
endif()
install(TARGETS _core LIBRARY DESTINATION ${python_destination})
