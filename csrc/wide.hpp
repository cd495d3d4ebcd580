// Many outputs: the samples of an input are ordered by interval, and the rows that they share stay in registers.
#pragma once

#include "coefficients.hpp"

namespace superpose {
namespace {

// ------------------------------------------------------------------------------------------------ sums

// Adds one input's edges to the sums of n samples, NV vectors each.
template <class T, int K, int NV>
void sum_column(const Column<T>& column, const TileRows<T>& tile, const TileRows<T>* next, T* sums) {
    constexpr int width = Simd<T>::width;
    Vector<T> base[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) base[j] = load(tile.base + j * width);
    const T* const weights = column.values;
    const std::int64_t stride = column.stride;
    for_runs<T, K, NV>(column, tile, next, [=](std::int64_t b, const Vector<T>(*rows)[NV]) __attribute__((always_inline)) {
        T* to = sums + b * (NV * width);
        Vector<T> sum[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[j] = load(to + j * width);
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) {
            const Vector<T> w = all(weights[s * stride + b]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) sum[j] += w * rows[s][j];
        }
        const Vector<T> w = all(weights[(K + 1) * stride + b]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[j] += w * base[j];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) store(to + j * width, sum[j]);
    });
}

// Samples [begin, end) by the vectors [first_vector, last_vector) of the outputs. Sums of a strip stand tile by tile, so
// that those of a tile fit into the first-level cache.
template <class T, int K>
bool sum_wide(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_vector,
              std::int64_t last_vector) {
    constexpr int width = Simd<T>::width, most = tile_vectors(K);
    constexpr std::int64_t least = 32768 / (most * width * sizeof(T));
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, G = shape.intervals;
    const Tiles<T> tiles(O);
    const std::int64_t strip = strip_length(G, least), longest = smaller(strip, end - begin);
    const Order order = order_for(longest, G);
    Columns<T, K> columns(shape, longest, order);
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    T* sums;
    const std::int64_t size = (last_vector - first_vector) * width;
    const bool fits = lay_out([&](Cutter& cutter) {
        columns.cut(cutter, true, false, call.v);
        coefficients.cut(cutter);
        knots = cutter.cut<Knots<T>>(I);
        sums = cutter.cut<T>(longest * size);
    });
    if (!fits) return false;
    coefficients.prepare();
    for (std::int64_t i = 0; i < I; ++i) knots[i] = read_knots(call.knots + i * shape.knots(), K, G);
    for (std::int64_t b = begin; b < end; b += strip) {
        const std::int64_t n = smaller(strip, end - b);
        std::memset(static_cast<void*>(sums), 0, sizeof(T) * static_cast<std::size_t>(n * size));
        for (std::int64_t i = 0; i < I; i += kBlock) {
            const int count = static_cast<int>(smaller<std::int64_t>(kBlock, I - i));
            columns.read(knots + i, call.x + b * I + i, call.v ? call.v + b * I + i : nullptr, n, count);
            if (call.v) columns.weigh(false, n, count);
            for_tiles(tiles, first_vector, last_vector, most, [&](std::int64_t vector, int vectors) {
                T* to = sums + (vector - first_vector) * width * n;
                const auto sum = vectors == 4   ? sum_column<T, K, smaller(4, most)>
                                 : vectors == 2 ? sum_column<T, K, smaller(2, most)>
                                                : sum_column<T, K, 1>;
                TileRows<T> tile = coefficients.tile(i, vector);
                for (int c = 0; c < count; ++c) {
                    // The next input's rows, or the next tile's of the block.
                    const bool last = c + 1 == count;
                    const TileRows<T> next = last ? coefficients.tile(i, smaller(vector + vectors, tiles.vectors - 1))
                                                  : coefficients.tile(i + c + 1, vector);
                    sum(columns[c], tile, order == Order::kSorted ? &next : nullptr, to);
                    tile = next;
                }
            });
        }
        for_tiles(tiles, first_vector, last_vector, most, [&](std::int64_t vector, int vectors) {
            const T* from = sums + (vector - first_vector) * width * n;
            T* to = call.out + b * O + vector * width;
            const std::int64_t lanes = vectors * width;
            const std::size_t bytes = sizeof(T) * static_cast<std::size_t>(smaller(lanes, tiles.lanes(vector)));
            for (std::int64_t p = 0; p < n; ++p) std::memcpy(to + p * O, from + p * lanes, bytes);
        });
    }
    return true;
}

// ------------------------------------------------------------------------------------------------ gradients

// totals[b] gets, or gets more of, the products of g and the edge functions at sample b, lane by lane.
template <class T, int K, int NV, bool FRESH>
void pull_column(const Column<T>& column, bool of_slopes, const TileRows<T>& tile, const TileRows<T>* next, const T* g,
                 std::int64_t lanes, T* totals) {
    constexpr int width = Simd<T>::width;
    Vector<T> base[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) base[j] = load(tile.base + j * width);
    // A broken vector reads on into other rows: g is zero there, but zero times a NaN is not.
    const auto keep = first_lanes<Vector<T>>(lanes);
    const T* const weights = column.weights(of_slopes);
    const std::int64_t stride = column.stride;
    for_runs<T, K, NV>(column, tile, next, [=](std::int64_t b, const Vector<T>(*rows)[NV]) __attribute__((always_inline)) {
        const T* here = g + b * (NV * width);
        T* to = totals + b * width;
        const Vector<T> w = all(weights[(K + 1) * stride + b]);
        Vector<T> edge[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) edge[j] = w * base[j];
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) {
            const Vector<T> ws = all(weights[s * stride + b]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) edge[j] += ws * rows[s][j];
        }
        if (NV == 1) edge[0] = keep ? edge[0] : Vector<T>{};
        Vector<T> total = FRESH ? edge[0] * load(here) : load(to) + edge[0] * load(here);
#pragma GCC unroll 4
        for (int j = 1; j < NV; ++j) total += edge[j] * load(here + j * width);
        store(to, total);
    });
}

// Rows of one input's coefficient gradient, NV vectors of outputs, of which the first `left` lanes count: a window of
// K + 1 rows slides over the intervals. Where a row is a part of a vector, the first rows are stored as whole vectors, for
// the next row covers what is too much, which costs less than to leave it out.
template <class T, int K, int NV>
void coefficient_column(const Column<T>& column, std::int64_t intervals, const T* g, T* to, T* base_to,
                        std::int64_t outputs, int left, bool add) {
    constexpr int width = Simd<T>::width;
    const std::int64_t over = (intervals + K) * outputs - width;
    const std::int64_t covered_rows = NV == 1 && outputs < width && !add && over >= 0 ? over / outputs + 1 : 0;
    Vector<T> window[K + 1][NV] = {}, base[NV] = {};
    const T* const weights = column.values;
    const std::int64_t stride = column.stride;
    const auto put = [&](T* row, const Vector<T>* values) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
            const int lanes = NV == 1 ? left : width;
            store_part(row + j * width, add ? values[j] + load_part(row + j * width, lanes) : values[j], lanes);
        }
    };
    // Writes the rows that no later interval adds to.
    std::int64_t interval = 0;
    const auto slide = [&](std::int64_t end) {
        for (; interval < end; ++interval, to += outputs) {
            if (interval < covered_rows) {
                store(to, window[0][0]);
            } else {
                put(to, window[0]);
            }
#pragma GCC unroll 8
            for (int s = 0; s < K; ++s) {
#pragma GCC unroll 4
                for (int j = 0; j < NV; ++j) window[s][j] = window[s + 1][j];
            }
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) window[K][j] = Vector<T>{};
        }
    };
    for (const Run *run = column.runs, *end = run + column.count; run < end; ++run) {
        slide(run->interval);
        const std::int32_t* const stop = column.order + run[1].begin;
        for (const std::int32_t* p = column.order + run->begin; p < stop; ++p) {
            const std::int64_t b = *p;
            Vector<T> here[NV];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) here[j] = load(g + (b * NV + j) * width);
#pragma GCC unroll 8
            for (int s = 0; s <= K; ++s) {
                const Vector<T> w = all(weights[s * stride + b]);
#pragma GCC unroll 4
                for (int j = 0; j < NV; ++j) window[s][j] += w * here[j];
            }
            const Vector<T> w = all(weights[(K + 1) * stride + b]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) base[j] += w * here[j];
        }
    }
    slide(intervals + K);
    if (base_to) put(base_to, base);
}

