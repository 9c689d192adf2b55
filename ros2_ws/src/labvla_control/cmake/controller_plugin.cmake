# The ros2_control controller around the core, where ros2_control is installed.

set(plugin_needs controller_interface hardware_interface pluginlib rclcpp_lifecycle std_srvs
    generate_parameter_library urdfdom labvla_msgs)
set(plugin_missing "")
if(ament_cmake_FOUND)
  foreach(package IN LISTS plugin_needs)
    find_package(${package} QUIET)
    if(NOT ${package}_FOUND)
      list(APPEND plugin_missing ${package})
    endif()
  endforeach()
else()
  set(plugin_missing ament_cmake)
endif()
if(plugin_missing)
  list(JOIN plugin_missing ", " plugin_missing)
  message(STATUS "labvla_control: the ros2_control controller is left out, not found: ${plugin_missing}. "
                 "The core and the Python module do not need it.")
  return()
endif()

generate_parameter_library(compliant_trajectory_controller_parameters
  src/compliant_trajectory_controller_parameters.yaml)
# Generated code is not held to this package's warnings.
set_target_properties(compliant_trajectory_controller_parameters PROPERTIES
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_BINARY_DIR}/include)

add_library(labvla_control_plugin SHARED
  src/compliant_trajectory_controller.cpp src/config_from_parameters.cpp src/events.cpp
  src/messenger.cpp src/ports.cpp src/serial_chain.cpp)
set(plugin_links
  labvla_control_core labvla_control_strict compliant_trajectory_controller_parameters
  controller_interface::controller_interface hardware_interface::hardware_interface
  pluginlib::pluginlib rclcpp_lifecycle::rclcpp_lifecycle urdfdom::urdfdom_model
  ${labvla_msgs_TARGETS} ${std_srvs_TARGETS})
target_link_libraries(labvla_control_plugin PRIVATE ${plugin_links})
pluginlib_export_plugin_description_file(controller_interface labvla_control_plugins.xml)
install(TARGETS labvla_control_plugin LIBRARY DESTINATION lib)

# The tests under a running controller manager are in Python (test/plugin/test_*.py).
if(BUILD_TESTING)
  foreach(test messages update_waits_for_nobody two_robots)
    add_executable(test_${test} test/plugin/test_${test}.cpp)
    target_link_libraries(test_${test} PRIVATE labvla_control_plugin ${plugin_links} ${CMAKE_DL_LIBS})
    add_test(NAME labvla_control_${test}
      COMMAND test_${test} ${CMAKE_CURRENT_SOURCE_DIR}/test/plugin/params/ur5e_position.yaml)
  endforeach()
endif()
