// Few outputs (a vector or less) on many intervals: the nonzero basis functions of a sample are one record.
#pragma once

#include "coefficients.hpp"

namespace superpose {
namespace {

// Bytes of separate sums for each interval: half a first-level cache of 32 KiB. With more, clearing them and adding them up
// costs more than adding each sample in place. No measurement of other values is recorded.
constexpr std::int64_t kOwnSums = 16384;

// Size of the separate sums of all intervals.
template <class T>
std::int64_t own_sums(const Shape& shape, int width) {
    const bool single = shape.outputs == 1 && shape.degree <= 3;
    return shape.intervals * (single ? 8 : (shape.degree + 1) * width);
}

// Lanes of the vectors for so many outputs: half a vector where it holds all outputs, since a half is more often inside one
// line of the cache. On (1000, 2, 5), G = 1000, that took the forward pass from 14.7 to 12.2 us (docs/lab/kernels.md).
template <class T>
int record_vector_width(std::int64_t outputs) {
    return 2 * outputs <= Simd<T>::width ? LanesOf<HalfVector<T>>::width : Simd<T>::width;
}

// Whether the gradients are computed by records; else, where many samples share their rows, by sorted columns.
template <class T>
bool uses_records(const Shape& shape, std::int64_t samples) {
    if (shape.outputs > Simd<T>::width) return false;
    const int width = record_vector_width<T>(shape.outputs);
    return width < Simd<T>::width || std::int64_t(sizeof(T)) * own_sums<T>(shape, width) <= kOwnSums ||
           2 * shape.intervals > smaller(samples, strip_length(shape.intervals, kVjpStrip));
}

// ------------------------------------------------------------------------------------------------ sums

// Destination of sums: rows of `outputs` lanes, a vector or less. `fresh`: the rows are still undefined; `final`: no later
// inputs add to them.
template <class T>
struct Sums {
    T* to;
    std::int64_t outputs, samples;
    bool fresh, final;