// Samples [begin, end) and inputs [first_input, last_input).
template <class T, int K>
bool pull_wide(const Pulls<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
               std::int64_t last_input) {
    constexpr int width = Simd<T>::width, most = tile_vectors(K);
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, rows = shape.rows(), G = shape.intervals;
    const Tiles<T> tiles(O);
    const std::int64_t strip = strip_length(G, kPullStrip), longest = smaller(strip, end - begin);
    const Order order = call.coefficient ? Order::kSorted : order_for(longest, G);
    Columns<T, K> columns(shape, longest, order);
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    T *g, *totals, *pulled;
    const bool needs_pulls = call.value || call.slope;
    const bool fits = lay_out([&](Cutter& cutter) {
        columns.cut(cutter, call.value || call.coefficient, call.slope, call.v);
        if (needs_pulls) coefficients.cut(cutter);
        knots = cutter.cut<Knots<T>>(last_input - first_input);
        g = cutter.cut<T>(longest * tiles.vectors * width);
        totals = cutter.cut<T>(needs_pulls ? columns.stride() * width : 0);
        pulled = cutter.cut<T>(needs_pulls ? kBlock * columns.stride() : 0);
    });
    if (!fits) return false;
    if (needs_pulls) coefficients.prepare();
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, G);
    for (std::int64_t b = begin; b < end; b += strip) {
        const std::int64_t n = smaller(strip, end - b);
        pack(call.g + b * O, tiles, n, most, g);
        const auto pull = [&](bool of_slopes, std::int64_t i, int count, T* to) {
            for (int c = 0; c < count; ++c) {
                for_tiles(tiles, 0, tiles.vectors, most, [&](std::int64_t vector, int vectors) {
                    const bool last = vector + vectors == tiles.vectors;
                    const TileRows<T> tile = coefficients.tile(i + c, vector);
                    const TileRows<T> next = last ? coefficients.tile(smaller(i + c + 1, I - 1), 0)
                                                  : coefficients.tile(i + c, vector + vectors);
                    const auto column = vectors == 4   ? vector == 0 ? pull_column<T, K, smaller(4, most), true>
                                                                     : pull_column<T, K, smaller(4, most), false>
                                        : vectors == 2 ? vector == 0 ? pull_column<T, K, smaller(2, most), true>
                                                                     : pull_column<T, K, smaller(2, most), false>
                                        : vector == 0  ? pull_column<T, K, 1, true>
                                                       : pull_column<T, K, 1, false>;
                    column(columns[c], of_slopes, tile, order == Order::kSorted ? &next : nullptr, g + vector * width * n,
                           tiles.lanes(vector), totals);
                });
                for (std::int64_t p = 0; p < n; p += width)
                    store(pulled + c * columns.stride() + p, sums_of_lanes<Vector<T>>(totals + p * width));
            }
            turn_round(pulled, columns.stride(), count, n, to + b * I + i, I);
        };
        for (std::int64_t i = first_input; i < last_input; i += kBlock) {
            const int count = static_cast<int>(smaller<std::int64_t>(kBlock, last_input - i));
            columns.read(knots + (i - first_input), call.x + b * I + i, call.v ? call.v + b * I + i : nullptr, n, count);
            if (call.value) pull(false, i, count, call.value);
            if (call.slope) {
                if (call.v) columns.weigh(true, n, count);
                pull(true, i, count, call.slope);
            }
            if (!call.coefficient) continue;
            if (call.v) columns.weigh(false, n, count);
            for (int c = 0; c < count; ++c) {
                for_tiles(tiles, 0, tiles.vectors, most, [&](std::int64_t vector, int vectors) {
                    const auto column = vectors == 4   ? coefficient_column<T, K, smaller(4, most)>
                                        : vectors == 2 ? coefficient_column<T, K, smaller(2, most)>
                                                       : coefficient_column<T, K, 1>;
                    T* to = call.coefficient + (i + c) * rows * O + vector * width;
                    column(columns[c], G, g + vector * width * n, to, shape.base == kNone ? nullptr : to + (rows - 1) * O,
                           O, static_cast<int>(smaller<std::int64_t>(width, tiles.lanes(vector))), b != begin);
                });
            }
        }
    }
    return true;
}

}  // namespace
}  // namespace superpose
