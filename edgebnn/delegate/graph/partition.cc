#include "graph/partition.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>

#include "graph/read.h"

namespace edgebnn {
namespace {

// What it costs to wake the pool's workers, once a partition. One that takes less with their help is better off alone.
constexpr auto kWake = std::chrono::microseconds(30);

TfLiteIntArray* NewIntArray(const Dims& dims) {
  auto* array = static_cast<TfLiteIntArray*>(std::malloc(sizeof(int) * (dims.size() + 1)));  // the host frees it
  if (array == nullptr) throw std::bad_alloc();
  array->size = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), array->data);
  return array;
}

// Runs `body`; a Refusal gets the step's title.
template <class Body>
void Titled(const std::string& title, Body body) {
  try {
    body();
  } catch (const Refusal& refusal) {
    throw Refusal(title + ": " + refusal.what());
  } catch (const std::bad_alloc&) {
    throw Refusal(title + ": there is not enough memory for it");
  }
}

}  // namespace

Partition::Partition(TfLiteContext* context, const TfLiteDelegateParams& params, Choice choice,
                     std::shared_ptr<ThreadPool> pool, std::shared_ptr<Workspace> workspace,
                     std::shared_ptr<Profile> profile)
    : pool_(std::move(pool)), profile_(std::move(profile)), workspace_(std::move(workspace)) {
  const TfLiteIntArray& outputs = *params.output_tensors;
  for (int i = 0; i < params.nodes_to_replace->size; ++i) {
    Step step = ReadStep(context, params.nodes_to_replace->data[i], choice);
    const int output = step.output.tensor;
    if (std::find(outputs.data, outputs.data + outputs.size, output) == outputs.data + outputs.size) {
      inside_.push_back({output, 0});
    }
    for (Operand& input : step.inputs) input.place = Place(input.tensor);
    step.output.place = Place(output);
    most_inputs_ = std::max(most_inputs_, step.inputs.size());
    steps_.push_back(std::move(step));
  }
}

Partition::Step Partition::ReadStep(TfLiteContext* context, int index, Choice choice) const {
  const NodeInfo node = ReadNode(context, index);
  Step step;
  step.node = index;
  step.title = Name(node.kind) + " (node " + std::to_string(index) + ")";
  Titled(step.title, [&] {
    step.op = MakeOp(node.kind, choice);
    Require(node.outputs.size() == 1, "it has ", node.outputs.size(), " outputs, expected 1");
    const int output = node.outputs[0];
    const auto known = [&](int tensor) { return tensor >= 0 && static_cast<size_t>(tensor) < context->tensors_size; };
    Require(!node.inputs.empty() && known(node.inputs[0]) && known(output), "its input or output is missing");
    for (const int tensor : node.inputs) {
      Require(tensor == kTfLiteOptionalTensor || known(tensor), "its input is tensor ", tensor, ", which is not there");
      const bool changes = tensor >= 0 && context->tensors[tensor].allocation_type != kTfLiteMmapRo;
      step.inputs.push_back({tensor, kHost, 0, changes});
    }
    step.output = {output, kHost, 0, true};
    // Each tensor has one writer, before its readers: a second one would resize what others were prepared for.
    const auto reads = [&](const Step& other) {
      return std::any_of(other.inputs.begin(), other.inputs.end(),
                         [&](const Operand& input) { return input.tensor == output; });
    };
    const bool taken = reads(step) || std::any_of(steps_.begin(), steps_.end(), [&](const Step& earlier) {
                         return earlier.output.tensor == output || reads(earlier);
                       });
    Require(!taken, "its output is tensor ", output, ", which it or an earlier node reads or writes");
  });
  return step;
}

int Partition::Place(int tensor) const {
  const auto found = std::find_if(inside_.begin(), inside_.end(), [&](const Inside& i) { return i.tensor == tensor; });
  return found == inside_.end() ? kHost : static_cast<int>(found - inside_.begin());
}

