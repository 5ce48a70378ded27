// Stands in for CUDA on a host: g++ compiles the .cu files of w2v_spark/kernels behind this header, without cuda_ptx.cu.
//
// The threads of a block are fibers of one thread of the host. Each runs until it waits for the others, in an order that
// the caller chooses: what lacks a barrier gives other results in another order. Blocks run one after another. Shared
// memory starts as NaN. Instructions of a whole warp check that rows are aligned and that no two meet in a memory bank.

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

typedef unsigned int u32;
typedef unsigned long long u64;

#define __global__
#define __device__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __expf expf

struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  u32 x, y;
};
struct Index {
  u32 x;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static uint2 make_uint2(u32 x, u32 y) { return {x, y}; }
static u32 __umulhi(u32 a, u32 b) { return (u64)a * b >> 32; }
static int __popc(u32 x) { return __builtin_popcount(x); }
static int __popcll(u64 x) { return __builtin_popcountll(x); }
static int __ffsll(u64 x) { return __builtin_ffsll(x); }
static float __fdividef(float x, float y) { return x / y; }
template <class T> static T __ldcg(const T* from) { return *from; }
template <class T> static T min(T a, T b) { return a < b ? a : b; }
template <class T> static T max(T a, T b) { return a > b ? a : b; }
template <class T> static T atomicAdd(T* to, T x) { T before = *to; *to += x; return before; }
static u32 atomicOr(u32* to, u32 x) { u32 before = *to; *to |= x; return before; }

// --- fibers ---

enum Wait { RUNS, WAITS_FOR_WARP, WAITS_FOR_BLOCK, DONE };

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  Wait state;
  u32 exchanges;
};

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static u32 current;
static std::function<void()> body;

static void fail(const char* what) {
  fprintf(stderr, "emulator: %s (block %u, thread %u)\n", what, blockIdx.x, threadIdx.x);
  abort();
}

static void wait(Wait state) {
  fibers[current].state = state;
  swapcontext(&fibers[current].context, &scheduler);
}

static void run_fiber() {
  body();
  fibers[current].state = DONE;
}

// Lets go on whoever waits in fibers [first, last), if all that are not done wait for the same.
static bool release(u32 first, u32 last, Wait state) {
  u32 waiting = 0;
  for (u32 i = first; i < last; i++) {
    if (fibers[i].state == state) waiting++;
    else if (fibers[i].state != DONE) return false;
  }
  for (u32 i = first; i < last; i++)
    if (fibers[i].state == state) fibers[i].state = RUNS;
  return waiting > 0;
}

static void run_block(u32 threads, u32 order) {
  if (fibers.size() < threads) fibers.resize(threads);
  std::vector<u32> turn(threads);
  for (u32 i = 0; i < threads; i++) {
    Fiber& fiber = fibers[i];
    fiber.stack.resize(1 << 16);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, run_fiber, 0);
    fiber.state = RUNS;
    fiber.exchanges = 0;
    turn[i] = order == 1 ? threads - 1 - i : i;
  }
  srand(order);
  for (bool all_done = false; !all_done;) {
    if (order > 1)
      for (u32 i = threads - 1; i > 0; i--) std::swap(turn[i], turn[rand() % (i + 1)]);
    bool progress = false;
    for (u32 i : turn) {
      if (fibers[i].state != RUNS) continue;
      progress = true;
      if (order > 1 && rand() % 2) continue;  // others overtake it
      current = threadIdx.x = i;
      swapcontext(&scheduler, &fibers[i].context);
    }
    for (u32 first = 0; first < threads; first += 32) progress |= release(first, min(first + 32, threads), WAITS_FOR_WARP);
    progress |= release(0, threads, WAITS_FOR_BLOCK);
    all_done = true;
    for (u32 i = 0; i < threads; i++) all_done &= fibers[i].state == DONE;
    if (!progress && !all_done) fail("threads wait for one another at different places");
  }
}

// --- what threads do together ---

static void __syncthreads() { wait(WAITS_FOR_BLOCK); }

// What each thread of the block gave; two buffers in turn, so that none overwrites what another still reads.
template <class T> static const T* exchange(T given, Wait group) {
  static T given_by[2][1024];
  T* buffer = given_by[fibers[current].exchanges++ % 2];
  buffer[current] = given;
  wait(group);
  return buffer;
}

static int __syncthreads_count(bool yes) {
  const bool* all = exchange(yes, WAITS_FOR_BLOCK);
  int count = 0;
  for (u32 i = 0; i < blockDim.x; i++) count += all[i];
  return count;
}

static const u32 lanes_of_warp = 32;

template <class T> static const T* warp_exchange(T given) {
  return exchange(given, WAITS_FOR_WARP) + current / lanes_of_warp * lanes_of_warp;
}

static u32 __ballot_sync(u32, bool yes) {
  const bool* all = warp_exchange(yes);
  u32 ballot = 0;
  for (u32 i = 0; i < lanes_of_warp; i++) ballot |= (u32)all[i] << i;
  return ballot;
}

