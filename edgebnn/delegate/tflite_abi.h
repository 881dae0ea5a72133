// The part of TFLite's plain C ABI that an external delegate touches, declared by us because no runtime ships the header.
// Layouts were run with tflite-runtime 2.14, TensorFlow 2.16 and 2.19, and ai-edge-litert 1.4 and 2.3.
// Structs that we own and the host reads are zeroed and padded; structs of the host are read only in the fields named here.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1, kTfLiteDelegateError = 2 };

enum TfLiteType : int {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteBool = 6,
  kTfLiteInt8 = 9,
  kTfLiteLastKnownType = 31,  // no runtime has more; a larger value means that the layout has moved
};

enum TfLiteAllocationType : int {
  kTfLiteMemNone = 0,
  kTfLiteMmapRo = 1,  // constant of the model
  kTfLiteArenaRw = 2,
  kTfLiteArenaRwPersistent = 3,
  kTfLiteDynamic = 4,
  kTfLitePersistentRo = 5,
  kTfLiteLastKnownAllocation = 15,
};

enum { kTfLiteOptionalTensor = -1, kTfLiteDelegateFlagsAllowDynamicTensors = 1 };

enum TfLiteBuiltin : int {  // the schema's BuiltinOperator
  kTfLiteBuiltinAdd = 0,
  kTfLiteBuiltinAveragePool2d = 1,
  kTfLiteBuiltinConcatenation = 2,
  kTfLiteBuiltinMaxPool2d = 17,
  kTfLiteBuiltinMul = 18,
  kTfLiteBuiltinRelu = 19,
  kTfLiteBuiltinReluN1To1 = 20,
  kTfLiteBuiltinRelu6 = 21,
  kTfLiteBuiltinResizeBilinear = 23,
  kTfLiteBuiltinCustom = 32,
  kTfLiteBuiltinPad = 34,
  kTfLiteBuiltinSub = 41,
  kTfLiteBuiltinDiv = 42,
  kTfLiteBuiltinPrelu = 54,
  kTfLiteBuiltinResizeNearestNeighbor = 97,
  kTfLiteBuiltinLeakyRelu = 98,
};

struct TfLiteIntArray {
  int size;
  int data[];
};

struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};

struct TfLiteTensor {
  TfLiteType type;
  void* data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  TfLiteAllocationType allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  struct TfLiteDelegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  struct {
    int type;
    void* params;
  } quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
};

// What builtin_data points to: the fields that we read, which lead each struct.

struct TfLiteActivationParams {  // of ADD, SUB, MUL, DIV
  int activation;
};

struct TfLitePoolParams {
  int padding;  // 1 SAME, 2 VALID
  int stride_width, stride_height;
  int filter_width, filter_height;
  int activation;
};

struct TfLiteConcatenationParams {
  int axis;
  int activation;
};

struct TfLiteLeakyReluParams {
  float alpha;
};

struct TfLiteResizeParams {  // of both resizes; bools of the host
  uint8_t align_corners, half_pixel_centers;
};

struct TfLiteDelegateParams {
  struct TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

// Passed by value to the host, so declared at its largest known size.
struct TfLiteRegistration {
  void* (*init)(struct TfLiteContext*, const char* buffer, size_t length);
  void (*free)(struct TfLiteContext*, void* user_data);
  TfLiteStatus (*prepare)(struct TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(struct TfLiteContext*, TfLiteNode*);
  const char* (*profiling_string)(const struct TfLiteContext*, const TfLiteNode*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
};

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext*, TfLiteIntArray** plan);
  TfLiteTensor* tensors;
  void* impl_;
  TfLiteStatus (*ResizeTensor)(TfLiteContext*, TfLiteTensor*, TfLiteIntArray* new_size);  // takes new_size over
  void (*ReportError)(TfLiteContext*, const char* format, ...);
  TfLiteStatus (*AddTensors)(TfLiteContext*, int count, int* first_index);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext*, int index, TfLiteNode**, TfLiteRegistration**);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext*, TfLiteRegistration, const TfLiteIntArray* nodes,
                                                        struct TfLiteDelegate*);
};

struct TfLiteDelegate {
  void* data_;
  TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteDelegate*);
  void* copy_from_buffer_handle;
  void* copy_to_buffer_handle;
  void* free_buffer_handle;
  int64_t flags;
  void* opaque_delegate_builder;
  uint64_t reserved[8];  // stays zero: a newer host may read fields appended here
};

}  // extern "C"

static_assert(offsetof(TfLitePoolParams, stride_width) == 4 && offsetof(TfLitePoolParams, stride_height) == 8 &&
                  offsetof(TfLitePoolParams, filter_width) == 12 && offsetof(TfLitePoolParams, filter_height) == 16 &&
                  offsetof(TfLitePoolParams, activation) == 20,
              "TfLitePoolParams is not laid out as the runtimes expect");
static_assert(offsetof(TfLiteConcatenationParams, activation) == 4 && sizeof(bool) == 1 &&
                  offsetof(TfLiteResizeParams, half_pixel_centers) == 1,
              "parameters of builtin ops are not laid out as the runtimes expect");
#if UINTPTR_MAX == UINT64_MAX
static_assert(offsetof(TfLiteNode, builtin_data) == 40 && offsetof(TfLiteTensor, dims_signature) == 104,
              "TfLiteNode or TfLiteTensor is not laid out as the runtimes expect");
static_assert(sizeof(TfLiteTensor) == 112 && offsetof(TfLiteTensor, data) == 8 && offsetof(TfLiteTensor, dims) == 16 &&
                  offsetof(TfLiteTensor, params) == 24 && offsetof(TfLiteTensor, allocation_type) == 32 &&
                  offsetof(TfLiteTensor, bytes) == 40 && offsetof(TfLiteTensor, quantization) == 80,
              "TfLiteTensor is not laid out as the runtimes expect");
static_assert(offsetof(TfLiteNode, custom_initial_data) == 48 && offsetof(TfLiteNode, custom_initial_data_size) == 56,
              "TfLiteNode is not laid out as the runtimes expect");
static_assert(sizeof(TfLiteRegistration) == 88 && offsetof(TfLiteRegistration, builtin_code) == 40 &&
                  offsetof(TfLiteRegistration, custom_name) == 48 && offsetof(TfLiteRegistration, version) == 56,
              "TfLiteRegistration is not laid out as the runtimes expect");
static_assert(offsetof(TfLiteContext, tensors) == 16 && offsetof(TfLiteContext, ResizeTensor) == 32 &&
                  offsetof(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels) == 64,
              "TfLiteContext is not laid out as the runtimes expect");
static_assert(offsetof(TfLiteDelegate, flags) == 40 && offsetof(TfLiteDelegate, opaque_delegate_builder) == 48,
              "TfLiteDelegate is not laid out as the runtimes expect");
#endif