uint8_t* Partition::Data(const TfLiteContext* context, const Operand& operand) const {
  if (operand.tensor == kTfLiteOptionalTensor) return nullptr;
  if (operand.place == kHost) return static_cast<uint8_t*>(context->tensors[operand.tensor].data);
  return workspace_->memory() + inside_[operand.place].offset;
}

void Partition::Prepare(TfLiteContext* context) {
  worth_waking_ = pool_->threads() > 1;
  for (Step& step : steps_) {
    Titled(step.title, [&] { PrepareStep(context, step); });
  }
  PlanPasses();
  Titled(steps_.front().title + " and " + std::to_string(steps_.size() - 1) + " nodes behind it", [&] { PlanMemory(); });
}

void Partition::PrepareStep(TfLiteContext* context, Step& step) const {
  std::vector<TensorInfo> infos;
  infos.reserve(step.inputs.size());
  std::vector<const TensorInfo*> inputs;
  for (const Operand& input : step.inputs) {
    const bool absent = input.tensor == kTfLiteOptionalTensor;
    infos.push_back(absent ? TensorInfo{} : ReadTensor(context, input.tensor));
    inputs.push_back(absent ? nullptr : &infos.back());
  }
  const TensorInfo output = ReadTensor(context, step.output.tensor);
  const Dims dims = step.op->Prepare(inputs, output);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (step.inputs[i].changes) step.inputs[i].bytes = Elements(infos[i].dims) * ElementBytes(infos[i].type);
  }
  step.output.bytes = Elements(dims) * ElementBytes(output.type);
  TfLiteTensor* host = &context->tensors[step.output.tensor];
  Require(host->allocation_type != kTfLiteMmapRo, "its output is a constant");
  Require(context->ResizeTensor(context, host, NewIntArray(dims)) == kTfLiteOk, "its output could not be resized");
}

void Partition::PlanPasses() {
  std::vector<FusionStep> steps;
  for (const Step& step : steps_) {
    FusionStep described{step.op->part(), {}, {}, step.output.tensor};
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      described.inputs.push_back(step.inputs[i].changes ? step.inputs[i].tensor : -1);
      described.takes.push_back(step.op->TakesFromPass(static_cast<int>(i)));
    }
    steps.push_back(std::move(described));
  }
  groups_ = Fuse(steps);
  std::vector<int> readers(inside_.size(), 0);
  for (const Step& step : steps_) {
    for (const Operand& input : step.inputs) {
      if (input.place != kHost) ++readers[input.place];
    }
  }
  for (const Group& group : groups_) {
    for (const int index : group.steps) {
      Step& step = steps_[index];
      step.kept = index == group.steps.back() || step.output.place == kHost || readers[step.output.place] > 1;
    }
  }
}

// owners[i]: the tensor inside whose memory the i-th one takes over. A stage writes over an operand that nobody reads
// afterwards: it reads each value before it writes the one in its place.
void Partition::ShareMemory(std::vector<int>* owners) const {
  std::vector<size_t> last(inside_.size(), 0);
  std::vector<int> reads(inside_.size(), 0);  // by the group that reads last
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const int index : groups_[g].steps) {
      for (const Operand& input : steps_[index].inputs) {
        if (input.place == kHost) continue;
        reads[input.place] = last[input.place] == g ? reads[input.place] + 1 : 1;
        last[input.place] = g;
      }
    }
  }
  std::vector<bool> written(inside_.size(), false);
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const int index : groups_[g].steps) {
      const Step& step = steps_[index];
      if (step.kept && step.output.place != kHost) written[step.output.place] = true;
      if (step.op->part() != Part::stage || !step.kept || step.output.place == kHost) continue;
      for (const Operand& input : step.inputs) {
        const bool free = input.place != kHost && written[input.place] && input.bytes == step.output.bytes &&
                          last[input.place] == g && reads[input.place] == 1;
        if (!free) continue;
        (*owners)[step.output.place] = (*owners)[input.place];
        break;
      }
    }
  }
}

