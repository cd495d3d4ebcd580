// The gradients of a layer: what its outputs' sensitivities g pull at values, slopes and coefficients, in one pass.
#pragma once

#include "dense.hpp"
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace superpose {
namespace {

// More intervals than this are not worth sums of their own, which must be cleared and added up.
constexpr std::int64_t kNarrowIntervals = 64;

// Tiles of g stand one after another, so that samples taken in any order lie close together. Lanes beyond the outputs
// are zero.
template <class T>
void pack(const T* g, const Tiles<T>& tiles, std::int64_t n, int most, T* to) {
    constexpr int width = Simd<T>::width;
    const std::int64_t outputs = tiles.outputs;
    if (outputs < width) {
        // Reads on into the next sample, and drops it; the last few have none to read.
        typename Simd<T>::I keep;
        for (int l = 0; l < width; ++l) keep[l] = l < outputs ? -1 : 0;
        std::int64_t b = 0;
        for (; (b * outputs + width) <= n * outputs; ++b, to += width)
            store(to, Vector<T>(keep ? load(g + b * outputs) : Vector<T>{}));
        for (; b < n; ++b, to += width) store(to, load_part(g + b * outputs, static_cast<int>(outputs)));
        return;
    }
    for_tiles(tiles, 0, tiles.vectors, most, [&](std::int64_t vector, int vectors) {
        const T* from = g + vector * width;
        const int lanes = smaller<std::int64_t>(width, tiles.lanes(vector));
        for (std::int64_t b = 0; b < n; ++b, from += outputs)
            for (int j = 0; j < vectors; ++j, to += width) store(to, load_part(from + j * width, lanes));
    });
}

// ------------------------------------------------------------------------------------------------ many outputs

// Lanes of two vectors added in pairs: first those of a, then those of b.
template <class T>
SUPERPOSE_INLINE Vector<T> add_pairs(Vector<T> a, Vector<T> b) {
    typedef typename Simd<T>::I I;
    if constexpr (Simd<T>::width == 2) {
        return SUPERPOSE_PICK(I, a, b, 0, 2) + SUPERPOSE_PICK(I, a, b, 1, 3);
    } else if constexpr (Simd<T>::width == 4) {
        return SUPERPOSE_PICK(I, a, b, 0, 2, 4, 6) + SUPERPOSE_PICK(I, a, b, 1, 3, 5, 7);
    } else if constexpr (Simd<T>::width == 8) {
        return SUPERPOSE_PICK(I, a, b, 0, 2, 4, 6, 8, 10, 12, 14) + SUPERPOSE_PICK(I, a, b, 1, 3, 5, 7, 9, 11, 13, 15);
    } else {
        return SUPERPOSE_PICK(I, a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
               SUPERPOSE_PICK(I, a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    }
}

// Lane q of the result is the sum of the lanes of the q-th of N vectors.
template <class T, int N>
SUPERPOSE_INLINE Vector<T> sums_of_lanes(const T* from) {
    if constexpr (N == 1) {
        return load(from);
    } else {
        return add_pairs<T>(sums_of_lanes<T, N / 2>(from), sums_of_lanes<T, N / 2>(from + N / 2 * Simd<T>::width));
    }
}

// totals[b] gets, or gets more of, the products of g and the edge functions at sample b, lane by lane.
template <class T, int K, int NV, bool FRESH>
void pull_column(const Column<T>& column, bool of_slopes, const TileRows<T>& tile, const TileRows<T>* next, const T* g,
                 std::int64_t lanes, T* totals) {
    constexpr int width = Simd<T>::width;
    Vector<T> base[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) base[j] = load(tile.base + j * width);
    // A broken vector reads on into other rows: g is zero there, but zero times a NaN is not.
    typename Simd<T>::I keep;
    for (int l = 0; l < width; ++l) keep[l] = l < lanes ? -1 : 0;
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
// K + 1 rows slides over the intervals.
template <class T, int K, int NV>
void coefficient_column(const Column<T>& column, std::int64_t intervals, const T* g, T* to, T* base_to,
                        std::int64_t outputs, int left, bool add) {
    constexpr int width = Simd<T>::width;
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
            put(to, window[0]);
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
                    store(pulled + c * columns.stride() + p, sums_of_lanes<T, width>(totals + p * width));
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

// ------------------------------------------------------------------------------------------------ few outputs and intervals

// totals[(r, o)] gets, or gets more of, the products of row r and g[o] at n samples, lane by lane, for NR rows from r on.
template <class T, int NR, int NO>
SUPERPOSE_INLINE void multiply_by(const T* rows, const T* g, std::int64_t stride, std::int64_t n, std::int64_t outputs,
                                    bool fresh, T* totals) {
    constexpr int width = Simd<T>::width;
    Vector<T> sum[NR][NO];
#pragma GCC unroll 4
    for (int r = 0; r < NR; ++r) {
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) sum[r][q] = fresh ? Vector<T>{} : load(totals + (r * outputs + q) * width);
    }
    for (std::int64_t p = 0; p < n; p += width) {
        Vector<T> here[NO];
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) here[q] = load(g + q * stride + p);
#pragma GCC unroll 4
        for (int r = 0; r < NR; ++r) {
            const Vector<T> row = load(rows + r * kRun + p);
#pragma GCC unroll 4
            for (int q = 0; q < NO; ++q) sum[r][q] += row * here[q];
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < NR; ++r) {
#pragma GCC unroll 4
        for (int q = 0; q < NO; ++q) store(totals + (r * outputs + q) * width, sum[r][q]);
    }
}

template <class T, int NO>
void multiply_all_by(const T* rows, std::int64_t count, const T* g, std::int64_t stride, std::int64_t n,
                       std::int64_t outputs, bool fresh, T* totals) {
    constexpr int width = Simd<T>::width, most = kRegisters == 32 ? 4 : 2;
    std::int64_t r = 0;
    for (; r + most <= count; r += most)
        multiply_by<T, most, NO>(rows + r * kRun, g, stride, n, outputs, fresh, totals + r * outputs * width);
    for (; r < count; ++r)
        multiply_by<T, 1, NO>(rows + r * kRun, g, stride, n, outputs, fresh, totals + r * outputs * width);
}

// Samples [begin, end) and inputs [first_input, last_input).
template <class T, int K>
bool pull_dense(const Pulls<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                std::int64_t last_input) {
    constexpr int width = Simd<T>::width;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, count = shape.rows(), size = count * O;
    const std::int64_t longest = smaller(kNarrowStrip, end - begin);
    Columns<T, K> columns(shape, longest, Order::kNone);
    const std::int64_t stride = columns.stride();
    Knots<T>* knots;
    T *g, *rows, *totals, *pulled;
    const bool needs_pulls = call.value || call.slope;
    const bool fits = lay_out([&](Cutter& cutter) {
        columns.cut(cutter, call.value || call.coefficient, call.slope, call.v);
        knots = cutter.cut<Knots<T>>(last_input - first_input);
        g = cutter.cut<T>(O * stride);
        rows = cutter.cut<T>(work_size<T>(shape));
        totals = cutter.cut<T>(call.coefficient ? size * width : 0);
        pulled = cutter.cut<T>(needs_pulls ? kBlock * stride : 0);
    });
    if (!fits) return false;
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
    for (std::int64_t b = begin; b < end; b += kNarrowStrip) {
        const std::int64_t n = smaller(kNarrowStrip, end - b);
        turn_round(call.g + b * O, O, n, O, g, stride);
        for (std::int64_t o = 0; o < O; ++o)
            for (std::int64_t p = n; p < stride && p % width != 0; ++p) g[o * stride + p] = 0;
        const auto pull = [&](bool of_slopes, std::int64_t i, int some, T* to) {
            for (int c = 0; c < some; ++c) {
                for (std::int64_t p = 0; p < n; p += kRun) {
                    const std::int64_t here = smaller<std::int64_t>(kRun, n - p);
                    T* sums = pulled + c * stride + p;
                    const T* factors = g + p;
                    for_edges<T, K>(columns[c], of_slopes, p, here, shape, call.coefficients + (i + c) * size, rows,
                                    [=](std::int64_t o, std::int64_t q, const Vector<T>* edge, int outputs) {
                                        Vector<T> sum = o == 0 ? Vector<T>{} : load(sums + q);
                                        for (int j = 0; j < outputs; ++j)
                                            sum += edge[j] * load(factors + (o + j) * stride + q);
                                        store(sums + q, sum);
                                    });
                }
            }
            turn_round(pulled, stride, some, n, to + b * I + i, I);
        };
        for (std::int64_t i = first_input; i < last_input; i += kBlock) {
            const int some = static_cast<int>(smaller<std::int64_t>(kBlock, last_input - i));
            columns.read(knots + (i - first_input), call.x + b * I + i, call.v ? call.v + b * I + i : nullptr, n, some);
            if (call.value) pull(false, i, some, call.value);
            if (call.slope) {
                if (call.v) columns.weigh(true, n, some);
                pull(true, i, some, call.slope);
            }
            if (!call.coefficient) continue;
            if (call.v) columns.weigh(false, n, some);
            for (int c = 0; c < some; ++c) {
                for (std::int64_t p = 0; p < n; p += kRun) {
                    const std::int64_t here = smaller<std::int64_t>(kRun, n - p);
                    spread<T, K>(columns[c], false, p, here, shape, rows);
                    std::int64_t o = 0;
                    const auto multiply = [&](auto&& some_rows, int outputs) {
                        some_rows(rows, count, g + o * stride + p, stride, here, O, p == 0, totals + o * width);
                        o += outputs;
                    };
                    while (o + 4 <= O) multiply(multiply_all_by<T, 4>, 4);
                    while (o + 2 <= O) multiply(multiply_all_by<T, 2>, 2);
                    while (o < O) multiply(multiply_all_by<T, 1>, 1);
                }
                T* to = call.coefficient + (i + c) * size;
                for (std::int64_t at = 0; at < size; ++at) {
                    const T sum = sum_lanes<T>(load(totals + at * width));
                    to[at] = b == begin ? sum : to[at] + sum;
                }
            }
        }
    }
    return true;
}

// ------------------------------------------------------------------------------------------------ few outputs

// sums[b] = sum over a vector of outputs of g times the edge function.
template <class T, int K>
void pull_vector(const TileRows<T>& tile, const Record<T>* records, std::int64_t n, const T* g, std::int64_t outputs,
                 T* sums) {
    // What is read on into other rows does not count: g is zero there, but zero times a NaN is not.
    typename Simd<T>::I keep;
    for (int l = 0; l < Simd<T>::width; ++l) keep[l] = l < outputs ? -1 : 0;
    const Vector<T> base = load(tile.base);
    for (std::int64_t b = 0; b < n; ++b) {
        const Record<T>& record = records[b];
        const T* row = tile.rows + record.first * tile.stride;
        Vector<T> edge = all(record.weights[kBaseWeight]) * base;
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) edge += all(record.weights[s]) * load(row + s * tile.stride);
        const Vector<T> total = edge * load(g + b * Simd<T>::width);
        sums[b] = sum_lanes<T>(keep ? total : Vector<T>{});
    }
}

// A single output; see side_by_side.
template <class T, int K>
void pull_single(const TileRows<T>& tile, const Record<T>* records, std::int64_t n, const T* g, T* sums) {
    typedef typename Four<T>::V V;
    for (std::int64_t b = 0; b < n; ++b) {
        const Record<T>& record = records[b];
        const V edge = load_four(record.weights) * side_by_side<T, K>(tile.rows + record.first);
        sums[b] = g[b] * (((edge[0] + edge[2]) + (edge[1] + edge[3])) + record.weights[kBaseWeight] * tile.base[0]);
    }
}

// Gradient of one input's coefficients for a single output: each interval has sums of its own, two of them in turn, so
// that a sample seldom waits for the one before it.
template <class T, int K>
void coefficient_single(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* work, T* to,
                        T* base_to, bool add) {
    typedef typename Four<T>::V V;
    const std::int64_t size = 4 * intervals;
    std::memset(static_cast<void*>(work), 0, sizeof(T) * 2 * size);
    const auto take = [=](std::int64_t b, T* sums, T& base) {
        const Record<T>& record = records[b];
        T* at = sums + 4 * std::int64_t(record.first);
        store_four(at, V(load_four(at) + g[b] * load_four(record.weights)));
        base += g[b] * record.weights[kBaseWeight];
    };
    T base = 0, other_base = 0;
    std::int64_t b = 0;
    for (; b + 2 <= n; b += 2) {
        take(b, work, base);
        take(b + 1, work + size, other_base);
    }
    if (b < n) take(b, work, base);
    if (!add) {
        for (std::int64_t r = 0; r < intervals + K; ++r) to[r] = 0;
        if (base_to) *base_to = 0;
    }
    for (std::int64_t m = 0; m < intervals; ++m)
        for (int s = 0; s <= K; ++s) to[m + s] += work[4 * m + s] + work[size + 4 * m + s];
    if (base_to) *base_to += base + other_base;
}

// Gradient of one input's coefficients for a vector of outputs or less, likewise.
template <class T, int K>
void coefficient_vector(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* work, T* to,
                        T* base_to, std::int64_t outputs, bool add) {
    constexpr int width = Simd<T>::width;
    std::memset(static_cast<void*>(work), 0, sizeof(T) * intervals * (K + 1) * width);
    Vector<T> base = {};
    for (std::int64_t b = 0; b < n; ++b) {
        const Record<T>& record = records[b];
        const Vector<T> here = load(g + b * width);
        T* at = work + record.first * (K + 1) * width;
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s, at += width) store(at, Vector<T>(load(at) + all(record.weights[s]) * here));
        base += all(record.weights[kBaseWeight]) * here;
    }
    const int lanes = static_cast<int>(outputs);
    const auto put = [&](T* row, Vector<T> value) {
        if (add) value += load_part(row, lanes);
        store_part(row, value, lanes);
    };
    for (std::int64_t r = 0; r < intervals + K; ++r, to += outputs) {
        Vector<T> sum = {};
        for (int s = 0; s <= K; ++s)
            if (r - s >= 0 && r - s < intervals) sum += load(work + ((r - s) * (K + 1) + s) * width);
        put(to, sum);
    }
    if (base_to) put(base_to, base);
}

// A vector of outputs or less, on intervals that are few enough for sums of their own.
template <class T, int K>
bool pull_narrow(const Pulls<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                 std::int64_t last_input) {
    constexpr int width = Simd<T>::width;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, rows = shape.rows(), G = shape.intervals;
    const std::int64_t longest = smaller(kNarrowStrip, end - begin);
    const bool single = O == 1 && K <= 3;
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Record<T>*values, *slopes;
    T *sums, *g, *work;
    const bool needs_values = call.value || call.coefficient, needs_pulls = call.value || call.slope;
    const bool fits = lay_out([&](Cutter& cutter) {
        reader.cut(cutter);
        if (needs_pulls) coefficients.cut(cutter);
        values = needs_values ? cutter.cut<Record<T>>(longest) : nullptr;
        slopes = call.slope ? cutter.cut<Record<T>>(longest) : nullptr;
        sums = cutter.cut<T>(longest);
        g = cutter.cut<T>(single ? 0 : longest * width);
        work = cutter.cut<T>(!call.coefficient ? 0 : single ? 8 * G : G * (K + 1) * width);
    });
    if (!fits) return false;
    if (needs_pulls) coefficients.prepare();
    const BaseFunction<T> base(shape.base, shape.order), next(shape.base, shape.order + 1);
    for (std::int64_t b = begin; b < end; b += kNarrowStrip) {
        const std::int64_t n = smaller(kNarrowStrip, end - b);
        if (!single) pack(call.g + b * O, Tiles<T>(O), n, 1, g);
        for (std::int64_t i = first_input; i < last_input; ++i) {
            const std::int64_t at = b * I + i;
            reader.read(read_knots(call.knots + i * shape.knots(), K, G), base, next, call.x + at, I, n, values, slopes);
            const auto pull = [&](const Record<T>* records) {
                const TileRows<T> tile = coefficients.tile(i, 0);
                if (single) {
                    pull_single<T, K>(tile, records, n, call.g + b, sums);
                } else {
                    pull_vector<T, K>(tile, records, n, g, O, sums);
                }
            };
            if (call.value) {
                pull(values);
                for (std::int64_t p = 0; p < n; ++p) call.value[at + p * I] = sums[p];
            }
            if (call.slope) {
                pull(slopes);
                for (std::int64_t p = 0; p < n; ++p)
                    call.slope[at + p * I] = call.v ? call.v[at + p * I] * sums[p] : sums[p];
            }
            if (!call.coefficient) continue;
            if (call.v) scale_records<T, K>(call.v + at, I, n, values);
            T* to = call.coefficient + i * rows * O;
            T* base_to = shape.base == kNone ? nullptr : to + (rows - 1) * O;
            if (single) {
                coefficient_single<T, K>(values, n, G, call.g + b, work, to, base_to, b != begin);
            } else {
                coefficient_vector<T, K>(values, n, G, g, work, to, base_to, O, b != begin);
            }
        }
    }
    return true;
}

// ------------------------------------------------------------------------------------------------ both

// Asks for large pages for memory that is about to be written for the first time: taking small ones from the system one
// by one costs more than filling them.
inline void expect_writes(void* memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = std::uintptr_t(2) << 20;
    // Smaller pieces come from what was freed before, and whole large pages would waste some of them.
    if (bytes < 2 * page) return;
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
    const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
    // Only advice: where it is not taken nothing is lost.
    if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

template <class T, int K>
bool pulls(const Pulls<T>& call) {
    const Shape& shape = call.shape;
    const std::int64_t B = shape.batch, I = shape.inputs, O = shape.outputs, rows = shape.rows();
    const std::int64_t size = I * rows * O;
    if (B == 0 || I == 0 || O == 0) {
        if (call.coefficient) std::memset(static_cast<void*>(call.coefficient), 0, sizeof(T) * size);
        if (call.value) std::memset(static_cast<void*>(call.value), 0, sizeof(T) * B * I);
        if (call.slope) std::memset(static_cast<void*>(call.slope), 0, sizeof(T) * B * I);
        return true;
    }
    if (call.coefficient) expect_writes(call.coefficient, sizeof(T) * static_cast<std::size_t>(size));
    const bool dense = is_dense<T>(shape);
    const bool narrow = (O == 1 && K <= 3) || (O <= Simd<T>::width && shape.intervals <= kNarrowIntervals);
    const auto part = [narrow, dense](const Pulls<T>& own, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                               std::int64_t last_input) {
        if (begin == end || first_input == last_input) return true;
        if (dense) return pull_dense<T, K>(own, begin, end, first_input, last_input);
        return narrow ? pull_narrow<T, K>(own, begin, end, first_input, last_input)
                      : pull_wide<T, K>(own, begin, end, first_input, last_input);
    };
    const int threads = threads_for(shape);
    if (threads == 1) return part(call, 0, B, 0, I);
    int failed = 0, parts_made = 0;
    if (I % threads == 0 || I >= 4 * threads) {
#pragma omp parallel num_threads(threads) reduction(| : failed)
        {
            const Share inputs(I, 1, thread_index(), threads_at_work());
            failed |= !part(call, 0, B, inputs.begin, inputs.end);
        }
        return !failed;
    }
    // Few inputs: the threads share the samples, and each has a gradient of its own that is added up in order.
    T* parts = nullptr;
    if (call.coefficient) {
        parts = static_cast<T*>(std::malloc(sizeof(T) * static_cast<std::size_t>(size) * (threads - 1)));
        if (!parts) return false;
    }
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const int index = thread_index(), count = threads_at_work();
        const Share samples(B, 16, index, count);
        if (index == 0) parts_made = count - 1;
        Pulls<T> own = call;
        if (parts && index > 0) own.coefficient = parts + (index - 1) * size;
        if (parts && samples.begin == samples.end)
            std::memset(static_cast<void*>(own.coefficient), 0, sizeof(T) * size);
        failed |= !part(own, samples.begin, samples.end, 0, I);
    }
    if (parts) {
        for (int part = 0; part < parts_made; ++part)
            for (std::int64_t n = 0; n < size; ++n) call.coefficient[n] += parts[part * size + n];
        std::free(parts);
    }
    return !failed;
}

}  // namespace
}  // namespace superpose
