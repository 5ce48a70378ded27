// The kernel that trains centres: each block takes one tile after another until none is left, and in it one centre after
// another.

#define LEAST_BLOCKS 8  // for which a multiprocessor has registers; without a number, ptxas spills

extern __shared__ float4 dynamic_shared[];  // a slab of inputs and of outputs, then what the scores' gradients change

__device__ __forceinline__ float4 load_4(const float* matrix, int row, u32 width, u32 column) {
  return __ldcg((const float4*)(matrix + (size_t)row * width + column));
}

// Four columns of input i: a context's row, or what all contexts' rows make for CBOW.
__device__ __forceinline__ float4 load_input(const Training& t, int i, int contexts, u32 column) {
#if CBOW
  float4 sum = make_float4(0, 0, 0, 0);
  float share = t.mean ? 1.0f / contexts : 1.0f;
  for (int c = 0; c < contexts; c++) add_product(sum, share, load_4(t.syn0, centre.contexts[c], t.width, column));
  return sum;
#else
  return load_4(t.syn0, centre.contexts[i], t.width, column);
#endif
}

// Copies a slab's columns of the inputs and of the outputs.
__device__ __forceinline__ void gather(
    const Training& t, float* vectors, int inputs, int contexts, int decisions, u32 column, int slab) {
  int quads = slab / 4, pitch = slab + PAD;
  for (int item = threadIdx.x; item < (inputs + decisions) * quads; item += THREADS) {
    int row = item / quads, at = item % quads * 4;
    *(float4*)(vectors + row * pitch + at) =
        row < inputs ? load_input(t, row, contexts, column + at)
                     : load_4(t.syn1, centre.outputs[row - inputs], t.width, column + at);
  }
}

// Adds a slab's part of the dot products of inputs and outputs, or sets them to it.
__device__ __forceinline__ void add_scores(
    float* scores, const float* vectors, int inputs, int decisions, int slab, bool set) {
  int group = threadIdx.x / GROUP, own = threadIdx.x % GROUP, pitch = slab + PAD;
  for (int first = 0; first < inputs * decisions; first += THREADS / GROUP) {
    int item = first + group;
    float sum = 0.0f;
    if (item < inputs * decisions) {
      const float* x = vectors + item / decisions * pitch;
      const float* u = vectors + (inputs + item % decisions) * pitch;
      for (int k = own * 4; k < slab; k += GROUP * 4) {
        float4 a = *(const float4*)(x + k), b = *(const float4*)(u + k);
        sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
      }
    }
    for (int other = GROUP / 2; other > 0; other /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, other);
    if (own == 0 && item < inputs * decisions) scores[item] = set ? sum : scores[item] + sum;
  }
}

// Turns scores into what the learning rate makes of the gradients by them; returns their loss if it is measured.
__device__ __forceinline__ float differentiate(float* scores, int inputs, int decisions) {
  float loss = 0.0f, of_negatives = weight_of_negatives(decisions);
  for (int item = threadIdx.x; item < inputs * decisions; item += THREADS) {
    int k = item % decisions;
    float score = scores[item], label = centre.labels[k], weight = centre.weights[k];
    if (!HIERARCHICAL && k > 0) weight *= of_negatives;
    if (centre.turn % MEASURED == 0) loss += weight * log_loss(label > 0.0f ? score : -score);
    float sigmoid = __fdividef(1.0f, 1.0f + __expf(-score));
    scores[item] = centre.step * (CBOW ? 1.0f : centre.damping[item / decisions]) * weight * (label - sigmoid);
  }
  return loss;
}

// Adds a slab's changes to the contexts' rows of syn0: changes x outputs.
__device__ __forceinline__ void change_contexts(
    const Training& t, const float* vectors, const float* changes, int inputs, int contexts, int decisions, u32 column,
    int slab) {
  int quads = slab / 4, pitch = slab + PAD;
  const float* outputs = vectors + inputs * pitch;
  for (int item = threadIdx.x; item < contexts * quads; item += THREADS) {
    int i = item / quads, at = item % quads * 4;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int k = 0; k < decisions; k++)
      add_product(sum, changes[CBOW ? k : i * decisions + k], *(const float4*)(outputs + k * pitch + at));
    float scale = centre.scales[i];
    // word2vec.c gives each context of a mean the whole step, gensim each of a sum its share
    if (CBOW) scale *= centre.damping[i] * (t.mean ? 1.0f : 1.0f / contexts);
    float* to = t.syn0 + (size_t)centre.contexts[i] * t.width + column + at;
    if (scale > 0.0f) add_4(to, sum.x * scale, sum.y * scale, sum.z * scale, sum.w * scale);
  }
}

