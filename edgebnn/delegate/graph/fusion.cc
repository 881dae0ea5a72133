#include "graph/fusion.h"

#include <algorithm>
#include <unordered_map>

namespace edgebnn {
namespace {

constexpr int kNone = -1;

class Fusion {
 public:
  explicit Fusion(const std::vector<FusionStep>& steps) : steps_(steps), group_of_(steps.size(), kNone) {}

  std::vector<Group> Run() {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const int step = static_cast<int>(i);
      const int input = ChooseInput(step);
      if (input != kNone) {
        Join(step, input);
      } else {
        Begin(step);
      }
      writer_[steps_[i].output] = step;
    }
    std::vector<Group> ordered;
    for (const int group : order_) ordered.push_back(groups_[group]);
    return ordered;
  }

 private:
  // The group that writes a tensor; kNone where it comes from outside.
  int Writer(int tensor) const {
    const auto found = tensor < 0 ? writer_.end() : writer_.find(tensor);
    return found == writer_.end() ? kNone : group_of_[found->second];
  }

  size_t Position(int group) const {
    return static_cast<size_t>(std::find(order_.begin(), order_.end(), group) - order_.begin());
  }

  // The input by which a step continues a group; the one whose group is latest, so that the others are there already.
  int ChooseInput(int index) {
    const FusionStep& step = steps_[index];
    if (step.part != Part::stage && step.part != Part::signs) return kNone;
    int chosen = kNone;
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      const int group = Writer(step.inputs[i]);
      if (group == kNone || !step.takes[i] || !Open(group, step.inputs[i])) continue;
      if (chosen != kNone && Position(group) < Position(Writer(step.inputs[chosen]))) continue;
      chosen = static_cast<int>(i);
    }
    return chosen != kNone && MakeReady(step, chosen) ? chosen : kNone;
  }

  // Whether a group ends in this tensor and can go on.
  bool Open(int group, int tensor) const {
    const auto& members = groups_[group].steps;
    const FusionStep& last = steps_[members.back()];
    const bool goes_on = last.part == Part::source || last.part == Part::stage;
    return goes_on && last.output == tensor && members.size() <= Pass::kMostStages;
  }

  // Whether the step's other inputs are there where the group runs, if need be after the group has moved to the end.
  bool MakeReady(const FusionStep& step, int chosen) {
    const int group = Writer(step.inputs[chosen]);
    const size_t position = Position(group);
    bool late = false;
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      if (static_cast<int>(i) == chosen) continue;
      const int other = Writer(step.inputs[i]);
      if (other == group) return false;
      late = late || (other != kNone && Position(other) > position);
    }
    if (!late) return true;
    for (size_t i = position + 1; i < order_.size(); ++i) {
      for (const int later : groups_[order_[i]].steps) {
        const auto& inputs = steps_[later].inputs;
        if (std::any_of(inputs.begin(), inputs.end(), [&](int tensor) { return Writer(tensor) == group; })) return false;
      }
    }
    order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(position));
    order_.push_back(group);
    return true;
  }

  void Join(int step, int input) {
    const int group = Writer(steps_[step].inputs[input]);
    groups_[group].steps.push_back(step);
    groups_[group].inputs.push_back(input);
    group_of_[step] = group;
  }

  void Begin(int step) {
    const FusionStep& first = steps_[step];
    int input = kNone;
    if (first.part == Part::stage || first.part == Part::signs) {
      input = static_cast<int>(std::find(first.takes.begin(), first.takes.end(), true) - first.takes.begin());
    }
    group_of_[step] = static_cast<int>(groups_.size());
    order_.push_back(group_of_[step]);
    groups_.push_back({{step}, {input}});
  }

  const std::vector<FusionStep>& steps_;
  std::vector<int> group_of_;  // steps
  std::vector<Group> groups_;
  std::vector<int> order_;  // of groups, as they run
  std::unordered_map<int, int> writer_;  // tensor -> step
};

}  // namespace

std::vector<Group> Fuse(const std::vector<FusionStep>& steps) { return Fusion(steps).Run(); }

}  // namespace edgebnn
