// A vector of outputs or less: what is not zero at a sample is a record.
#pragma once

#include "coefficients.hpp"

namespace superpose {
namespace {

// Bytes of sums that intervals may have of their own; more are not worth it, for they must be cleared and added up.
constexpr std::int64_t kOwnSums = 16384;

// Numbers in the sums of all intervals.
template <class T>
std::int64_t own_sums(const Shape& shape, int width) {
    const bool single = shape.outputs == 1 && shape.degree <= 3;
    return shape.intervals * (single ? 8 : (shape.degree + 1) * width);
}

// Of a vector or less, how many lanes are worked with.
template <class T>
int narrow_width(std::int64_t outputs) {
    return 2 * outputs <= Simd<T>::width ? LanesOf<HalfVector<T>>::width : Simd<T>::width;
}

// Whether the gradients are made here: or else, where many samples share their rows, by columns.
template <class T>
bool is_narrow(const Shape& shape, std::int64_t samples) {
    if (shape.outputs > Simd<T>::width) return false;
    const int width = narrow_width<T>(shape.outputs);
    return width < Simd<T>::width || std::int64_t(sizeof(T)) * own_sums<T>(shape, width) <= kOwnSums ||
           2 * shape.intervals > smaller(samples, strip_length(shape.intervals, kPullStrip));
}

// ------------------------------------------------------------------------------------------------ sums

// Where sums go: rows of `outputs` lanes, a vector or less. Whether there is nothing yet to add to; whether nothing will
// be added later.
template <class T>
struct Sums {
    T* to;
    std::int64_t outputs, samples;
    bool fresh, final;

