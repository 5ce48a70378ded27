// A tile of skip-gram with negative sampling: ROWS consecutive words of the strip as contexts (rows of syn0), the words
// around them as centres and NEGATIVES words drawn as negatives (rows of syn1). The same tile as cpu_tile.py's, in one
// block of threads.

#define WARPS (THREADS / WARP)
#define COLUMNS (BAND + NEGATIVES)  // the words around, padded to BAND, then the negatives
#define TILE_WORDS (ROWS + COLUMNS)
#define NO_WORD (-1)

// All that a block is told.
struct Training {
  float* syn0;  // [words of the vocabulary, width]
  float* syn1;
  const int* words;  // the strip
  const u32* where;
  const float* crowd0;  // see cuda_plan.crowding
  const float* crowd1;
  const u64* slots;  // of the alias table of the negatives: corpus.noise.AliasTable
  u64 kept, tiles, stride;  // see Totals
  u64 noise_key;
  u32 vocabulary, width, slab;  // floats of a row, and how many of them lie in shared memory at a time
  int window;
  float negative, step_from, step_to;
};

// What a block knows of its tile beside vectors.
struct Tile {
  u64 turn;                  // when it is trained
  u64 number;                // where it lies in the strip
  u64 pairs[ROWS];           // bit k: the row's word is a pair with the centre in column row + k
  int words[TILE_WORDS];     // of the contexts and then the columns, or NO_WORD
  float scales[TILE_WORDS];  // of their rows' changes
  float steps[ROWS];         // the learning rate, damped for words that the tile repeats
  u32 where[BAND];
  int clashes[NEGATIVES];  // whether the negative equals one of the words around
#if EXCLUDE_WINDOW
  u32 dropped[ROWS];  // how many negatives the row's word is seen with
#endif
  float step;
  u32 found;  // pairs in the tile
};

__shared__ Tile tile;

// Finds the tile's words: contexts, words around, negatives.
__device__ __forceinline__ void lay_tile(const Training& t) {
  long long base = tile.number * ROWS, kept = t.kept;
  float in_flight = min((u64)gridDim.x, t.tiles) * ROWS;
  for (int r = threadIdx.x; r < TILE_WORDS; r += THREADS) {
    int column = r - ROWS, word = NO_WORD;
    u32 place = 0;
    if (column >= BAND) {
      u64 drawn = random_number(t.noise_key + (tile.number * NEGATIVES + (column - BAND)) * GOLDEN);
      word = draw(drawn, t.slots, t.vocabulary);
    } else {
      long long at = column < 0 ? base + r : base - t.window + column;
      if (at >= 0 && at < kept && column < ROWS + 2 * t.window) {
        word = t.words[at];
        place = t.where[at];
      }
    }
    if (0 <= column && column < BAND) tile.where[column] = place;
    tile.words[r] = word;
    tile.scales[r] = word == NO_WORD ? 0.0f : scale_of((column < 0 ? t.crowd0 : t.crowd1)[word], in_flight, tile.step);
  }
}

// The pairs of a row: centres of its sentence that reach it.
__device__ __forceinline__ u64 pairs_of(int row, int window) {
  u32 sentence = tile.where[row + window] >> REACH_BITS;
  u64 pairs = 0;
  if (tile.words[row] == NO_WORD) return 0;
  for (int k = 0; k <= 2 * window; k++) {
    u32 place = tile.where[row + k];
    int distance = k < window ? window - k : k - window, reach = place & ((1 << REACH_BITS) - 1);
    if (distance != 0 && distance <= reach && place >> REACH_BITS == sentence) pairs |= 1ull << k;
  }
  return pairs;
}

// Finds the tile's pairs, the rows' learning rates, and which negatives equal a word around.
__device__ __forceinline__ void count_pairs(const Training& t) {
  int row = threadIdx.x;
  if (row < ROWS) {
    u64 pairs = pairs_of(row, t.window);
    int times = 0;
    for (int other = 0; other < ROWS; other++) times += tile.words[other] == tile.words[row];
    float most = MOST_UPDATES / ((t.window + 1) * (t.negative + 1) * tile.step);
    tile.steps[row] = tile.step * fminf(1.0f, most / times);
    tile.pairs[row] = pairs;
#if EXCLUDE_WINDOW
    tile.dropped[row] = 0;
#endif
    atomicAdd(&tile.found, (u32)__popcll(pairs));
    return;
  }
  for (int n = row - ROWS; n < NEGATIVES; n += THREADS - ROWS) {
    bool clashes = false;
    for (int column = 0; column < ROWS + 2 * t.window; column++)
      clashes |= tile.words[ROWS + column] == tile.words[ROWS + BAND + n];
    tile.clashes[n] = clashes;
  }
}

// How many of the row's pairs have the negative's word as their centre.
__device__ __forceinline__ int clashing_pairs(int row, int negative) {
  int count = 0;
  if (tile.clashes[negative])
    for (u64 pairs = tile.pairs[row]; pairs != 0; pairs &= pairs - 1)
      count += tile.words[ROWS + row + __ffsll(pairs) - 1] == tile.words[ROWS + BAND + negative];
  return count;
}

#if EXCLUDE_WINDOW

// Counts the negatives that each row is seen with: they are used for none of its pairs.
__device__ __forceinline__ void drop_seen() {
  for (int item = threadIdx.x; item < ROWS * NEGATIVES; item += THREADS)
    if (clashing_pairs(item / NEGATIVES, item % NEGATIVES) > 0) atomicAdd(&tile.dropped[item / NEGATIVES], 1u);
}

// How many of the row's pairs the negative stands for: those left as many as all of them.
__device__ __forceinline__ float pairs_with_negative(int row, int negative) {
  if (clashing_pairs(row, negative) > 0) return 0.0f;
  return __popcll(tile.pairs[row]) * (NEGATIVES / (float)(NEGATIVES - tile.dropped[row]));
}

#else

// How many of the row's pairs the negative stands for: those with another centre than its word.
__device__ __forceinline__ float pairs_with_negative(int row, int negative) {
  return __popcll(tile.pairs[row]) - clashing_pairs(row, negative);
}

#endif

// What the learning rate makes of the gradient by a score; adds the score's loss to `loss` if the tile is measured.
__device__ __forceinline__ float change_by_score(
    const Training& t, int row, int column, float score, float& loss) {
  bool seen = column < BAND;
  float weight;
  if (seen) {
    u32 k = column - row;
    weight = k < 64 && (tile.pairs[row] >> k & 1) ? 1.0f : 0.0f;
  } else {
    weight = pairs_with_negative(row, column - BAND) * (t.negative / NEGATIVES);
  }
  if (weight == 0.0f) return 0.0f;
  if (tile.turn % MEASURED == 0) loss += weight * log_loss(seen ? score : -score);
  float sigmoid = __fdividef(1.0f, 1.0f + __expf(-score));
  return tile.steps[row] * weight * ((seen ? 1.0f : 0.0f) - sigmoid);
}
