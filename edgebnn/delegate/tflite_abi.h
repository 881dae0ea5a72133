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

// Where the runtimes expect every field that we or they read, on 64-bit machines and on 32-bit ARM.
#define EDGEBNN_AT(type, field, at64, at32)                                                         \
  static_assert(sizeof(void*) == 8 ? offsetof(type, field) == (at64) : offsetof(type, field) == (at32), \
                #type "." #field " does not lie where the runtimes expect it")
#define EDGEBNN_SIZE(type, size64, size32)                                  \
  static_assert(sizeof(void*) == 8 ? sizeof(type) == (size64) : sizeof(type) == (size32), \
                #type " is not as large as in the runtimes")

static_assert(sizeof(void*) == 8 || alignof(int64_t) == 8, "expected 64-bit pointers or 32-bit ARM, not i386");
static_assert(sizeof(TfLiteStatus) == 4 && sizeof(TfLiteType) == 4 && sizeof(TfLiteAllocationType) == 4 &&
                  sizeof(bool) == 1,
              "an enum or bool is not as large as in the runtimes");
EDGEBNN_SIZE(TfLiteIntArray, 4, 4);
EDGEBNN_AT(TfLiteIntArray, data, 4, 4);
EDGEBNN_SIZE(TfLiteTensor, 112, 64);
EDGEBNN_AT(TfLiteTensor, type, 0, 0);
EDGEBNN_AT(TfLiteTensor, data, 8, 4);
EDGEBNN_AT(TfLiteTensor, dims, 16, 8);
EDGEBNN_AT(TfLiteTensor, params.scale, 24, 12);
EDGEBNN_AT(TfLiteTensor, params.zero_point, 28, 16);
EDGEBNN_AT(TfLiteTensor, allocation_type, 32, 20);
EDGEBNN_AT(TfLiteTensor, bytes, 40, 24);
EDGEBNN_AT(TfLiteTensor, data_is_stale, 76, 44);
EDGEBNN_AT(TfLiteTensor, is_variable, 77, 45);
EDGEBNN_AT(TfLiteTensor, quantization, 80, 48);
EDGEBNN_AT(TfLiteTensor, dims_signature, 104, 60);
EDGEBNN_AT(TfLiteNode, inputs, 0, 0);
EDGEBNN_AT(TfLiteNode, outputs, 8, 4);
EDGEBNN_AT(TfLiteNode, user_data, 32, 16);
EDGEBNN_AT(TfLiteNode, builtin_data, 40, 20);
EDGEBNN_AT(TfLiteNode, custom_initial_data, 48, 24);
EDGEBNN_AT(TfLiteNode, custom_initial_data_size, 56, 28);
EDGEBNN_AT(TfLiteActivationParams, activation, 0, 0);
EDGEBNN_AT(TfLitePoolParams, padding, 0, 0);
EDGEBNN_AT(TfLitePoolParams, stride_width, 4, 4);
EDGEBNN_AT(TfLitePoolParams, stride_height, 8, 8);
EDGEBNN_AT(TfLitePoolParams, filter_width, 12, 12);
EDGEBNN_AT(TfLitePoolParams, filter_height, 16, 16);
EDGEBNN_AT(TfLitePoolParams, activation, 20, 20);
EDGEBNN_AT(TfLiteConcatenationParams, axis, 0, 0);
EDGEBNN_AT(TfLiteConcatenationParams, activation, 4, 4);
EDGEBNN_AT(TfLiteLeakyReluParams, alpha, 0, 0);
EDGEBNN_AT(TfLiteResizeParams, align_corners, 0, 0);
EDGEBNN_AT(TfLiteResizeParams, half_pixel_centers, 1, 1);
EDGEBNN_AT(TfLiteDelegateParams, delegate, 0, 0);
EDGEBNN_AT(TfLiteDelegateParams, nodes_to_replace, 8, 4);
EDGEBNN_AT(TfLiteDelegateParams, input_tensors, 16, 8);
EDGEBNN_AT(TfLiteDelegateParams, output_tensors, 24, 12);
// 32-bit ARM passes what follows a struct passed by value behind it: there the size is part of the ABI.
EDGEBNN_SIZE(TfLiteRegistration, 88, 48);
EDGEBNN_AT(TfLiteRegistration, init, 0, 0);
EDGEBNN_AT(TfLiteRegistration, free, 8, 4);
EDGEBNN_AT(TfLiteRegistration, prepare, 16, 8);
EDGEBNN_AT(TfLiteRegistration, invoke, 24, 12);
EDGEBNN_AT(TfLiteRegistration, profiling_string, 32, 16);
EDGEBNN_AT(TfLiteRegistration, builtin_code, 40, 20);
EDGEBNN_AT(TfLiteRegistration, custom_name, 48, 24);
EDGEBNN_AT(TfLiteRegistration, version, 56, 28);
EDGEBNN_AT(TfLiteRegistration, registration_external, 64, 32);
EDGEBNN_AT(TfLiteRegistration, async_kernel, 72, 36);
EDGEBNN_AT(TfLiteRegistration, inplace_operator, 80, 40);
EDGEBNN_AT(TfLiteContext, tensors_size, 0, 0);
EDGEBNN_AT(TfLiteContext, GetExecutionPlan, 8, 4);
EDGEBNN_AT(TfLiteContext, tensors, 16, 8);
EDGEBNN_AT(TfLiteContext, ResizeTensor, 32, 16);
EDGEBNN_AT(TfLiteContext, ReportError, 40, 20);
EDGEBNN_AT(TfLiteContext, GetNodeAndRegistration, 56, 28);
EDGEBNN_AT(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels, 64, 32);
EDGEBNN_AT(TfLiteDelegate, data_, 0, 0);
EDGEBNN_AT(TfLiteDelegate, Prepare, 8, 4);
EDGEBNN_AT(TfLiteDelegate, copy_from_buffer_handle, 16, 8);
EDGEBNN_AT(TfLiteDelegate, copy_to_buffer_handle, 24, 12);
EDGEBNN_AT(TfLiteDelegate, free_buffer_handle, 32, 16);
EDGEBNN_AT(TfLiteDelegate, flags, 40, 24);
EDGEBNN_AT(TfLiteDelegate, opaque_delegate_builder, 48, 32);

#undef EDGEBNN_AT
#undef EDGEBNN_SIZE
