// The sum of a layer's edges into its outputs.
#pragma once

#include "dense.hpp"

namespace superpose {
namespace {

// ------------------------------------------------------------------------------------------------ many outputs

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

// ------------------------------------------------------------------------------------------------ few outputs

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

// ------------------------------------------------------------------------------------------------ both

template <class T, int K>
bool edge_sum(const EdgeSum<T>& call) {
    const Shape& shape = call.shape;
    const std::int64_t B = shape.batch, O = shape.outputs;
    if (B == 0 || O == 0) return true;
    if (shape.inputs == 0) {
        std::memset(static_cast<void*>(call.out), 0, sizeof(T) * B * O);
        return true;
    }
    const int threads = threads_for(shape);
    const std::int64_t vectors = Tiles<T>(O).vectors;
    const auto part = [&](std::int64_t begin, std::int64_t end, std::int64_t first_vector, std::int64_t last_vector) {
        if (begin == end || first_vector == last_vector) return true;
        if (vectors > 1) return sum_wide<T, K>(call, begin, end, first_vector, last_vector);
        return is_dense<T>(shape) ? sum_dense<T, K>(call, begin, end) : sum_narrow<T, K>(call, begin, end);
    };
    if (threads == 1) return part(0, B, 0, vectors);
    // Few samples are not worth splitting: then the threads share the outputs.
    const bool by_outputs = B < 16 * threads && vectors >= 8 * threads;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const int index = thread_index(), count = threads_at_work();
        const Share samples(B, 4, by_outputs ? 0 : index, by_outputs ? 1 : count);
        const Share columns(vectors, tile_vectors(K), by_outputs ? index : 0, by_outputs ? count : 1);
        failed |= !part(samples.begin, samples.end, columns.begin, columns.end);
    }
    return !failed;
}

}  // namespace
}  // namespace superpose
