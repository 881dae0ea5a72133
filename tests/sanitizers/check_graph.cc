// Properties of what graph/ plans without a host: claims, partitions, passes and memory, on examples and random graphs.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>

#include "graph/arena.h"
#include "graph/claim.h"
#include "graph/fusion.h"

using namespace edgebnn;

namespace {

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
      std::exit(1);                                                           \
    }                                                                         \
  } while (false)

using Random = std::mt19937;
int Below(Random& random, int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); }

constexpr auto B = Claimable::binary, G = Claimable::glue, X = Claimable::other;

std::vector<int> Claims(const std::vector<GraphNode>& nodes) { return Claim(nodes, true); }

void ClaimExamples() {
  // sign, convolution, addition: all; and nothing but binary nodes without `fuse`.
  CHECK((Claims({{B, {0}, {1}}, {B, {1}, {2}}, {G, {2, 0}, {3}}}) == std::vector<int>{0, 1, 2}));
  CHECK((Claim({{B, {0}, {1}}, {B, {1}, {2}}, {G, {2, 0}, {3}}}, false) == std::vector<int>{0, 1}));
  // A float network stays as it is; so does glue behind another op.
  CHECK((Claims({{X, {0}, {1}}, {G, {1}, {2}}}).empty()));
  CHECK((Claims({{B, {0}, {1}}, {X, {1}, {2}}, {G, {2}, {3}}}) == std::vector<int>{0}));
  // Glue that needs what runs after the binary node, and that no binary node follows.
  CHECK((Claims({{B, {0}, {1}}, {X, {1}, {2}}, {G, {1, 2}, {3}}}) == std::vector<int>{0}));
  // ... and one that a binary node follows.
  CHECK((Claims({{B, {0}, {1}}, {X, {1}, {2}}, {G, {1, 2}, {3}}, {B, {3}, {4}}}) == std::vector<int>{0, 2, 3}));
  // Glue that would part two binary nodes, which are one partition without it.
  CHECK((Claims({{X, {0}, {1}}, {G, {1}, {2}}, {X, {2}, {3}}, {B, {2}, {4}}, {B, {3}, {5}}}) == std::vector<int>{3, 4}));
  // The face detector's shortcut: pool and convolution beside the binary path.
  CHECK((Claims({{B, {0}, {1}}, {B, {1}, {2}}, {G, {0}, {3}}, {X, {3}, {4}}, {G, {4, 2}, {5}}, {B, {5}, {6}}}) ==
         std::vector<int>{0, 1, 4, 5}));
  // A cycle, absent inputs, none at all.
  CHECK((Claims({{B, {1}, {0}}, {G, {0}, {1}}}).size() <= 2));
  CHECK((Claims({{B, {-1}, {0}}, {G, {-1, 0}, {1}}}) == std::vector<int>{0, 1}));
  CHECK(Claims({}).empty());
}

std::vector<GraphNode> RandomGraph(Random& random, bool ordered) {
  std::vector<GraphNode> nodes(static_cast<size_t>(Below(random, 40)));
  for (size_t i = 0; i < nodes.size(); ++i) {
    const int limit = ordered ? static_cast<int>(i) + 1 : 45;
    nodes[i].kind = std::vector<Claimable>{B, G, G, X}[Below(random, 4)];
    for (int count = 1 + Below(random, 3); count > 0; --count) {
      // Mostly what was made last, as in networks.
      const int tensor = ordered && Below(random, 3) > 0 ? limit - 1 - Below(random, std::min(limit, 3)) : Below(random, limit);
      nodes[i].inputs.push_back(tensor - (ordered ? 0 : 1));
    }
    nodes[i].outputs = {ordered ? static_cast<int>(i) + 1 : Below(random, 45)};
  }
  return nodes;
}

size_t Count(const std::vector<int>& partitions, const std::vector<bool>& claimed) {
  std::set<int> ours;
  for (size_t i = 0; i < partitions.size(); ++i) {
    if (claimed[i]) ours.insert(partitions[i]);
  }
  return ours.size();
}