    // Whether samples up to b may be stored as whole vectors: the excess lanes are overwritten by the sums of later samples.
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
    // Partial loads and stores in a loop that is not unrolled: they are rare, and their code is long.
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
        // All samples for one row, then the next row: each sum waits for its last product, and the others fill the time.
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
    // As many independent sums as registers hold, to hide the latency of a multiply-add: 6 with 16 registers, 12 with 32.
    constexpr int NB = kRegisters / 16 * 6;
    std::int64_t b = 0;
    for (; b + NB <= out.samples; b += NB) sum_samples<T, K, NB, V>(tiles, records, count, b, out);
    for (; b < out.samples; ++b) sum_samples<T, K, 1, V>(tiles, records, count, b, out);
}

// A vector of outputs or less.
template <class T, int K>
void sum_vector(const TileRows<T>* tiles, const Record<T>* const* records, int count, const Sums<T>& out) {
    if (record_vector_width<T>(out.outputs) < Simd<T>::width) {
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
bool sum_records(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end) {
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs;
    const std::int64_t longest = smaller(kRecordStrip, end - begin);
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    Record<T>* records[kBlock];
    const bool fits = allocate_in_arena([&](Arena& arena) {
        reader.allocate(arena);
        coefficients.allocate(arena);
        knots = arena.take<Knots<T>>(I);
        for (auto& part : records) part = arena.take<Record<T>>(longest + 4);
    });
    if (!fits) return false;
    coefficients.prepare();
    for (std::int64_t i = 0; i < I; ++i) knots[i] = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
    const BaseFunction<T> base(shape.base, shape.order);
    for (std::int64_t b = begin; b < end; b += kRecordStrip) {
        const std::int64_t n = smaller(kRecordStrip, end - b);
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
void contract_vector(const TileRows<T>& tile, const Record<T>* records, std::int64_t n, const T* g, std::int64_t outputs,
                 T* sums) {
    constexpr int width = LanesOf<V>::width;
    // A vector that is not full reads on into other rows. g is zero there, but zero times NaN is NaN.
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
void contract_single(const TileRows<T>& tile, const Record<T>* records, std::int64_t n, const T* g, T* sums) {
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

// Calls take(sample) for all n samples, in four interleaved streams: neighbours in a table are often in the same interval, and
// each would wait for the sums of the one before. docs/lab/kernels.md has the time of this order.
template <class F>
SUPERPOSE_INLINE void in_streams(std::int64_t n, F&& take) {
    const std::int64_t quarter = n / 4;
    for (std::int64_t b = 0; b < quarter; ++b) {
#pragma GCC unroll 4
        for (int stream = 0; stream < 4; ++stream) take(b + stream * quarter);
    }
    for (std::int64_t b = 4 * quarter; b < n; ++b) take(b);
}

// The same on many intervals, where separate sums would cost more to clear and add up than they save: each sample is added to
// the gradient in place.
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
            // All rows are read before the first is written: a stored vector reaches into the next row, whose load would wait
            // for the store. Row by row took 60 us in place of 22 on (1000, 2, 5), G = 1000 (docs/lab/kernels.md).
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

// vjp_records for one width of vectors.
template <class T, int K, class V>
bool vjp_record_vectors(const Vjp<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                  std::int64_t last_input) {
    constexpr int width = LanesOf<V>::width;
    const Shape& shape = call.shape;
    const std::int64_t I = shape.inputs, O = shape.outputs, rows = shape.rows(), G = shape.intervals;
    const std::int64_t longest = smaller(kRecordStrip, end - begin);
    const bool single = O == 1 && K <= 3;
    const std::int64_t size = own_sums<T>(shape, width);
    const bool own = std::int64_t(sizeof(T)) * size <= kOwnSums;
    Reader<T, K> reader;
    Coefficients<T> coefficients(call.coefficients, shape);
    Knots<T>* knots;
    Record<T>*values, *slopes;
    T *sums, *g, *work;
    const bool needs_values = call.grad_v || call.grad_coefficients, needs_input_gradients = call.grad_v || call.grad_x;
    const bool fits = allocate_in_arena([&](Arena& arena) {
        reader.allocate(arena);
        if (needs_input_gradients) coefficients.allocate(arena);
        knots = arena.take<Knots<T>>(last_input - first_input);
        values = needs_values ? arena.take<Record<T>>(longest) : nullptr;
        slopes = call.grad_x ? arena.take<Record<T>>(longest) : nullptr;
        sums = arena.take<T>(longest);
        g = arena.take<T>(single ? 0 : longest * width);
        work = arena.take<T>(call.grad_coefficients && own ? size : 0);
    });
    if (!fits) return false;
    if (needs_input_gradients) coefficients.prepare();
    for (std::int64_t i = first_input; i < last_input; ++i)
        knots[i - first_input] = read_knots(call.knots + i * shape.knots(), K, G);
    const BaseFunction<T> base(shape.base, shape.order), next(shape.base, shape.order + 1);
    for (std::int64_t b = begin; b < end; b += kRecordStrip) {
        const std::int64_t n = smaller(kRecordStrip, end - b);
        if (!single) pack_rows<T, V>(call.g + b * O, O, n, g);
        for (std::int64_t i = first_input; i < last_input; ++i) {
            const std::int64_t at = b * I + i;
            reader.read(knots[i - first_input], base, next, call.x + at, I, n, values, slopes);
            const auto contract = [&](const Record<T>* records) {
                const TileRows<T> tile = coefficients.tile(i, 0);
                if (single) {
                    contract_single<T, K>(tile, records, n, call.g + b, sums);
                } else {
                    contract_vector<T, K, V>(tile, records, n, g, O, sums);
                }
            };
            if (call.grad_v) {
                contract(values);
                for (std::int64_t p = 0; p < n; ++p) call.grad_v[at + p * I] = sums[p];
            }
            if (call.grad_x) {
                contract(slopes);
                for (std::int64_t p = 0; p < n; ++p)
                    call.grad_x[at + p * I] = call.v ? call.v[at + p * I] * sums[p] : sums[p];
            }
            if (!call.grad_coefficients) continue;
            if (call.v) scale_records<T, K>(call.v + at, I, n, values);
            T* to = call.grad_coefficients + i * rows * O;
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
bool vjp_records(const Vjp<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
                 std::int64_t last_input) {
    const bool half = record_vector_width<T>(call.shape.outputs) < Simd<T>::width;
    return half ? vjp_record_vectors<T, K, HalfVector<T>>(call, begin, end, first_input, last_input)
                : vjp_record_vectors<T, K, Vector<T>>(call, begin, end, first_input, last_input);
}

}  // namespace
}  // namespace superpose