    // Whether samples up to b may be stored as whole vectors: where a part is, the sums of later samples cover the rest.
    bool are_whole(std::int64_t b, int width) const {
        return outputs == width || (fresh && final && b * outputs + width <= samples * outputs);
    }
};

// NB samples over `count` inputs, in vectors V.
template <class T, int K, int NB, class V>
SUPERPOSE_INLINE void sum_samples(const TileRows<T>* tiles, const Record<T>* const* records, int count, std::int64_t b,
                                  const Sums<T>& out) {
    constexpr int width = LanesOf<V>::width;
    V sum[NB] = {};
    // Parts of vectors, one after another: they are seldom, and their branches are long.
    T parts[NB * width];
    if (!out.fresh) {
        const T* from = out.to + b * out.outputs;
#pragma GCC unroll 1
        for (int q = 0; q < NB; ++q, from += out.outputs)
            store_as<V>(parts + q * width, load_part<T, V>(from, static_cast<int>(out.outputs)));
#pragma GCC unroll 16
        for (int q = 0; q < NB; ++q) sum[q] = load_as<V>(parts + q * width);
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
            for (int q = 0; q < NB; ++q) sum[q] += record[q].weights[s] * load_as<V>(row[q] + s * stride);
        }
        const V base = load_as<V>(tiles[i].base);
#pragma GCC unroll 16
        for (int q = 0; q < NB; ++q) sum[q] += record[q].weights[kBaseWeight] * base;
    }
    T* to = out.to + b * out.outputs;
    if (out.are_whole(b + NB - 1, width)) {
#pragma GCC unroll 16
        for (int q = 0; q < NB; ++q) store_as<V>(to + q * out.outputs, sum[q]);
        return;
    }
#pragma GCC unroll 16
    for (int q = 0; q < NB; ++q) store_as<V>(parts + q * width, sum[q]);
#pragma GCC unroll 1
    for (int q = 0; q < NB; ++q, to += out.outputs)
        store_part(to, load_as<V>(parts + q * width), static_cast<int>(out.outputs));
}

template <class T, int K, class V>
void sum_vectors(const TileRows<T>* tiles, const Record<T>* const* records, int count, const Sums<T>& out) {
    // As many sums at a time as registers hold: each waits for its last product.
    constexpr int NB = kRegisters / 16 * 6;
    std::int64_t b = 0;
    for (; b + NB <= out.samples; b += NB) sum_samples<T, K, NB, V>(tiles, records, count, b, out);
    for (; b < out.samples; ++b) sum_samples<T, K, 1, V>(tiles, records, count, b, out);
}

// A vector of outputs or less.
template <class T, int K>
void sum_vector(const TileRows<T>* tiles, const Record<T>* const* records, int count, const Sums<T>& out) {
    if (narrow_width<T>(out.outputs) < Simd<T>::width) {
        sum_vectors<T, K, HalfVector<T>>(tiles, records, count, out);
    } else {
        sum_vectors<T, K, Vector<T>>(tiles, records, count, out);
    }
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

// sums[b] = sum over a vector V of outputs of g times the edge function.
template <class T, int K, class V>
void pull_vector(const TileRows<T>& tile, const Record<T>* records, std::int64_t n, const T* g, std::int64_t outputs,
                 T* sums) {
    constexpr int width = LanesOf<V>::width;
    // What is read on into other rows does not count: g is zero there, but zero times a NaN is not.
    const auto keep = first_lanes<V>(outputs);
    const V base = load_as<V>(tile.base);
    const auto product = [=](std::int64_t b) __attribute__((always_inline)) {
        const Record<T>& record = records[b];
        const T* row = tile.rows + record.first * tile.stride;
        V edge = record.weights[kBaseWeight] * base;
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s) edge += record.weights[s] * load_as<V>(row + s * tile.stride);
        return V(keep ? edge * load_as<V>(g + b * width) : V{});
    };
    std::int64_t b = 0;
    T products[width * width];
    for (; b + width <= n; b += width) {
#pragma GCC unroll 4
        for (int q = 0; q < width; ++q) store_as<V>(products + q * width, product(b + q));
        store_as<V>(sums + b, sums_of_lanes<V>(products));
    }
    for (; b < n; ++b) sums[b] = Halves<T, sizeof(V)>::sum(product(b));
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

// Gradient of one input's coefficients for a vector V of outputs or less, likewise.
template <class T, int K, class V>
void coefficient_vector(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* work, T* to,
                        T* base_to, std::int64_t outputs, bool add) {
    constexpr int width = LanesOf<V>::width;
    std::memset(static_cast<void*>(work), 0, sizeof(T) * intervals * (K + 1) * width);
    V base = {};
    for (std::int64_t b = 0; b < n; ++b) {
        const Record<T>& record = records[b];
        const V here = load_as<V>(g + b * width);
        T* own = work + record.first * (K + 1) * width;
#pragma GCC unroll 8
        for (int s = 0; s <= K; ++s, own += width) store_as<V>(own, V(load_as<V>(own) + record.weights[s] * here));
        base += record.weights[kBaseWeight] * here;
    }
    const int lanes = static_cast<int>(outputs);
    const auto put = [&](T* row, V value) {
        if (add) value += load_part<T, V>(row, lanes);
        store_part(row, value, lanes);
    };
    for (std::int64_t r = 0; r < intervals + K; ++r, to += outputs) {
        V sum = {};
        for (int s = 0; s <= K; ++s)
            if (r - s >= 0 && r - s < intervals) sum += load_as<V>(work + ((r - s) * (K + 1) + s) * width);
        put(to, sum);
    }
    if (base_to) put(base_to, base);
}

// Calls take(sample) for all n, four streams in turn: neighbours in a table often lie on the same interval, and each
// would wait for the sums of the one before it.
template <class F>
SUPERPOSE_INLINE void in_streams(std::int64_t n, F&& take) {
    const std::int64_t quarter = n / 4;
    for (std::int64_t b = 0; b < quarter; ++b) {
#pragma GCC unroll 4
        for (int stream = 0; stream < 4; ++stream) take(b + stream * quarter);
    }
    for (std::int64_t b = 4 * quarter; b < n; ++b) take(b);
}

// The same on many intervals, where sums of their own, which must be cleared and added up, are not worth it: each sample
// is added where it belongs.
template <class T, int K, class V>
void coefficient_rows(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* to, T* base_to,
                      std::int64_t outputs, bool add) {
    constexpr int width = LanesOf<V>::width;
    const int lanes = static_cast<int>(outputs);
    const std::int64_t size = (intervals + K) * outputs;
    if (!add) {
        std::memset(static_cast<void*>(to), 0, sizeof(T) * static_cast<std::size_t>(size));
        if (base_to) std::memset(static_cast<void*>(base_to), 0, sizeof(T) * static_cast<std::size_t>(outputs));
    }
    const auto keep = first_lanes<V>(lanes);
    V base = {};
    // From here on a whole vector would reach beyond the rows.
    const std::int64_t broken = (size - width) / outputs - K + 1;
    in_streams(n, [&](std::int64_t b) __attribute__((always_inline)) {
        const Record<T>& record = records[b];
        const V here = load_as<V>(g + b * width);
        T* const row = to + record.first * outputs;
        if (record.first < broken) {
            // All rows are read before the first is written: a vector reaches into the next row, and would wait for it.
            V sum[K + 1];
#pragma GCC unroll 8
            for (int s = 0; s <= K; ++s) {
                // Lanes of the next row get a zero, not the product of zero and a NaN.
                const V more = keep ? record.weights[s] * here : V{};
                sum[s] = load_as<V>(row + s * outputs) + more;
            }
#pragma GCC unroll 8
            for (int s = 0; s <= K; ++s) store_as<V>(row + s * outputs, sum[s]);
        } else {
            for (int s = 0; s <= K; ++s)
                for (std::int64_t o = 0; o < outputs; ++o) row[s * outputs + o] += record.weights[s] * g[b * width + o];
        }
        base += record.weights[kBaseWeight] * here;
    });
    if (base_to) store_part(base_to, V(base + load_part<T, V>(base_to, lanes)), lanes);
}

// Likewise for a single output.
template <class T, int K>
void coefficient_rows_single(const Record<T>* records, std::int64_t n, std::int64_t intervals, const T* g, T* to,
                             T* base_to, bool add) {
    if (!add) {
        std::memset(static_cast<void*>(to), 0, sizeof(T) * static_cast<std::size_t>(intervals + K));
        if (base_to) *base_to = 0;
    }
    T base = 0;
    in_streams(n, [&](std::int64_t b) __attribute__((always_inline)) {
        const Record<T>& record = records[b];
        T* row = to + record.first;
        if constexpr (K == 3) {
            store_four(row, load_four(row) + g[b] * load_four(record.weights));
        } else {
            for (int s = 0; s <= K; ++s) row[s] += g[b] * record.weights[s];
        }
        base += g[b] * record.weights[kBaseWeight];
    });
    if (base_to) *base_to += base;
}

// What pull_narrow does for one width of vectors.
template <class T, int K, class V>
bool pull_vectors(const Pulls<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                  std::int64_t last_input) {
    constexpr int width = LanesOf<V>::width;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, rows = shape.rows(), G = shape.intervals;
    const std::int64_t longest = smaller(kNarrowStrip, end - begin);
    const bool single = O == 1 && K <= 3;
    const std::int64_t size = own_sums<T>(shape, width);
    const bool own = std::int64_t(sizeof(T)) * size <= kOwnSums;
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    Record<T>*values, *slopes;
    T *sums, *g, *work;
    const bool needs_values = call.value || call.coefficient, needs_pulls = call.value || call.slope;
    const bool fits = lay_out([&](Cutter& cutter) {
        reader.cut(cutter);
        if (needs_pulls) coefficients.cut(cutter);
        knots = cutter.cut<Knots<T>>(last_input - first_input);
        values = needs_values ? cutter.cut<Record<T>>(longest) : nullptr;
        slopes = call.slope ? cutter.cut<Record<T>>(longest) : nullptr;
        sums = cutter.cut<T>(longest);
        g = cutter.cut<T>(single ? 0 : longest * width);
        work = cutter.cut<T>(call.coefficient && own ? size : 0);
    });
    if (!fits) return false;
    if (needs_pulls) coefficients.prepare();
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, G);
    const BaseFunction<T> base(shape.base, shape.order), next(shape.base, shape.order + 1);
    for (std::int64_t b = begin; b < end; b += kNarrowStrip) {
        const std::int64_t n = smaller(kNarrowStrip, end - b);
        if (!single) pack_rows<T, V>(call.g + b * O, O, n, g);
        for (std::int64_t i = first_input; i < last_input; ++i) {
            const std::int64_t at = b * I + i;
            reader.read(knots[i - first_input], base, next, call.x + at, I, n, values, slopes);
            const auto pull = [&](const Record<T>* records) {
                const TileRows<T> tile = coefficients.tile(i, 0);
                if (single) {
                    pull_single<T, K>(tile, records, n, call.g + b, sums);
                } else {
                    pull_vector<T, K, V>(tile, records, n, g, O, sums);
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
            const bool add = b != begin;
            if (single && own) {
                coefficient_single<T, K>(values, n, G, call.g + b, work, to, base_to, add);
            } else if (single) {
                coefficient_rows_single<T, K>(values, n, G, call.g + b, to, base_to, add);
            } else if (own) {
                coefficient_vector<T, K, V>(values, n, G, g, work, to, base_to, O, add);
            } else {
                coefficient_rows<T, K, V>(values, n, G, g, to, base_to, O, add);
            }
        }
    }
    return true;
}

// Samples [begin, end) and inputs [first_input, last_input).
template <class T, int K>
bool pull_narrow(const Pulls<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                 std::int64_t last_input) {
    const bool half = narrow_width<T>(call.shape.outputs) < Simd<T>::width;
    return half ? pull_vectors<T, K, HalfVector<T>>(call, begin, end, first_input, last_input)
                : pull_vectors<T, K, Vector<T>>(call, begin, end, first_input, last_input);
}

}  // namespace
}  // namespace superpose
