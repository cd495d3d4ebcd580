// Few outputs on many intervals, and a single output: what is not zero at a sample is a record.
#pragma once

#include "coefficients.hpp"

namespace superpose {
namespace {

// More intervals than this are not worth sums of their own, which must be cleared and added up.
constexpr std::int64_t kNarrowIntervals = 64;

// ------------------------------------------------------------------------------------------------ sums

// Where sums go: rows of `outputs` lanes, a vector or less. Whether there is nothing yet to add to; whether nothing will
// be added later.
template <class T>
struct Sums {
    T* to;
    std::int64_t outputs, samples;
    bool fresh, final;

    // A part of a vector may be stored whole where the sums of later samples will cover the rest.
    int lanes(std::int64_t b) const {
        const bool whole = fresh && final && b * outputs + Simd<T>::width <= samples * outputs;
        return whole ? Simd<T>::width : static_cast<int>(outputs);
    }
};

// NB samples over `count` inputs.
template <class T, int K, int NB>
SUPERPOSE_INLINE void sum_samples(const TileRows<T>* tiles, const Record<T>* const* records, int count, std::int64_t b,
                                  const Sums<T>& out) {
    Vector<T> sum[NB];
#pragma GCC unroll 16
    for (int q = 0; q < NB; ++q) {
        const T* from = out.to + (b + q) * out.outputs;
        sum[q] = out.fresh ? Vector<T>{} : load_part(from, static_cast<int>(out.outputs));
    }
    for (int i = 0; i < count; ++i) {
        const std::int64_t stride = tiles[i].stride;
        const Record<T>* record = records[i] + b;
        const T* row[NB];
#pragma GCC unroll 16
        for (int q = 0; q < NB; ++q) row[q] = tiles[i].rows + record[q].first * stride;
        // Sample after sample for each row: a sum is not asked for again before its last product is there.
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) {
#pragma GCC unroll 16
            for (int q = 0; q < NB; ++q) sum[q] += all(record[q].weights[s]) * load(row[q] + s * stride);
        }
        const Vector<T> base = load(tiles[i].base);
#pragma GCC unroll 16
        for (int q = 0; q < NB; ++q) sum[q] += all(record[q].weights[kBaseWeight]) * base;
    }
#pragma GCC unroll 16
    for (int q = 0; q < NB; ++q) store_part(out.to + (b + q) * out.outputs, sum[q], out.lanes(b + q));
}

template <class T, int K>
void sum_vector(const TileRows<T>* tiles, const Record<T>* const* records, int count, const Sums<T>& out) {
    // As many sums at a time as registers hold: each waits for its last product.
    constexpr int NB = kRegisters / 16 * 6;
    std::int64_t b = 0;
    for (; b + NB <= out.samples; b += NB) sum_samples<T, K, NB>(tiles, records, count, b, out);
    for (; b < out.samples; ++b) sum_samples<T, K, 1>(tiles, records, count, b, out);
}

// A single output; see side_by_side.
template <class T, int K>
void sum_single(const TileRows<T>* tiles, const Record<T>* const* records, int count, const Sums<T>& out) {
    typedef typename Four<T>::V V;
    for (std::int64_t b = 0; b < out.samples; ++b) {
        V sum = {};
        T base = out.fresh ? T(0) : out.to[b];
        for (int i = 0; i < count; ++i) {
            const Record<T>& record = records[i][b];
            sum += load_four(record.weights) * side_by_side<T, K>(tiles[i].rows + record.first);
            base += record.weights[kBaseWeight] * tiles[i].base[0];
        }
        out.to[b] = ((sum[0] + sum[2]) + (sum[1] + sum[3])) + base;
    }
}

// Samples [begin, end) by outputs that make one vector or less. Sums stay in registers.
template <class T, int K>
bool sum_narrow(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end) {
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs;
    const std::int64_t longest = smaller(kNarrowStrip, end - begin);
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    Record<T>* records[kBlock];
    const bool fits = lay_out([&](Cutter& cutter) {
        reader.cut(cutter);
        coefficients.cut(cutter);
        knots = cutter.cut<Knots<T>>(I);
        for (auto& part : records) part = cutter.cut<Record<T>>(longest + 4);
    });
    if (!fits) return false;
    coefficients.prepare();
    for (std::int64_t i = 0; i < I; ++i) knots[i] = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
    const BaseFunction<T> base(shape.base, shape.order);
    for (std::int64_t b = begin; b < end; b += kNarrowStrip) {
        const std::int64_t n = smaller(kNarrowStrip, end - b);
        for (std::int64_t i = 0; i < I; i += kBlock) {
            const int count = static_cast<int>(smaller<std::int64_t>(kBlock, I - i));
            TileRows<T> tiles[kBlock];
            for (int c = 0; c < count; ++c) {
                reader.read(knots[i + c], base, base, call.x + b * I + i + c, I, n, records[c], nullptr);
                if (call.v) scale_records<T, K>(call.v + b * I + i + c, I, n, records[c]);
                tiles[c] = coefficients.tile(i + c, 0);
            }
            const Sums<T> out{call.out + b * O, O, n, i == 0, i + count == I};
            if (O == 1 && K <= 3) {
                sum_single<T, K>(tiles, records, count, out);
            } else {
                sum_vector<T, K>(tiles, records, count, out);
            }
        }
    }
    return true;
}

// ------------------------------------------------------------------------------------------------ gradients

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

}  // namespace
}  // namespace superpose
