// Thrown for a graph or an option that we cannot run; its text reaches the user. Never leaves the library.
#pragma once

#include <stdexcept>
#include <string>

namespace edgebnn {

struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Refusal unless `fine`; `parts` are put together with std::to_string where they are numbers.
inline const std::string& Text(const std::string& text) { return text; }
inline std::string Text(const char* text) { return text; }
template <class Number>
std::string Text(Number number) {
  return std::to_string(number);
}

template <class... Parts>
void Require(bool fine, const Parts&... parts) {
  if (!fine) throw Refusal((std::string() + ... + Text(parts)));
}

}  // namespace edgebnn