static float __shfl_xor_sync(u32, float given, u32 other) {
  const float* all = warp_exchange(given);
  return all[(current % lanes_of_warp) ^ other];
}

// --- cuda_ptx.cu ---

static void add_2(float* to, float x, float y) {
  if ((uintptr_t)to % 8) fail("add_2: not aligned");
  to[0] += x;
  to[1] += y;
}

static void add_4(float* to, float x, float y, float z, float w) {
  if ((uintptr_t)to % 16) fail("add_4: not aligned");
  add_2(to, x, y);
  add_2(to + 2, z, w);
}

static u32 bf16(float x) {
  u32 bits;
  memcpy(&bits, &x, 4);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static float low_float(u32 packed) {
  u32 bits = packed << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

static float high_float(u32 packed) { return low_float(packed >> 16); }

static u32 pack_bf16(float x, float y) { return bf16(x) | bf16(y) << 16; }

static void load_any(u32* loaded, const void* row, bool transposed) {
  const void* const* rows = warp_exchange(row);
  u32 lane = current % lanes_of_warp;
  for (u32 q = 0; q < 4; q++) {
    u32 banks = 0;
    for (u32 i = 0; i < 8; i++) {
      uintptr_t address = (uintptr_t)rows[8 * q + i];
      if (address % 16) fail("a row of a matrix is not aligned");
      banks |= 1u << address / 16 % 8;
    }
    if (banks != 0xff) fail("two rows of a matrix lie in the same banks");
    unsigned short two[2];
    for (u32 e = 0; e < 2; e++) {
      u32 i = lane / 4, j = lane % 4 * 2 + e;
      two[e] = transposed ? ((const unsigned short*)rows[8 * q + j])[i] : ((const unsigned short*)rows[8 * q + i])[j];
    }
    loaded[q] = two[0] | (u32)two[1] << 16;
  }
}

static void load_matrices(u32* loaded, const void* row) { load_any(loaded, row, false); }
static void load_transposed(u32* loaded, const void* row) { load_any(loaded, row, true); }

struct Fragments {
  u32 a[4], b[2];
};

static void multiply_add(float* sums, const u32* a, u32 b0, u32 b1) {
  const Fragments* all = warp_exchange(Fragments{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  u32 lane = current % lanes_of_warp;
  for (u32 s = 0; s < 4; s++) {
    u32 row = lane / 4 + s / 2 * 8, column = lane % 4 * 2 + s % 2;
    for (u32 k = 0; k < 16; k++) {
      u32 left = all[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2], right = all[column * 4 + k % 8 / 2].b[k / 8];
      sums[s] += k % 2 ? high_float(left) * high_float(right) : low_float(left) * low_float(right);
    }
  }
}

// --- shared memory, and how a host launches a kernel ---

static const u32 most_shared_bytes = 232448;
extern float4 dynamic_shared[];

template <class... Arguments, size_t... I>
static void call(void (*kernel)(Arguments...), void** arguments, std::index_sequence<I...>) {
  kernel(*(std::remove_reference_t<Arguments>*)arguments[I]...);
}

template <class... Arguments>
static void launch(void (*kernel)(Arguments...), u32 grid, u32 threads, u32 shared, u32 order, void** arguments) {
  if (shared > most_shared_bytes) fail("too much shared memory");
  gridDim.x = grid;
  blockDim.x = threads;
  body = [=] { call(kernel, arguments, std::index_sequence_for<Arguments...>()); };
  for (u32 block = 0; block < grid; block++) {
    blockIdx.x = block;
    memset((void*)dynamic_shared, 0xff, most_shared_bytes);
    run_block(threads, order);
    for (u32 i = shared; i < most_shared_bytes; i++)
      if (((unsigned char*)dynamic_shared)[i] != 0xff) fail("wrote past the shared memory it asked for");
  }
}

// Behind the kernels, of which TRAIN trains: the one function that the tests call, with arguments as cuLaunchKernel takes
// them.
#define EMULATE_KERNELS                                                                                             \
  float4 dynamic_shared[most_shared_bytes / sizeof(float4)];                                                        \
  extern "C" int emulate(const char* name, u32 grid, u32 threads, u32 shared, u32 order, void** arguments) {         \
    if (!strcmp(name, "mark_starts")) launch(mark_starts, grid, threads, shared, order, arguments);                  \
    else if (!strcmp(name, "count_kept")) launch(count_kept, grid, threads, shared, order, arguments);               \
    else if (!strcmp(name, "scan_counts")) launch(scan_counts, grid, threads, shared, order, arguments);             \
    else if (!strcmp(name, "lay_strip")) launch(lay_strip, grid, threads, shared, order, arguments);                 \
    else if (!strncmp(name, "train_", 6)) launch(TRAIN, grid, threads, shared, order, arguments);                     \
    else return 1;                                                                                                  \
    return 0;                                                                                                       \
  }
