// The instructions that C++ has no word for. On a host, tests/cuda_emulator.h has functions of the same names.

// Adds to two or four neighbouring floats in global memory, which all blocks add to at once.
__device__ __forceinline__ void add_2(float* to, float x, float y) {
#if __CUDA_ARCH__ >= 900
  asm volatile("red.relaxed.gpu.global.add.v2.f32 [%0], {%1, %2};" ::"l"(to), "f"(x), "f"(y) : "memory");
#else
  atomicAdd(to, x);
  atomicAdd(to + 1, y);
#endif
}

__device__ __forceinline__ void add_4(float* to, float x, float y, float z, float w) {
#if __CUDA_ARCH__ >= 900
  asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(x), "f"(y), "f"(z), "f"(w)
               : "memory");
#else
  add_2(to, x, y);
  add_2(to + 2, z, w);
#endif
}

#if TENSOR

// Two floats as bf16, x in the low half.
__device__ __forceinline__ u32 pack_bf16(float x, float y) {
  u32 packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(y), "f"(x));
  return packed;
}

// Loads four 8 x 8 matrices of bf16 from shared memory; lanes 8q to 8q + 7 name the rows of matrix q, 16 aligned bytes
// each. Lane l gets elements (l / 4, l % 4 * 2) and the next of matrix q in loaded[q].
__device__ __forceinline__ void load_matrices(u32* loaded, const void* row) {
  u32 address = (u32)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(loaded[0]), "=r"(loaded[1]), "=r"(loaded[2]), "=r"(loaded[3])
               : "r"(address)
               : "memory");
}

// The same for their transposes: lane l gets elements (l % 4 * 2, l / 4) and the one below.
__device__ __forceinline__ void load_transposed(u32* loaded, const void* row) {
  u32 address = (u32)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(loaded[0]), "=r"(loaded[1]), "=r"(loaded[2]), "=r"(loaded[3])
               : "r"(address)
               : "memory");
}

// sums += a b for a 16 x 16 matrix a and a 16 x 8 matrix b of bf16. With g = lane / 4 and t = lane % 4 * 2 the lane holds
//   a[0] (g, t..t+1)  a[1] (g + 8, t..t+1)  a[2] (g, t+8..t+9)  a[3] (g + 8, t+8..t+9)
//   b0   (t..t+1, g)  b1   (t+8..t+9, g)
//   sums[0..1] (g, t..t+1)  sums[2..3] (g + 8, t..t+1)
__device__ __forceinline__ void multiply_add(float* sums, const u32* a, u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
