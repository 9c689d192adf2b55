# A MuJoCo model as ros2_control hardware, where ros2_control and the Python package mujoco (which brings the C library) are
# installed.

if(NOT TARGET labvla_control_plugin)
  return()  # said already: ros2_control is missing
endif()
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import mujoco, pathlib; print(pathlib.Path(mujoco.__file__).parent)"
  OUTPUT_VARIABLE mujoco_root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(GLOB mujoco_library ${mujoco_root}/libmujoco.so.*)
if(NOT mujoco_root OR NOT mujoco_library)
  message(STATUS "labvla_control: the MuJoCo hardware is left out, '${Python_EXECUTABLE}' has no package mujoco. "
                 "Real robots do not need it.")
  return()
endif()

add_library(labvla_control_mujoco SHARED src/mujoco_hardware.cpp)
target_include_directories(labvla_control_mujoco SYSTEM PRIVATE ${mujoco_root}/include)
target_link_libraries(labvla_control_mujoco PRIVATE labvla_control_core labvla_control_strict
  hardware_interface::hardware_interface pluginlib::pluginlib rclcpp_lifecycle::rclcpp_lifecycle ${mujoco_library})
set_target_properties(labvla_control_mujoco PROPERTIES BUILD_RPATH ${mujoco_root} INSTALL_RPATH ${mujoco_root})
pluginlib_export_plugin_description_file(hardware_interface labvla_control_hardware.xml)
install(TARGETS labvla_control_mujoco LIBRARY DESTINATION lib)