// Adds a slab's changes to the outputs' rows of syn1: the transpose of changes x inputs.
__device__ __forceinline__ void change_outputs(
    const Training& t, const float* vectors, const float* changes, int inputs, int decisions, u32 column, int slab) {
  int quads = slab / 4, pitch = slab + PAD;
  for (int item = threadIdx.x; item < decisions * quads; item += THREADS) {
    int k = item / quads, at = item % quads * 4;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int i = 0; i < inputs; i++)
      add_product(sum, changes[i * decisions + k], *(const float4*)(vectors + i * pitch + at));
    float scale = centre.output_scales[k];
    float* to = t.syn1 + (size_t)centre.outputs[k] * t.width + column + at;
    add_4(to, sum.x * scale, sum.y * scale, sum.z * scale, sum.w * scale);
  }
}

// Trains the tile's centre r, which has contexts; returns its loss if it is measured.
__device__ __forceinline__ float train_centre(const Training& t, int r, float* vectors, float* changes) {
  int contexts = centre.left[r] + centre.right[r], inputs = CBOW ? 1 : contexts;
  int decisions = decisions_of(t, t.words[centre.number * ROWS + r]);
  u32 last = (t.width - 1) / t.slab * t.slab;  // where the last slab starts
  lay_centre(t, r, contexts, decisions);
  for (u32 column = 0; column < t.width; column += t.slab) {
    int slab = min(t.slab, t.width - column);
    __syncthreads();
    gather(t, vectors, inputs, contexts, decisions, column, slab);
    __syncthreads();
    add_scores(changes, vectors, inputs, decisions, slab, column == 0);
  }
  __syncthreads();
  float loss = differentiate(changes, inputs, decisions);
  __syncthreads();
  // from the last slab, which still lies in shared memory, to the first
  for (u32 column = last;; column -= t.slab) {
    int slab = min(t.slab, t.width - column);
    if (column != last) {
      __syncthreads();
      gather(t, vectors, inputs, contexts, decisions, column, slab);
      __syncthreads();
    }
    change_contexts(t, vectors, changes, inputs, contexts, decisions, column, slab);
    change_outputs(t, vectors, changes, inputs, decisions, column, slab);
    if (column == 0) break;
  }
  return loss;
}

extern "C" __global__ void __launch_bounds__(THREADS, LEAST_BLOCKS) train_centres(
    float* syn0, float* syn1, const int* words, const u32* where, const float* crowd0, const float* crowd1, TABLES,
    Totals* totals, u64 noise_key, u32 vocabulary, u32 width, u32 slab, int window, float negative, float step_from,
    float step_to, int rows, int mean) {
  const Training t = {syn0, syn1, words, where, crowd0, crowd1, GIVEN_TABLES,
                      totals->kept, totals->tiles, totals->stride, noise_key, vocabulary, width, slab,
                      window, negative, step_from, step_to, mean != 0};
  float* vectors = (float*)dynamic_shared;
  float* changes = vectors + rows * (slab + PAD);  // rows: most inputs and decisions together
  u64 samples = 0;
  for (;;) {
    __syncthreads();
    if (threadIdx.x == 0) take_turn(centre, t, totals);
    __syncthreads();
    if (centre.turn >= t.tiles) break;
    find_windows(t);
    __syncthreads();
    samples += centre.found;
    float loss = 0.0f;
    for (int r = 0; r < ROWS; r++) {
      if (centre.left[r] + centre.right[r] == 0) continue;
      __syncthreads();
      loss += train_centre(t, r, vectors, changes);
    }
    if (loss != 0.0f) atomicAdd(&totals->loss, (double)loss);
    if (threadIdx.x == 0 && centre.turn % MEASURED == 0) atomicAdd(&totals->loss_pairs, (u64)centre.found);
  }
  if (threadIdx.x == 0) atomicAdd(&totals->pairs, samples);
}
