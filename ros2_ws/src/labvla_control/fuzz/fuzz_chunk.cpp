// libFuzzer entry: clang only, -DLABVLA_FUZZ=ON.
#include "chunk_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  labvla::fuzz::run(data, size);
  return 0;
}
