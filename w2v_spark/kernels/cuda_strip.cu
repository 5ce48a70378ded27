// Lays the words that subsampling keeps end to end in a strip, anew for each call: mark_starts once for each upload, then
// count_kept, scan_counts and lay_strip. The numbers drawn are those of cpu_strip.py.

#define SENTENCE_START 0x80000000u  // in an id: the token is its sentence's first
#define REACH_BITS 5  // in `where`: how far the word's window reaches as a centre; above, its sentence

// Two counts that are added up together: starts of sentences, and words kept.
__device__ __forceinline__ u64 both(u32 starts, u32 kept) { return (u64)starts << 32 | kept; }

// Flags the first token of each sentence; an empty sentence has none.
extern "C" __global__ void mark_starts(u32* ids, u32 tokens, const long long* offsets, u32 sentences) {
  for (u32 s = blockIdx.x * blockDim.x + threadIdx.x; s < sentences; s += gridDim.x * blockDim.x) {
    u64 at = offsets[s] - offsets[0];
    if (at < tokens) atomicOr(ids + at, SENTENCE_START);
  }
}

// Counts the sentences that start and the words that are kept among the tokens of each block.
extern "C" __global__ void __launch_bounds__(STRIP_THREADS)
    count_kept(const u32* ids, u32 tokens, const u32* keep, u64 key, u64* counts) {
  u32 starts = 0, kept = 0;
  for (u32 i = 0; i < STRIP_TOKENS; i += STRIP_THREADS) {
    u32 t = blockIdx.x * STRIP_TOKENS + i + threadIdx.x;
    u32 id = t < tokens ? ids[t] : 0;
    bool stays = t < tokens && (u32)(random_number(key + t * GOLDEN) >> 32) <= keep[id & ~SENTENCE_START];
    starts += __syncthreads_count(id >= SENTENCE_START);
    kept += __syncthreads_count(stays);
  }
  if (threadIdx.x == 0) counts[blockIdx.x] = both(starts, kept);
}

__device__ u64 common_divisor(u64 a, u64 b) {
  while (b != 0) {
    u64 rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

__shared__ u64 scanned[SCAN_THREADS];

// Turns each block's counts into the sums of the blocks before it, and plans the tiles; one block runs it.
extern "C" __global__ void __launch_bounds__(SCAN_THREADS) scan_counts(u64* counts, u32 blocks, Totals* totals) {
  u64 before = 0;
  for (u32 first = 0; first < blocks; first += SCAN_THREADS) {
    u32 at = first + threadIdx.x;
    u64 own = at < blocks ? counts[at] : 0, sum = own;
    for (u32 step = 1; step < SCAN_THREADS; step *= 2) {
      scanned[threadIdx.x] = sum;
      __syncthreads();
      if (threadIdx.x >= step) sum += scanned[threadIdx.x - step];
      __syncthreads();
    }
    scanned[threadIdx.x] = sum;
    __syncthreads();
    if (at < blocks) counts[at] = before + sum - own;
    before += scanned[SCAN_THREADS - 1];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    u64 kept = before & 0xffffffffu, tiles = (kept + ROWS - 1) / ROWS;
    // by the golden ratio: tiles that run at one time are then far apart in the text
    u64 stride = tiles * 618 / 1000 + 1;
    while (common_divisor(stride, tiles) > 1) stride++;
    *totals = Totals{0, kept, tiles, stride, 0, 0, 0.0};
  }
}

__shared__ u64 of_warps[STRIP_THREADS / WARP];

// Lays down the words that are kept, and where each belongs: its sentence's number and its reach, drawn from 1 to window.
extern "C" __global__ void __launch_bounds__(STRIP_THREADS)
    lay_strip(const u32* ids, u32 tokens, const u32* keep, u64 key, const u64* counts, u32 window, int* words, u32* where) {
  u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  u32 lanes_before = (1u << lane) - 1, lanes_so_far = lanes_before | 1u << lane;
  u64 base = counts[blockIdx.x];
  for (u32 i = 0; i < STRIP_TOKENS; i += STRIP_THREADS) {
    u32 t = blockIdx.x * STRIP_TOKENS + i + threadIdx.x;
    u32 id = t < tokens ? ids[t] : 0, word = id & ~SENTENCE_START;
    u64 number = random_number(key + t * GOLDEN);
    bool stays = t < tokens && (u32)(number >> 32) <= keep[word];
    u32 starting = __ballot_sync(ALL_LANES, id >= SENTENCE_START), staying = __ballot_sync(ALL_LANES, stays);
    if (lane == 0) of_warps[warp] = both(__popc(starting), __popc(staying));
    __syncthreads();
    u64 before = base;
    for (u32 w = 0; w < STRIP_THREADS / WARP; w++) {
      if (w < warp) before += of_warps[w];
      base += of_warps[w];
    }
    if (stays) {
      u32 at = (u32)before + __popc(staying & lanes_before);
      u32 sentence = (u32)(before >> 32) + __popc(starting & lanes_so_far);
      words[at] = word;
      where[at] = sentence << REACH_BITS | (1 + below((u32)number, window));
    }
    __syncthreads();
  }
}
