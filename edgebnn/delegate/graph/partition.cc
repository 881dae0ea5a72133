#include "graph/partition.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace edgebnn {
namespace {

// What it costs to wake the pool's workers, once a partition. One that takes less with their help is better off alone.
constexpr auto kWake = std::chrono::microseconds(30);

size_t ElementBytes(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
    case kTfLiteInt32:
      return 4;
    case kTfLiteInt8:
    case kTfLiteBool:
      return 1;
    default:
      throw Refusal("a tensor has type " + std::to_string(static_cast<int>(type)) +
                    ", expected float32, int32, int8 or bool");
  }
}

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
                     std::shared_ptr<ThreadPool> pool)
    : pool_(std::move(pool)) {
  const TfLiteIntArray& outputs = *params.output_tensors;
  for (int i = 0; i < params.nodes_to_replace->size; ++i) {
    const int index = params.nodes_to_replace->data[i];
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    Require(context->GetNodeAndRegistration(context, index, &node, &registration) == kTfLiteOk, "node ", index,
            " cannot be read");
    Step step;
    step.title = std::string(registration->custom_name) + " (node " + std::to_string(index) + ")";
    Titled(step.title, [&] {
      step.op = MakeOp(registration->custom_name, node->custom_initial_data,
                       static_cast<size_t>(std::max(node->custom_initial_data_size, 0)), choice);
      Require(node->outputs->size == 1, "it has ", node->outputs->size, " outputs, expected 1");
      step.inputs.assign(node->inputs->data, node->inputs->data + node->inputs->size);
      step.output = node->outputs->data[0];
      const auto known = [&](int tensor) { return tensor >= 0 && static_cast<size_t>(tensor) < context->tensors_size; };
      Require(!step.inputs.empty() && known(step.inputs[0]) && known(step.output), "its input or output is missing");
      for (const int tensor : step.inputs) {
        Require(tensor == kTfLiteOptionalTensor || known(tensor), "its input is tensor ", tensor, ", which is not there");
      }
      // Each tensor has one writer, before its readers: a second one would resize what others were prepared for.
      const auto reads = [&](const Step& other) {
        return std::find(other.inputs.begin(), other.inputs.end(), step.output) != other.inputs.end();
      };
      const bool taken = reads(step) || std::any_of(steps_.begin(), steps_.end(), [&](const Step& earlier) {
                           return earlier.output == step.output || reads(earlier);
                         });
      Require(!taken, "its output is tensor ", step.output, ", which it or an earlier node reads or writes");
    });
    if (std::find(outputs.data, outputs.data + outputs.size, step.output) == outputs.data + outputs.size) {
      inside_.push_back({step.output, 0});
    }
    step.input_place = Place(step.inputs[0]);
    step.output_place = Place(step.output);
    steps_.push_back(std::move(step));
  }
}

int Partition::Place(int tensor) const {
  const auto found = std::find_if(inside_.begin(), inside_.end(), [&](const Inside& i) { return i.tensor == tensor; });
  return found == inside_.end() ? kHost : static_cast<int>(found - inside_.begin());
}

uint8_t* Partition::Data(const TfLiteContext* context, int tensor, int place) const {
  if (place == kHost) return static_cast<uint8_t*>(context->tensors[tensor].data);
  return memory_.get() + inside_[place].offset;
}

TensorInfo Partition::Info(const TfLiteContext* context, int tensor) {
  const TfLiteTensor& host = context->tensors[tensor];
  Require(host.type >= 0 && host.type <= kTfLiteLastKnownType && host.allocation_type >= 0 &&
              host.allocation_type <= kTfLiteLastKnownAllocation && host.dims != nullptr,
          "tensor ", tensor, " makes no sense: this runtime lays out its tensors in a way that edgebnn does not know");
  TensorInfo info = {host.type, Dims(host.dims->data, host.dims->data + host.dims->size), host.params.scale,
                     host.params.zero_point, nullptr};
  if (host.allocation_type == kTfLiteMmapRo) {
    Require(host.bytes == Elements(info.dims) * ElementBytes(info.type), "its constant tensor ", tensor, " has ",
            host.bytes, " bytes, not what its shape says");
    Require(reinterpret_cast<uintptr_t>(host.data) % ElementBytes(info.type) == 0, "its constant tensor ", tensor,
            " does not lie at a multiple of ", ElementBytes(info.type), " bytes");
    info.constant = host.data;
  }
  return info;
}

