// The tile's matrix products in floats: for cards without bf16 tensor cores, and to check those of cuda_tensor.cu.

typedef float Operand;
#define PAD 4  // between rows in shared memory: 16-byte loads from 8 neighbouring rows then meet different banks

#define ROW_LANES 8
#define COLUMN_LANES (THREADS / ROW_LANES)
#define OWN_ROWS (ROWS / ROW_LANES)
#define OWN_COLUMNS (COLUMNS / COLUMN_LANES)

#define CHANGES_PITCH (COLUMNS + PAD)

// A thread has every ROW_LANES-th row and every COLUMN_LANES-th column.
struct Scores {
  float of[OWN_ROWS][OWN_COLUMNS];
};

__device__ __forceinline__ int own_row(int r) { return threadIdx.x % ROW_LANES + r * ROW_LANES; }
__device__ __forceinline__ int own_column(int c) { return threadIdx.x / ROW_LANES + c * COLUMN_LANES; }

__device__ __forceinline__ void store_4(Operand* to, float4 x) { *(float4*)to = x; }

// Adds a slab's part of the dot products of contexts and columns.
__device__ __forceinline__ void add_scores(Scores& scores, const Operand* vectors, int slab) {
  int pitch = slab + PAD;
  const Operand* outputs = vectors + ROWS * pitch;
  for (int k = 0; k < slab; k += 4) {
    float4 x[OWN_ROWS];
#pragma unroll
    for (int r = 0; r < OWN_ROWS; r++) x[r] = *(const float4*)(vectors + own_row(r) * pitch + k);
#pragma unroll
    for (int c = 0; c < OWN_COLUMNS; c++) {
      float4 u = *(const float4*)(outputs + own_column(c) * pitch + k);
#pragma unroll
      for (int r = 0; r < OWN_ROWS; r++)
        scores.of[r][c] += x[r].x * u.x + x[r].y * u.y + x[r].z * u.z + x[r].w * u.w;
    }
  }
}

// Writes what the scores' gradients change; returns the loss of the scores.
__device__ __forceinline__ float write_changes(const Training& t, const Scores& scores, Operand* changes) {
  float loss = 0.0f;
#pragma unroll
  for (int r = 0; r < OWN_ROWS; r++)
#pragma unroll
    for (int c = 0; c < OWN_COLUMNS; c++)
      changes[own_row(r) * CHANGES_PITCH + own_column(c)] =
          change_by_score(t, own_row(r), own_column(c), scores.of[r][c], loss);
  return loss;
}

// Adds the change of four columns of a row of `tile` to its word's vector.
__device__ __forceinline__ void add_sums(float4 sums, float* matrix, u32 width, int row, u32 column) {
  int word = tile.words[row];
  if (word == NO_WORD) return;
  float scale = tile.scales[row];
  add_4(matrix + (size_t)word * width + column, sums.x * scale, sums.y * scale, sums.z * scale, sums.w * scale);
}

// Adds a slab's changes to syn0: changes x outputs.
__device__ __forceinline__ void change_contexts(
    const Training& t, const Operand* vectors, const Operand* changes, u32 column, int slab) {
  int pitch = slab + PAD;
  const Operand* outputs = vectors + ROWS * pitch;
  for (int at = threadIdx.x / ROW_LANES * 4; at < slab; at += COLUMN_LANES * 4) {
    float4 sums[OWN_ROWS] = {};
    for (int k = 0; k < COLUMNS; k++) {
      float4 u = *(const float4*)(outputs + k * pitch + at);
#pragma unroll
      for (int r = 0; r < OWN_ROWS; r++) add_product(sums[r], changes[own_row(r) * CHANGES_PITCH + k], u);
    }
#pragma unroll
    for (int r = 0; r < OWN_ROWS; r++) add_sums(sums[r], t.syn0, t.width, own_row(r), column + at);
  }
}

// Adds a slab's changes to syn1: the transpose of changes x contexts.
__device__ __forceinline__ void change_outputs(
    const Training& t, const Operand* vectors, const Operand* changes, u32 column, int slab) {
  int pitch = slab + PAD, quads = slab / 4;
  for (int item = threadIdx.x; item < COLUMNS / 4 * quads; item += THREADS) {
    int first = item / quads * 4, at = item % quads * 4;
    float4 sums[4] = {};
    for (int k = 0; k < ROWS; k++) {
      float4 x = *(const float4*)(vectors + k * pitch + at);
      float4 change = *(const float4*)(changes + k * CHANGES_PITCH + first);
      add_product(sums[0], change.x, x);
      add_product(sums[1], change.y, x);
      add_product(sums[2], change.z, x);
      add_product(sums[3], change.w, x);
    }
#pragma unroll
    for (int c = 0; c < 4; c++) add_sums(sums[c], t.syn1, t.width, ROWS + first + c, column + at);
  }
}
