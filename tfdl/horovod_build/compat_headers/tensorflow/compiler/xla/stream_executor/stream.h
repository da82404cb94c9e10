// Horovod's mpi_ops.cc (GPU builds only) knows this header by its place before TensorFlow 2.17, and declares
// AsGpuStreamValue, which TensorFlow's libraries no longer define: a stream hands out its CUDA handle itself.
#pragma once

#include <cuda_runtime.h>

#include "xla/stream_executor/stream.h"

namespace stream_executor {
namespace gpu {

inline cudaStream_t AsGpuStreamValue(Stream* stream) {
  return static_cast<cudaStream_t>(stream->platform_specific_handle().stream);
}

}  // namespace gpu
}  // namespace stream_executor