void Partition::Prepare(TfLiteContext* context) {
  worth_waking_ = pool_->threads() > 1;
  for (Step& step : steps_) {
    Titled(step.title, [&] { PrepareStep(context, step); });
  }
  Titled(steps_.front().title + " and " + std::to_string(steps_.size() - 1) + " nodes behind it",
         [&] { PlanMemory(context); });
}

void Partition::PrepareStep(TfLiteContext* context, Step& step) {
  std::vector<TensorInfo> infos;
  infos.reserve(step.inputs.size());
  std::vector<const TensorInfo*> inputs;
  for (const int tensor : step.inputs) {
    infos.push_back(tensor == kTfLiteOptionalTensor ? TensorInfo{} : Info(context, tensor));
    inputs.push_back(tensor == kTfLiteOptionalTensor ? nullptr : &infos.back());
  }
  const Dims dims = step.op->Prepare(inputs, Info(context, step.output));
  step.input_bytes = Elements(infos[0].dims) * ElementBytes(infos[0].type);
  step.output_bytes = Elements(dims) * ElementBytes(context->tensors[step.output].type);
  TfLiteTensor* output = &context->tensors[step.output];
  Require(output->allocation_type != kTfLiteMmapRo, "its output is a constant");
  Require(context->ResizeTensor(context, output, NewIntArray(dims)) == kTfLiteOk, "its output could not be resized");
}

void Partition::PlanMemory(const TfLiteContext* context) {
  std::vector<Lifetime> lives(inside_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const int step = static_cast<int>(i);
    if (steps_[i].input_place != kHost) lives[steps_[i].input_place].last = step;
    if (steps_[i].output_place == kHost) continue;
    const TensorInfo info = Info(context, steps_[i].output);
    lives[steps_[i].output_place] = {RoundUp(Elements(info.dims) * ElementBytes(info.type), kAlignment), step, step};
  }
  const std::vector<size_t> offsets = PlanArena(lives, &scratch_offset_);
  for (size_t i = 0; i < inside_.size(); ++i) inside_[i].offset = offsets[i];
  size_t scratch = 0;
  for (const Step& step : steps_) scratch = std::max(scratch, step.op->ScratchBytes(pool_->threads()));
  const size_t bytes = scratch_offset_ + scratch;
  if (bytes > memory_bytes_ || memory_ == nullptr) {
    memory_ = AllocateBuffer(bytes);
    memory_bytes_ = bytes;
  }
}

void Partition::Invoke(TfLiteContext* context) const {
  const auto has = [&](int place, int tensor, size_t bytes) {
    return place != kHost || context->tensors[tensor].bytes == bytes;
  };
  static ThreadPool alone(1);
  ThreadPool& pool = worth_waking_ ? *pool_ : alone;
  const ThreadPool::Burst burst(pool);
  const auto begin = std::chrono::steady_clock::now();
  for (const Step& step : steps_) {
    Require(has(step.input_place, step.inputs[0], step.input_bytes) &&
                has(step.output_place, step.output, step.output_bytes),
            step.title, ": a tensor has changed its size since it was prepared");
    const uint8_t* input = Data(context, step.inputs[0], step.input_place);
    uint8_t* output = Data(context, step.output, step.output_place);
    Require(input != nullptr && output != nullptr, step.title, ": a tensor has no memory");
    step.op->Run(input, output, memory_.get() + scratch_offset_, pool);
  }
  if (worth_waking_ && std::chrono::steady_clock::now() - begin < kWake) worth_waking_ = false;
}

}  // namespace edgebnn