void Partition::PlanMemory() {
  std::vector<int> owners(inside_.size());
  std::iota(owners.begin(), owners.end(), 0);
  ShareMemory(&owners);
  std::vector<Lifetime> lives(inside_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    const int group = static_cast<int>(g);
    for (const int index : groups_[g].steps) {
      const Step& step = steps_[index];
      for (const Operand& input : step.inputs) {
        if (input.place != kHost) lives[owners[input.place]].last = group;
      }
      if (!step.kept || step.output.place == kHost) continue;
      Lifetime& life = lives[owners[step.output.place]];
      if (owners[step.output.place] == step.output.place) life = {RoundUp(step.output.bytes, kAlignment), group, group};
      life.last = group;
    }
  }
  const std::vector<size_t> offsets = PlanArena(lives, &scratch_offset_);
  for (size_t i = 0; i < inside_.size(); ++i) inside_[i].offset = offsets[owners[i]];
  size_t scratch = 0;
  for (const Step& step : steps_) scratch = std::max(scratch, step.op->ScratchBytes(pool_->threads()));
  workspace_->Reserve(scratch_offset_ + scratch);
}

void Partition::Invoke(TfLiteContext* context) const {
  for (const Step& step : steps_) {
    const auto check = [&](const Operand& operand) {
      if (!operand.changes || operand.place != kHost) return;
      const TfLiteTensor& host = context->tensors[operand.tensor];
      Require(host.bytes == operand.bytes, step.title, ": a tensor has changed its size since it was prepared");
      Require(host.data != nullptr, step.title, ": a tensor has no memory");
    };
    for (const Operand& input : step.inputs) check(input);
    check(step.output);
  }
  static ThreadPool alone(1);
  ThreadPool& pool = worth_waking_ ? *pool_ : alone;
  const ThreadPool::Burst burst(pool);
  const auto begin = std::chrono::steady_clock::now();
  if (profile_ != nullptr) {
    RunProfiled(context, pool);
  } else {
    for (const Group& group : groups_) RunGroup(context, group, pool);
  }
  if (worth_waking_ && std::chrono::steady_clock::now() - begin < kWake) worth_waking_ = false;
}

void Partition::RunProfiled(const TfLiteContext* context, ThreadPool& pool) const {
  // Of one thread the CPU time: that of others on the machine does not count.
  const clockid_t clock = pool_->threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  const auto now = [&] {
    timespec time{};
    clock_gettime(clock, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  for (const Group& group : groups_) {
    std::vector<int> nodes;
    for (const int step : group.steps) nodes.push_back(steps_[step].node);
    const int64_t begin = now();
    RunGroup(context, group, pool);
    profile_->Add(nodes, now() - begin);
  }
}

void Partition::RunGroup(const TfLiteContext* context, const Group& group, ThreadPool& pool) const {
  std::vector<const void*> inputs(group.steps.size() * most_inputs_);
  const auto operands = [&](size_t member) {
    const Step& step = steps_[group.steps[member]];
    const void** data = inputs.data() + member * most_inputs_;
    for (size_t i = 0; i < step.inputs.size(); ++i) data[i] = Data(context, step.inputs[i]);
    return data;
  };
  const auto output = [&](size_t member) {
    const Step& step = steps_[group.steps[member]];
    return step.kept ? Data(context, step.output) : nullptr;
  };
  uint8_t* const scratch = workspace_->memory() + scratch_offset_;
  const Op& first = *steps_[group.steps[0]].op;
  if (group.steps.size() == 1) {
    first.Run(operands(0), output(0), scratch, pool);
    return;
  }
  Pass pass;
  for (size_t member = first.part() == Part::source ? 1 : 0; member < group.steps.size(); ++member) {
    steps_[group.steps[member]].op->Append(operands(member), group.inputs[member], output(member), &pass);
  }
  if (first.part() == Part::source) {
    first.RunWithPass(operands(0), output(0), pass, scratch, pool);
  } else {
    const auto* map = static_cast<const float*>(operands(0)[group.inputs[0]]);
    pass.RunAll(map, first.Rows(), scratch, pool);
  }
}

}  // namespace edgebnn
