// What a card's memory does at most for rows of vectors: rows read, and rows added to, by ids in an array.

extern "C" __global__ void read_rows(const float4* table, const int* ids, int rows, int quads, float* sink) {
  float sum = 0;
  int lane = threadIdx.x % 32, warps = gridDim.x * blockDim.x / 32;
  for (int r = (blockIdx.x * blockDim.x + threadIdx.x) / 32; r < rows; r += warps) {
    const float4* row = table + (size_t)ids[r] * quads;
    for (int q = lane; q < quads; q += 32) {
      float4 x = __ldcg(row + q);
      sum += x.x + x.y + x.z + x.w;
    }
  }
  if (sum == 1.2345f) *sink = sum;  // never: keeps the loads
}

// Adds to `width` floats at a time: 1, 2 or 4; the latter two as one instruction need compute capability 9.0.
extern "C" __global__ void add_rows(float* table, const int* ids, int rows, int quads) {
  int lane = threadIdx.x % 32, warps = gridDim.x * blockDim.x / 32, floats = quads * 4;
  for (int r = (blockIdx.x * blockDim.x + threadIdx.x) / 32; r < rows; r += warps) {
    float* row = table + (size_t)ids[r] * floats;
#if WIDTH == 1
    for (int c = lane; c < floats; c += 32) atomicAdd(row + c, 1e-9f);
#elif WIDTH == 2
    for (int c = lane * 2; c < floats; c += 64)
      asm volatile("red.relaxed.gpu.global.add.v2.f32 [%0], {%1, %1};" ::"l"(row + c), "f"(1e-9f) : "memory");
#else
    for (int c = lane * 4; c < floats; c += 128)
      asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %1, %1, %1};" ::"l"(row + c), "f"(1e-9f) : "memory");
#endif
  }
}
