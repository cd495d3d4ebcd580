// The coefficients of one tile of outputs, and the loop over samples sorted by interval, which share coefficient rows.
#pragma once

#include "samples.hpp"

namespace superpose {
namespace {

// Samples in a strip: of the vector-Jacobian products, and of the kernels for few outputs. Strips of 64 to
// 512 samples were compared on 22 November, before samples were sorted (docs/lab/kernels.md).
constexpr std::int64_t kVjpStrip = 512, kRecordStrip = 512;

// Vectors of outputs in a tile: K + 1 rows of a tile, the sums of one sample and a weight fit into the registers. Two
// vectors in place of four took 20% longer with 32 registers (docs/lab/kernels.md).
constexpr int tile_vectors(int degree) { return kRegisters == 32 ? (degree < 5 ? 4 : 2) : degree < 5 ? 2 : 1; }

// Samples in a strip: at least `least`; more on fine grids, up to 512 or twice `least`, so that a coefficient row is rarely
// read for one sample alone. On few intervals strips of 256 or 512 took 5 to 20% longer, because the sums leave the
// first-level cache; on 100 intervals strips of 512 were 1.5 times as fast as strips of 128 (docs/lab/kernels.md).
inline std::int64_t strip_length(std::int64_t intervals, std::int64_t least) {
    const std::int64_t most = larger<std::int64_t>(512, 2 * least);
    std::int64_t length = least;
    while (length < most && length < 4 * intervals) length *= 2;
    return length;
}

// With fewer samples than intervals few samples share rows, and sorting costs more than it saves.
inline Order order_for(std::int64_t samples, std::int64_t intervals) {
    return samples >= intervals ? Order::kSorted : Order::kKept;
}

// One input's coefficients for one tile: spline rows, `stride` apart, and the row of the base function.
template <class T>
struct TileRows {
    const T *rows, *base;
    std::int64_t stride;
};

// Coefficients are read in place. A vector that is not full reads on into the next row; only the last inputs, where that
// would read beyond the array, are copied.
template <class T>
class Coefficients {
  public:
    Coefficients(const T* values, const Shape& shape)
        : values_(values), inputs_(shape.inputs), rows_(shape.rows()), outputs_(shape.outputs),
          has_base_(shape.base != kNone) {
        const std::int64_t over = ceil_divide(outputs_, Simd<T>::width) * Simd<T>::width - outputs_;
        tail_ = smaller(inputs_, ceil_divide(over, rows_ * outputs_));
    }

    void allocate(Arena& arena) {
        copy_ = arena.take<T>(tail_ * rows_ * outputs_ + Simd<T>::width);
        zeros_ = arena.take<T>(kMaxVectors * Simd<T>::width);
    }

    void prepare() {
        const std::int64_t size = rows_ * outputs_;
        std::memset(static_cast<void*>(zeros_), 0, sizeof(T) * kMaxVectors * Simd<T>::width);
        if (tail_ == 0) return;
        std::memcpy(copy_, values_ + (inputs_ - tail_) * size, sizeof(T) * static_cast<std::size_t>(tail_ * size));
        std::memset(static_cast<void*>(copy_ + tail_ * size), 0, sizeof(T) * Simd<T>::width);
    }

    // The tile that begins at `vector`. Without a base function its row is zero.
    TileRows<T> tile(std::int64_t input, std::int64_t vector) const {
        const std::int64_t copied = input - (inputs_ - tail_);
        const T* from = copied < 0 ? values_ + input * rows_ * outputs_ : copy_ + copied * rows_ * outputs_;
        from += vector * Simd<T>::width;
        return {from, has_base_ ? from + (rows_ - 1) * outputs_ : zeros_, outputs_};
    }

  private:
    static constexpr int kMaxVectors = 4;

    const T* values_;
    std::int64_t inputs_, rows_, outputs_, tail_;
    bool has_base_;
    T *copy_ = nullptr, *zeros_ = nullptr;
};

// With a single output the rows of a sample are adjacent numbers and make one vector of four.
template <class T, int K>
SUPERPOSE_INLINE typename Four<T>::V side_by_side(const T* rows) {
    if constexpr (K == 3) return load_four(rows);
    typename Four<T>::V some = {};
    for (int s = 0; s <= K && s < 4; ++s) some[s] = rows[s];
    return some;
}

// Prefetches a row.
template <class T, int NV>
SUPERPOSE_INLINE void expect_row(const T* row) {
    constexpr int line = 64 / sizeof(T);
#pragma GCC unroll 4
    for (int l = 0; l < NV * Simd<T>::width; l += line) __builtin_prefetch(row + l);
}

// Calls take(sample, rows) for all samples of a column, interval by interval. The K + 1 coefficient rows that the samples of
// an interval share are loaded once and stay in registers. Meanwhile the rows of the tile `next`, if given, are prefetched:
// forward at (512, 512, 512), G = 100, went from 44.9 to 22.0 ms by that (docs/lab/kernels.md).
template <class T, int K, int NV, class F>
SUPERPOSE_INLINE void for_samples_by_interval(const Column<T>& column, const TileRows<T>& tile, const TileRows<T>* next, F&& take) {
    const std::int64_t stride = tile.stride;
    const std::int32_t* const order = column.order;
    for (const IntervalRun *run = column.runs, *end = run + column.count; run < end; ++run) {
        const T* from = tile.rows + run->interval * stride;
        Vector<T> rows[K + 1][NV];
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) {
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) rows[s][j] = load(from + s * stride + j * Simd<T>::width);
        }
        if (next) expect_row<T, NV>(next->rows + run->interval * stride);
        const std::int32_t* const stop = order + run[1].begin;
        for (const std::int32_t* p = order + run->begin; p < stop; ++p) take(std::int64_t(*p), rows);
    }
    if (next) {
        const T* from = next->rows + (column.runs[column.count - 1].interval + 1) * stride;
        for (int s = 0; s < K; ++s) expect_row<T, NV>(from + s * stride);
        expect_row<T, NV>(next->base);
    }
}

// Rows of g, of `outputs` lanes, as vectors V. Lanes beyond the outputs are zero.
template <class T, class V>
void pack_rows(const T* g, std::int64_t outputs, std::int64_t n, T* to) {
    constexpr int width = LanesOf<V>::width;
    // A load reads on into the next sample and drops it; the last samples have nothing behind them.
    const auto keep = first_lanes<V>(outputs);
    std::int64_t b = 0;
    for (; b * outputs + width <= n * outputs; ++b, to += width) {
        const V here = keep ? load_as<V>(g + b * outputs) : V{};
        store_as<V>(to, here);
    }
    for (; b < n; ++b, to += width) store_as<V>(to, load_part<T, V>(g + b * outputs, static_cast<int>(outputs)));
}

// Copies g tile by tile, so that the samples of a tile are close together in memory in whatever order they are read. Lanes
// beyond the outputs are zero.
template <class T>
void pack(const T* g, const Tiles<T>& tiles, std::int64_t n, int most, T* to) {
    constexpr int width = Simd<T>::width;
    const std::int64_t outputs = tiles.outputs;
    if (outputs < width) return pack_rows<T, Vector<T>>(g, outputs, n, to);
    for_tiles(tiles, 0, tiles.vectors, most, [&](std::int64_t vector, int vectors) {
        const T* from = g + vector * width;
        const int lanes = smaller<std::int64_t>(width, tiles.lanes(vector));
        for (std::int64_t b = 0; b < n; ++b, from += outputs)
            for (int j = 0; j < vectors; ++j, to += width) store(to, load_part(from + j * width, lanes));
    });
}

}  // namespace
}  // namespace superpose
