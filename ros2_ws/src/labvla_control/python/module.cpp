#include <nanobind/nanobind.h>

void bind_config(nanobind::module_& m);
void bind_controller(nanobind::module_& m);
void bind_plant(nanobind::module_& m);

NB_MODULE(_core, m) {
  // Configurations kept by a caller until the interpreter ends are no leak worth a page of text.
  nanobind::set_leak_warnings(false);
  m.doc() = "The labvla_control core: the same code as in the ros2_control controller.";
  bind_config(m);
  bind_controller(m);
  bind_plant(m);
}