void ClaimProperties(Random& random) {
  const bool ordered = Below(random, 4) > 0;
  const std::vector<GraphNode> nodes = RandomGraph(random, ordered);
  std::vector<bool> claimed(nodes.size()), binary(nodes.size());
  for (const int position : Claim(nodes, true)) claimed[position] = true;
  for (size_t i = 0; i < nodes.size(); ++i) {
    binary[i] = nodes[i].kind == B;
    CHECK(!binary[i] || claimed[i]);
    CHECK(nodes[i].kind != X || !claimed[i]);
  }
  const std::vector<int> partitions = MakePartitions(nodes, claimed);
  CHECK(Count(partitions, claimed) <= Count(MakePartitions(nodes, binary), binary));
  if (!ordered) return;
  std::set<int> with_binary;
  for (size_t i = 0; i < nodes.size(); ++i) {
    CHECK(partitions[i] >= 0);
    if (binary[i]) with_binary.insert(partitions[i]);
    for (const int tensor : nodes[i].inputs) {  // nothing is taken from a later partition
      CHECK(tensor == 0 || partitions[tensor - 1] <= partitions[i]);
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) CHECK(!claimed[i] || with_binary.count(partitions[i]) > 0);
}

void FusionExamples() {
  const auto runs = [](const std::vector<Group>& groups) {
    std::string text;
    for (const Group& group : groups) {
      for (const int step : group.steps) text += std::to_string(step);
      text += ' ';
    }
    return text;
  };
  const FusionStep conv{Part::source, {0}, {false}, 1}, pool{Part::none, {9}, {false}, 8};
  const auto add = [](int a, int b, int out) { return FusionStep{Part::stage, {a, b}, {true, true}, out}; };
  const auto sign = [](int in, int out) { return FusionStep{Part::signs, {in}, {true}, out}; };
  CHECK(runs(Fuse({conv, add(1, 9, 2), sign(2, 3)})) == "012 ");
  CHECK(runs(Fuse({add(9, 8, 2), sign(2, 3)})) == "01 ");
  CHECK(runs(Fuse({conv, add(1, 1, 2)})) == "0 1 ");        // the other operand is the value itself
  CHECK(runs(Fuse({conv, sign(1, 2), add(1, 9, 3)})) == "01 2 ");  // signs end a pass
  CHECK(runs(Fuse({conv, pool, add(1, 8, 2)})) == "1 02 ");  // the convolution waits for the pool
  // ... but not where the pool reads the convolution.
  CHECK(runs(Fuse({conv, {Part::none, {1}, {false}, 8}, add(1, 8, 2)})) == "0 1 2 ");
  // Two convolutions meet: the later one goes on.
  CHECK(runs(Fuse({conv, {Part::source, {0}, {false}, 4}, add(1, 4, 2)})) == "0 12 ");
  CHECK(Fuse({}).empty());
}

void FusionProperties(Random& random) {
  std::vector<FusionStep> steps(static_cast<size_t>(Below(random, 40)));
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].part = std::vector<Part>{Part::none, Part::source, Part::stage, Part::stage, Part::signs}[Below(random, 5)];
    for (int count = steps[i].part == Part::signs ? 1 : 1 + Below(random, 2); count > 0; --count) {
      steps[i].inputs.push_back(Below(random, 5) == 0 ? -1 : Below(random, static_cast<int>(i) + 1));
      steps[i].takes.push_back(Below(random, 4) > 0);
    }
    steps[i].takes[0] = true;
    steps[i].output = static_cast<int>(i) + 1;
  }
  std::vector<bool> written(steps.size() + 1, false), done(steps.size(), false);
  written[0] = true;
  for (const Group& group : Fuse(steps)) {
    CHECK(!group.steps.empty() && group.steps.size() == group.inputs.size());
    CHECK(group.steps.size() <= size_t{Pass::kMostStages} + 1);
    for (size_t member = 0; member < group.steps.size(); ++member) {
      const FusionStep& step = steps[group.steps[member]];
      CHECK(!done[group.steps[member]]);
      done[group.steps[member]] = true;
      for (size_t i = 0; i < step.inputs.size(); ++i) {
        const bool passed = member > 0 && static_cast<int>(i) == group.inputs[member];
        if (passed) {
          const FusionStep& before = steps[group.steps[member - 1]];
          CHECK(step.takes[i] && step.inputs[i] == before.output);
          CHECK(before.part == Part::source || before.part == Part::stage);
          CHECK(step.part == Part::stage || step.part == Part::signs);
        } else if (step.inputs[i] >= 0) {
          CHECK(written[step.inputs[i]]);  // by an earlier group
        }
      }
    }
    for (const int step : group.steps) written[steps[step].output] = true;
  }
  CHECK(std::find(done.begin(), done.end(), false) == done.end());
}

void ArenaExamples() {
  size_t total = 0;
  CHECK(PlanArena({}, &total).empty() && total == 0);
  // Lives that touch do not share; those that do not, do.
  CHECK((PlanArena({{64, 0, 1}, {64, 1, 2}, {64, 2, 3}}, &total) == std::vector<size_t>{0, 64, 0}) && total == 128);
  // The largest lies lowest; a small one finds the gap.
  CHECK((PlanArena({{64, 0, 3}, {640, 1, 2}, {128, 3, 4}}, &total) == std::vector<size_t>{640, 0, 0}) && total == 704);
}

void ArenaProperties(Random& random) {
  std::vector<Lifetime> lives(static_cast<size_t>(Below(random, 30)));
  size_t sum = 0;
  for (Lifetime& life : lives) {
    const int first = Below(random, 20);
    life = {kAlignment * static_cast<size_t>(Below(random, 20)), first, first + Below(random, 6)};
    sum += life.bytes;
  }
  size_t total = 0;
  const std::vector<size_t> offsets = PlanArena(lives, &total);
  CHECK(offsets.size() == lives.size() && total <= sum);
  for (size_t i = 0; i < lives.size(); ++i) {
    CHECK(offsets[i] % kAlignment == 0 && offsets[i] + lives[i].bytes <= total);
    for (size_t j = 0; j < i; ++j) {
      const bool together = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
      const bool apart = offsets[i] + lives[i].bytes <= offsets[j] || offsets[j] + lives[j].bytes <= offsets[i];
      CHECK(!together || apart);
    }
  }
}

}  // namespace

int main() {
  ClaimExamples();
  FusionExamples();
  ArenaExamples();
  Random random(1);
  for (int round = 0; round < 3000; ++round) {
    ClaimProperties(random);
    FusionProperties(random);
    ArenaProperties(random);
  }
  std::puts("3 passed");
  return 0;
}
