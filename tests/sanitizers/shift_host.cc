// Hosts that lay out a struct in another way than the runtimes that we know: the delegate refuses them before it calls
// what is no function or follows what is no pointer.

#include <cstdio>

#include "host.h"
#include "tflite_abi.h"

using namespace edgebnn;

namespace {

int passed = 0, failed = 0;

void Check(bool fine, const char* name, size_t at, const std::string& message) {
  fine ? ++passed : ++failed;
  if (!fine) std::printf("FAILED %s at %zu: %s\n", name, at, message.c_str());
}

// LceQuantize of 40 channels, twice.
HostGraph Graph() {
  HostTensor floats, words;
  floats.dims = {1, 3, 5, 40};
  words.type = kTfLiteInt32;
  words.dims = {1, 3, 5, 2};
  HostGraph graph;
  graph.tensors = {floats, words, words};
  graph.nodes.resize(2);
  for (int i = 0; i < 2; ++i) {
    graph.nodes[i].name = "LceQuantize";
    graph.nodes[i].inputs = {0};
    graph.nodes[i].outputs = {i + 1};
  }
  graph.inputs = {0};
  graph.outputs = {1, 2};
  return graph;
}

// A pointer put in anywhere before `end` is found out, and the message names the host.
void CheckStruct(Shift::Struct of, const char* name, size_t end) {
  const HostGraph graph = Graph();
  for (size_t at = 0; at < end; at += sizeof(void*)) {
    const Outcome outcome = RunHost(graph, "auto", "1", {of, at});
    const auto says = [&](const std::string& text) { return outcome.message.find(text) != std::string::npos; };
    const bool said = of == Shift::context  // then it goes to stderr
                          ? outcome.message.empty()
                          : says("shift_host, lays out its structs in a way that edgebnn does not know: ") && says(name);
    Check(outcome.kind == Outcome::refused && said, name, at, outcome.message);
  }
}

}  // namespace

int main() {
  const Outcome unshifted = RunHost(Graph(), "auto", "1");
  Check(unshifted.kind == Outcome::ran, "no shift", 0, unshifted.message);
  CheckStruct(Shift::context, "TfLiteContext", sizeof(TfLiteContext));
  CheckStruct(Shift::tensor, "TfLiteTensor", sizeof(TfLiteTensor));
  CheckStruct(Shift::node, "TfLiteNode", offsetof(TfLiteNode, intermediates));
  CheckStruct(Shift::registration, "TfLiteRegistration", offsetof(TfLiteRegistration, custom_name));
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
