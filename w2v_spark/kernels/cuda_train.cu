// The kernel that trains: each block takes one tile after another until none is left.

#define GATHERED 4      // loads that a thread has under way at a time
#define LEAST_BLOCKS 4  // for which a multiprocessor has registers; without a number, ptxas spills on sm_86

extern __shared__ float4 dynamic_shared[];  // a slab of the tile's vectors, then what the scores' gradients change

// Copies a slab's columns of the tile's rows; rows without a word become zero.
__device__ __forceinline__ void gather(const Training& t, Operand* vectors, u32 column, int slab) {
  u32 quads = slab / 4, pitch = slab + PAD, inverse = 0xffffffffu / quads + 1;
  for (u32 first = threadIdx.x; first < TILE_WORDS * quads; first += GATHERED * THREADS) {
    float4 loaded[GATHERED];
    u32 rows[GATHERED];
#pragma unroll
    for (u32 i = 0; i < GATHERED; i++) {
      // items past the end load what is not stored, so that no load waits for another
      u32 item = min(first + i * THREADS, TILE_WORDS * quads - 1);
      rows[i] = __umulhi(item, inverse);  // item / quads
      int word = max(tile.words[rows[i]], 0);
      const float* matrix = rows[i] < ROWS ? t.syn0 : t.syn1;
      loaded[i] = __ldcg((const float4*)(matrix + (size_t)word * t.width + column + (item - rows[i] * quads) * 4));
    }
#pragma unroll
    for (u32 i = 0; i < GATHERED; i++) {
      u32 item = first + i * THREADS;
      if (item >= TILE_WORDS * quads) break;
      bool none = tile.words[rows[i]] == NO_WORD;
      store_4(vectors + rows[i] * pitch + (item - rows[i] * quads) * 4, none ? make_float4(0, 0, 0, 0) : loaded[i]);
    }
  }
}

extern "C" __global__ void __launch_bounds__(THREADS, LEAST_BLOCKS) train_tiles(
    float* syn0, float* syn1, const int* words, const u32* where, const float* crowd0, const float* crowd1,
    const u64* slots, Totals* totals, u64 noise_key, u32 vocabulary, u32 width, u32 slab,
    int window, float negative, float step_from, float step_to) {
  const Training t = {syn0, syn1, words, where, crowd0, crowd1, slots,
                      totals->kept, totals->tiles, totals->stride, noise_key, vocabulary, width, slab,
                      window, negative, step_from, step_to};
  Operand* vectors = (Operand*)dynamic_shared;
  Operand* changes = vectors + TILE_WORDS * (slab + PAD);
  u32 last = (width - 1) / slab * slab;  // where the last slab starts
  u64 pairs = 0;
  for (;;) {
    // some threads may still add changes of the tile before, for which they need nothing that this writes
    if (threadIdx.x == 0) take_turn(tile, t, totals);
    __syncthreads();
    if (tile.turn >= t.tiles) break;
    lay_tile(t);
    __syncthreads();
    count_pairs(t);
    __syncthreads();
    if (tile.found == 0) continue;
    pairs += tile.found;
#if EXCLUDE_WINDOW
    drop_seen();
    __syncthreads();
#endif

    Scores scores = {};
    for (u32 column = 0; column < width; column += slab) {
      if (column > 0) __syncthreads();
      gather(t, vectors, column, min(slab, width - column));
      __syncthreads();
      add_scores(scores, vectors, min(slab, width - column));
    }
    float loss = write_changes(t, scores, changes);
    if (loss != 0.0f) atomicAdd(&totals->loss, (double)loss);
    if (threadIdx.x == 0 && tile.turn % MEASURED == 0) atomicAdd(&totals->loss_pairs, (u64)tile.found);
    __syncthreads();

    // from the last slab, which still lies in shared memory, to the first
    for (u32 column = last;; column -= slab) {
      int columns = min(slab, width - column);
      if (column != last) {
        __syncthreads();
        gather(t, vectors, column, columns);
        __syncthreads();
      }
      change_contexts(t, vectors, changes, column, columns);
      change_outputs(t, vectors, changes, column, columns);
      if (column == 0) break;
    }
  }
  if (threadIdx.x == 0) atomicAdd(&totals->pairs, pairs);
}
