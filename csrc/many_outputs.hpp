// Many outputs: the samples of an input are sorted by interval, and the coefficient rows that they share stay in registers.
// Against reading the rows anew for each sample that took the forward pass at (1024, 128, 128), G = 5, from 1.88 to 1.67 ms
// (docs/lab/kernels.md).
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
    for_samples_by_interval<T, K, NV>(column, tile, next, [=](std::int64_t b, const Vector<T>(*rows)[NV]) __attribute__((always_inline)) {
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

// Samples [begin, end) and the vectors [first_vector, last_vector) of the outputs. The sums of a strip are stored tile by tile,
// and `least` samples of a tile are 32 KiB, the first-level cache of the EPYC in docs/performance.md.
template <class T, int K>
bool sum_sorted(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_vector,
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
    const bool fits = allocate_in_arena([&](Arena& arena) {
        columns.allocate(arena, true, false, call.v);
        coefficients.allocate(arena);
        knots = arena.take<Knots<T>>(I);
        sums = arena.take<T>(longest * size);
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
                    // To prefetch: the rows of the next input, or those of the next tile of this block.
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

// Sets totals[b] (FRESH) or adds to it: the products of g and the edge functions at sample b, lane by lane.
template <class T, int K, int NV, bool FRESH>
void contract_column(const Column<T>& column, bool of_next_order, const TileRows<T>& tile, const TileRows<T>* next, const T* g,
                 std::int64_t lanes, T* totals) {
    constexpr int width = Simd<T>::width;
    Vector<T> base[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) base[j] = load(tile.base + j * width);
    // A vector that is not full reads on into other rows. g is zero there, but zero times NaN is NaN.
    const auto keep = first_lanes<Vector<T>>(lanes);
    const T* const weights = column.weights(of_next_order);
    const std::int64_t stride = column.stride;
    for_samples_by_interval<T, K, NV>(column, tile, next, [=](std::int64_t b, const Vector<T>(*rows)[NV]) __attribute__((always_inline)) {
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

// The gradient by one input's coefficients, NV vectors of outputs, of which the first `left` lanes are stored. A window of
// K + 1 rows slides over the intervals, so each row is written once. Where a row is less than a vector, it is stored as a
// whole vector and the next row overwrites the excess, which costs less than a partial store.
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
    // Writes the rows that are complete: no later interval adds to them.
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
    for (const IntervalRun *run = column.runs, *end = run + column.count; run < end; ++run) {
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
bool vjp_sorted(const Vjp<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
               std::int64_t last_input) {
    constexpr int width = Simd<T>::width, most = tile_vectors(K);
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, rows = shape.rows(), G = shape.intervals;
    const Tiles<T> tiles(O);
    const std::int64_t strip = strip_length(G, kVjpStrip), longest = smaller(strip, end - begin);
    const Order order = call.grad_coefficients ? Order::kSorted : order_for(longest, G);
    Columns<T, K> columns(shape, longest, order);
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    T *g, *totals, *contracted;
    const bool needs_input_gradients = call.grad_v || call.grad_x;
    const bool fits = allocate_in_arena([&](Arena& arena) {
        columns.allocate(arena, call.grad_v || call.grad_coefficients, call.grad_x, call.v);
        if (needs_input_gradients) coefficients.allocate(arena);
        knots = arena.take<Knots<T>>(last_input - first_input);
        g = arena.take<T>(longest * tiles.vectors * width);
        totals = arena.take<T>(needs_input_gradients ? columns.stride() * width : 0);
        contracted = arena.take<T>(needs_input_gradients ? kBlock * columns.stride() : 0);
    });
    if (!fits) return false;
    if (needs_input_gradients) coefficients.prepare();
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, G);
    for (std::int64_t b = begin; b < end; b += strip) {
        const std::int64_t n = smaller(strip, end - b);
        pack(call.g + b * O, tiles, n, most, g);
        const auto contract = [&](bool of_next_order, std::int64_t i, int count, T* to) {
            for (int c = 0; c < count; ++c) {
                for_tiles(tiles, 0, tiles.vectors, most, [&](std::int64_t vector, int vectors) {
                    const bool last = vector + vectors == tiles.vectors;
                    const TileRows<T> tile = coefficients.tile(i + c, vector);
                    const TileRows<T> next = last ? coefficients.tile(smaller(i + c + 1, I - 1), 0)
                                                  : coefficients.tile(i + c, vector + vectors);
                    const auto column = vectors == 4   ? vector == 0 ? contract_column<T, K, smaller(4, most), true>
                                                                     : contract_column<T, K, smaller(4, most), false>
                                        : vectors == 2 ? vector == 0 ? contract_column<T, K, smaller(2, most), true>
                                                                     : contract_column<T, K, smaller(2, most), false>
                                        : vector == 0  ? contract_column<T, K, 1, true>
                                                       : contract_column<T, K, 1, false>;
                    column(columns[c], of_next_order, tile, order == Order::kSorted ? &next : nullptr, g + vector * width * n,
                           tiles.lanes(vector), totals);
                });
                for (std::int64_t p = 0; p < n; p += width)
                    store(contracted + c * columns.stride() + p, sums_of_lanes<Vector<T>>(totals + p * width));
            }
            transpose(contracted, columns.stride(), count, n, to + b * I + i, I);
        };
        for (std::int64_t i = first_input; i < last_input; i += kBlock) {
            const int count = static_cast<int>(smaller<std::int64_t>(kBlock, last_input - i));
            columns.read(knots + (i - first_input), call.x + b * I + i, call.v ? call.v + b * I + i : nullptr, n, count);
            if (call.grad_v) contract(false, i, count, call.grad_v);
            if (call.grad_x) {
                if (call.v) columns.weigh(true, n, count);
                contract(true, i, count, call.grad_x);
            }
            if (!call.grad_coefficients) continue;
            if (call.v) columns.weigh(false, n, count);
            for (int c = 0; c < count; ++c) {
                for_tiles(tiles, 0, tiles.vectors, most, [&](std::int64_t vector, int vectors) {
                    const auto column = vectors == 4   ? coefficient_column<T, K, smaller(4, most)>
                                        : vectors == 2 ? coefficient_column<T, K, smaller(2, most)>
                                                       : coefficient_column<T, K, 1>;
                    T* to = call.grad_coefficients + (i + c) * rows * O + vector * width;
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
