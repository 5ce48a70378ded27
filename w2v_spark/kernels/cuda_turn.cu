// What the kernels that train share: whose turn it is, how much of a change is added, the loss of a score.

// Takes the next turn for what a block trains, for one of its threads. The learning rate falls from turn to turn: in the
// order of training.
template <class Trained, class Training>
__device__ __forceinline__ void take_turn(Trained& trained, const Training& t, Totals* totals) {
  trained.turn = atomicAdd(&totals->turns, 1ull);
  trained.found = 0;
  if (trained.turn >= t.tiles) return;
  trained.number = trained.turn * t.stride % t.tiles;
  float last = t.tiles > 1 ? t.tiles - 1 : 1;
  // never below 0, where damping would turn it round
  trained.step = fmaxf(0.0f, t.step_from + (t.step_to - t.step_from) * ((float)trained.turn / last));
}

// How much of a row's change is added: cuda_plan.row_scale. The crowd of a word that is frozen is infinite.
__device__ __forceinline__ float scale_of(float crowd, float in_flight, float step) {
  return 1.0f / fmaxf(1.0f, in_flight * step * step * crowd);
}

// -log sigmoid(score)
__device__ __forceinline__ float log_loss(float score) {
  return fmaxf(-score, 0.0f) + log1pf(expf(-fabsf(score)));
}

// sums += x * y
__device__ __forceinline__ void add_product(float4& sums, float x, float4 y) {
  sums.x += x * y.x;
  sums.y += x * y.y;
  sums.z += x * y.z;
  sums.w += x * y.w;
}
