// The fuzz target on deterministic random bytes, for every compiler and in the normal tests.
#include <chrono>

#include "chunk_input.hpp"

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 3000;
  labvla::plant::Noise noise(11);
  std::vector<std::uint8_t> bytes;
  for (int run = 0; run < runs; ++run) {
    bytes.resize(static_cast<std::size_t>(600.0 * noise.uniform()));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(256.0 * noise.uniform());
    labvla::fuzz::run(bytes.data(), bytes.size());
  }
}
