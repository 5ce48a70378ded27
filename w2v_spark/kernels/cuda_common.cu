// What every CUDA kernel here shares: numbers, sizes, and the running totals of a call.
//
// cuda_compile.py joins the .cu files and defines the sizes of cuda_plan.py that they use, MEASURED (the loss is measured
// on one tile in so many) and MOST_UPDATES, both of sizes.py. Nothing is included, so that NVRTC alone
// compiles them; on a host, tests/cuda_emulator.h stands in for CUDA and for cuda_ptx.cu.

typedef unsigned int u32;
typedef unsigned long long u64;

#define WARP 32
#define ALL_LANES 0xffffffffu

// What a call has done, which the host reads at its end. cuda_model.TOTALS has the same fields.
struct Totals {
  u64 turns;  // tiles that blocks have taken, which may be more than there are
  u64 kept;   // words after subsampling
  u64 tiles;
  u64 stride;  // from the tile of one turn to that of the next; it has no divisor in common with tiles
  u64 pairs;
  u64 loss_pairs;  // pairs of the tiles whose loss was measured
  double loss;
};

// splitmix64 (Steele, Lea and Flood 2014): number i of the stream `key` is random_number(key + i * GOLDEN)
#define GOLDEN 0x9e3779b97f4a7c15ull

__device__ __forceinline__ u64 random_number(u64 state) {
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ull;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebull;
  return state ^ (state >> 31);
}

// 32 random bits as a number in [0, limit).
__device__ __forceinline__ u32 below(u32 bits, u32 limit) { return __umulhi(bits, limit); }

// The word that an alias table gives for 64 random bits.
__device__ __forceinline__ u32 draw(u64 number, const u64* slots, u32 words) {
  u32 own = below((u32)(number >> 32), words);
  u64 slot = slots[own];
  return (u32)number <= (u32)(slot >> 32) ? own : (u32)slot;
}
