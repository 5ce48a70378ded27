// The tile's matrix products on tensor cores, in bf16 with float sums: compute capability 8.0 and later.

typedef unsigned short Operand;  // a bf16 number
#define PAD 8  // between rows in shared memory: the 8 rows of a matrix then lie in different banks

#define ROW_BLOCKS (ROWS / 16)
#define COLUMN_BLOCKS (COLUMNS / 16)
#define WARPS_PER_ROW_BLOCK (WARPS / ROW_BLOCKS)
#define OWN_BLOCKS ((COLUMN_BLOCKS + WARPS_PER_ROW_BLOCK - 1) / WARPS_PER_ROW_BLOCK)

#define CHANGES_PITCH (COLUMNS + PAD)

// A warp has one block of 16 rows, and every WARPS_PER_ROW_BLOCK-th block of 16 columns as two of 8.
struct Scores {
  float of[OWN_BLOCKS][2][4];
};

__device__ __forceinline__ int lane() { return threadIdx.x % WARP; }
__device__ __forceinline__ int own_row_block() { return threadIdx.x / WARP % ROW_BLOCKS; }
__device__ __forceinline__ int own_column_block(int b) {
  return threadIdx.x / WARP / ROW_BLOCKS + b * WARPS_PER_ROW_BLOCK;
}

__device__ __forceinline__ void store_4(Operand* to, float4 x) {
  *(uint2*)to = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
}

// The 16 x 16 block at a row and a column as the first operand of a product, as it lies in memory or transposed.
__device__ __forceinline__ void load_left(u32* a, const Operand* matrix, int pitch, int row, int column) {
  load_matrices(a, matrix + (row + lane() % 16) * pitch + column + lane() / 16 * 8);
}

__device__ __forceinline__ void load_left_transposed(u32* a, const Operand* matrix, int pitch, int row, int column) {
  load_transposed(a, matrix + (column + lane() % 8 + lane() / 16 * 8) * pitch + row + lane() / 8 % 2 * 8);
}

// As the second operand, whose rows are the sums' terms: b[0], b[1] its left 8 columns, b[2], b[3] its right 8.
__device__ __forceinline__ void load_right(u32* b, const Operand* matrix, int pitch, int row, int column) {
  load_transposed(b, matrix + (row + lane() % 16) * pitch + column + lane() / 16 * 8);
}

__device__ __forceinline__ void load_right_transposed(u32* b, const Operand* matrix, int pitch, int row, int column) {
  load_matrices(b, matrix + (column + lane() % 8 + lane() / 16 * 8) * pitch + row + lane() / 8 % 2 * 8);
}

// Adds a slab's part of the dot products of contexts and columns.
__device__ __forceinline__ void add_scores(Scores& scores, const Operand* vectors, int slab) {
  int pitch = slab + PAD;
  const Operand* outputs = vectors + ROWS * pitch;
  for (int k = 0; k < slab; k += 16) {
    u32 a[4];
    load_left(a, vectors, pitch, own_row_block() * 16, k);
#pragma unroll
    for (int b = 0; b < OWN_BLOCKS; b++) {
      if (own_column_block(b) >= COLUMN_BLOCKS) continue;
      u32 right[4];
      load_right_transposed(right, outputs, pitch, k, own_column_block(b) * 16);
      multiply_add(scores.of[b][0], a, right[0], right[1]);
      multiply_add(scores.of[b][1], a, right[2], right[3]);
    }
  }
}

// Writes what the scores' gradients change; returns the loss of the scores.
__device__ __forceinline__ float write_changes(const Training& t, const Scores& scores, Operand* changes) {
  float loss = 0.0f;
#pragma unroll
  for (int b = 0; b < OWN_BLOCKS; b++) {
    if (own_column_block(b) >= COLUMN_BLOCKS) continue;
#pragma unroll
    for (int part = 0; part < 4; part++) {  // left and right 8 columns, upper and lower 8 rows
      const float* pair = scores.of[b][part / 2] + part % 2 * 2;
      int row = own_row_block() * 16 + part % 2 * 8 + lane() / 4;
      int column = own_column_block(b) * 16 + part / 2 * 8 + lane() % 4 * 2;
      float x = change_by_score(t, row, column, pair[0], loss), y = change_by_score(t, row, column + 1, pair[1], loss);
      *(u32*)(changes + row * CHANGES_PITCH + column) = pack_bf16(x, y);
    }
  }
  return loss;
}

// Adds 16 x 16 sums, scaled row by row, to the matrix: rows of `tile` from `first` on, columns from `column` on.
__device__ __forceinline__ void add_sums(const float (&sums)[2][4], float* matrix, u32 width, int first, u32 column) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int row = first + half * 8 + lane() / 4, word = tile.words[row];
    if (word == NO_WORD) continue;
    float scale = tile.scales[row];
    float* to = matrix + (size_t)word * width + column + lane() % 4 * 2;
    add_2(to, sums[0][half * 2] * scale, sums[0][half * 2 + 1] * scale);
    add_2(to + 8, sums[1][half * 2] * scale, sums[1][half * 2 + 1] * scale);
  }
}

// Adds a slab's changes to syn0: changes x outputs.
__device__ __forceinline__ void change_contexts(
    const Training& t, const Operand* vectors, const Operand* changes, u32 column, int slab) {
  int pitch = slab + PAD;
  const Operand* outputs = vectors + ROWS * pitch;
  for (int at = threadIdx.x / WARP * 16; at < slab; at += WARPS * 16) {
    float sums[ROW_BLOCKS][2][4] = {};
    for (int k = 0; k < COLUMNS; k += 16) {
      u32 right[4];
      load_right(right, outputs, pitch, k, at);
#pragma unroll
      for (int r = 0; r < ROW_BLOCKS; r++) {
        u32 a[4];
        load_left(a, changes, CHANGES_PITCH, r * 16, k);
        multiply_add(sums[r][0], a, right[0], right[1]);
        multiply_add(sums[r][1], a, right[2], right[3]);
      }
    }
#pragma unroll
    for (int r = 0; r < ROW_BLOCKS; r++) add_sums(sums[r], t.syn0, t.width, r * 16, column + at);
  }
}

// Adds a slab's changes to syn1: the transpose of changes x contexts.
__device__ __forceinline__ void change_outputs(
    const Training& t, const Operand* vectors, const Operand* changes, u32 column, int slab) {
  int pitch = slab + PAD;
  for (int at = threadIdx.x / WARP * 16; at < slab; at += WARPS * 16) {
    u32 right[ROW_BLOCKS][4];
#pragma unroll
    for (int k = 0; k < ROW_BLOCKS; k++) load_right(right[k], vectors, pitch, k * 16, at);
    for (int c = 0; c < COLUMN_BLOCKS; c++) {
      float sums[2][4] = {};
#pragma unroll
      for (int k = 0; k < ROW_BLOCKS; k++) {
        u32 a[4];
        load_left_transposed(a, changes, CHANGES_PITCH, c * 16, k * 16);
        multiply_add(sums[0], a, right[k][0], right[k][1]);
        multiply_add(sums[1], a, right[k][2], right[k][3]);
      }
      add_sums(sums, t.syn1, t.width, ROWS + c * 16, column + at);
    }
  }
}
