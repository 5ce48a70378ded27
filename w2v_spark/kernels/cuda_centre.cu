// A centre of CBOW with negative sampling, or of either architecture with hierarchical softmax, in one block of threads:
// its inputs, rows of syn0 of the words around it or, for CBOW, one hidden vector made of them, against its decisions,
// rows of syn1 of itself and of negatives, or of the nodes on its way down the Huffman tree. All decisions are made with
// the rows as the block finds them; then the changes are added.

#define MOST_CONTEXTS 40
#define MOST_DECISIONS 96  // counts in 64 bits make no longer ways, and there are at most 32 negatives
#define GROUP 8            // threads that compute a dot product together
#define PAD 4              // between rows in shared memory

#if HIERARCHICAL
// the ways of the words: corpus.huffman.HuffmanTree; labels are 1 where the code is 0
struct Outputs {
  const long long* starts;
  const int* points;
  const float* labels;
};
#define TABLES const long long *starts, const int *points, const float *labels
#define GIVEN_TABLES {starts, points, labels}
#else
struct Outputs {
  const u64* slots;  // of the alias table of the negatives: corpus.noise.AliasTable
};
#define TABLES const u64 *slots
#define GIVEN_TABLES {slots}
#endif

// All that a block is told.
struct Training {
  float* syn0;  // [words of the vocabulary, width]
  float* syn1;
  const int* words;  // the strip
  const u32* where;
  const float* crowd0;  // see cuda_centre_plan.centre_crowding
  const float* crowd1;
  Outputs outputs;
  u64 kept, tiles, stride;  // see Totals; a tile is ROWS centres, which one block trains one after another
  u64 noise_key;
  u32 vocabulary, width, slab;  // floats of a row, and how many of them lie in shared memory at a time
  int window;
  float negative, step_from, step_to;
  bool mean;
};

// What a block knows of its turn and of the centre that it trains.
struct Centre {
  u64 turn;                     // when the tile is trained
  u64 number;                   // where it lies in the strip
  float step;                   // the learning rate
  u32 found;                    // samples in the tile
  int left[ROWS], right[ROWS];  // how many words before and behind each of its centres are contexts
  int contexts[MOST_CONTEXTS];  // words
  float damping[MOST_CONTEXTS];  // of words that the window repeats
  float scales[MOST_CONTEXTS];   // of their rows' changes
  int outputs[MOST_DECISIONS];   // rows of syn1
  float labels[MOST_DECISIONS];
  float weights[MOST_DECISIONS];
  float output_scales[MOST_DECISIONS];
};

__shared__ Centre centre;

__device__ __forceinline__ u32 sentence_at(const Training& t, long long at) { return t.where[at] >> REACH_BITS; }

// Finds the windows of the tile's centres.
__device__ __forceinline__ void find_windows(const Training& t) {
  for (int r = threadIdx.x; r < ROWS; r += THREADS) {
    long long at = centre.number * ROWS + r, kept = t.kept;
    int left = 0, right = 0;
    if (at < kept) {
      int reach = t.where[at] & ((1 << REACH_BITS) - 1);
      while (left < reach && at > left && sentence_at(t, at - left - 1) == sentence_at(t, at)) left++;
      while (right < reach && at + right + 1 < kept && sentence_at(t, at + right + 1) == sentence_at(t, at)) right++;
    }
    centre.left[r] = left;
    centre.right[r] = right;
    atomicAdd(&centre.found, (u32)(CBOW ? left + right > 0 : left + right));
  }
}

// How often a word is among words[first : last].
__device__ __forceinline__ int times_in(const Training& t, int word, long long first, long long last) {
  int times = 0;
  for (long long at = first; at < last; at++) times += t.words[at] == word;
  return times;
}

// How many decisions the centre's word makes.
__device__ __forceinline__ int decisions_of(const Training& t, int word) {
#if HIERARCHICAL
  return t.outputs.starts[word + 1] - t.outputs.starts[word];
#else
  return 1 + (int)t.negative;
#endif
}

// Notes decision k of the centre at `at`, whose window is words[first : last].
__device__ __forceinline__ void lay_decision(const Training& t, long long at, long long first, long long last, int k) {
  int word = t.words[at];
#if HIERARCHICAL
  long long node = t.outputs.starts[word] + k;
  centre.outputs[k] = t.outputs.points[node];
  centre.labels[k] = t.outputs.labels[node];
  centre.weights[k] = 1.0f;
#else
  int drawn = word;
  bool used = true;
  if (k > 0) {
    u64 number = random_number(t.noise_key + (at * (u64)t.negative + (k - 1)) * GOLDEN);
    drawn = draw(number, t.outputs.slots, t.vocabulary);
    used = EXCLUDE_WINDOW ? times_in(t, drawn, first, last) == 0 : drawn != word;
  }
  centre.outputs[k] = drawn;
  centre.labels[k] = k == 0 ? 1.0f : 0.0f;
  centre.weights[k] = used ? 1.0f : 0.0f;
#endif
}

// Notes the contexts and the decisions of the tile's centre r.
__device__ __forceinline__ void lay_centre(const Training& t, int r, int contexts, int decisions) {
  long long at = centre.number * ROWS + r, first = at - centre.left[r], last = at + centre.right[r] + 1;
  float in_flight = min((u64)gridDim.x, t.tiles);
  for (int i = threadIdx.x; i < contexts; i += THREADS) {
    int word = t.words[first + i + (first + i >= at)];
    float most = MOST_UPDATES / (decisions * centre.step);
    centre.contexts[i] = word;
    centre.damping[i] = fminf(1.0f, most / times_in(t, word, first, last));
    centre.scales[i] = scale_of(t.crowd0[word], in_flight, centre.step);
  }
  for (int k = threadIdx.x; k < decisions; k += THREADS) {
    lay_decision(t, at, first, last, k);
    centre.output_scales[k] = scale_of(t.crowd1[centre.outputs[k]], in_flight, centre.step);
  }
}

// How much a negative counts: where windows are excluded, those left count as much as all of them.
__device__ __forceinline__ float weight_of_negatives(int decisions) {
  int left = 0;
  if (!EXCLUDE_WINDOW) return 1.0f;
  for (int k = 1; k < decisions; k++) left += centre.weights[k] > 0.0f;
  return (decisions - 1) / fmaxf(1.0f, left);
}
