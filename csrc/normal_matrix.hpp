// J^T J of a network's edges for least squares: the Jacobian has degree + 2 entries in each edge's rows for a sample, so
// a pair of edges costs (degree + 2)^2 multiply-adds a sample whatever the grid.
#pragma once

#include "samples.hpp"

namespace superpose {
namespace {

// Records of the inputs [first_input, last_input), for all samples.
template <class T, int K>
bool records_part(const Records<T>& call, std::int64_t first_input, std::int64_t last_input) {
    const Shape& shape = call.shape;
    Reader<T, K> reader;
    if (!allocate_in_arena([&](Arena& arena) { reader.allocate(arena); })) return false;
    const BaseFunction<T> base(shape.base, shape.order);
    for (std::int64_t i = first_input; i < last_input; ++i) {
        const Knots<T> knots = read_knots(call.knots + i * shape.knots(), K, shape.intervals);
        Record<T>* to = reinterpret_cast<Record<T>*>(call.out) + i * shape.batch;
        reader.read(knots, base, base, call.x + i, shape.inputs, shape.batch, to, nullptr);
    }
    return true;
}

template <class T, int K>
bool records(const Records<T>& call) {
    return records_part<T, K>(call, 0, call.shape.inputs);
}

// block[r, t] = sum over samples of scale * row r of one edge * row t of the other.
template <class T, int K>
void pair_block(const Record<T>* left, const Record<T>* right, const T* scale, std::int64_t n, int left_degree,
                std::int64_t left_rows, std::int64_t right_rows, bool left_base, bool right_base, T* block) {
    std::memset(static_cast<void*>(block), 0, sizeof(T) * left_rows * right_rows);
    T* last_row = block + (left_rows - 1) * right_rows;
    T corner = 0;
    for (std::int64_t b = 0; b < n; ++b) {
        const Record<T>&l = left[b], &r = right[b];
        T scaled[K + 1];
#pragma GCC unroll 8
        for (int t = 0; t <= K; ++t) scaled[t] = scale[b] * r.weights[t];
        const T base = scale[b] * r.weights[kBaseWeight];
        T* row = block + l.first * right_rows;
        for (int s = 0; s <= left_degree; ++s, row += right_rows) {
            T* at = row + r.first;
#pragma GCC unroll 8
            for (int t = 0; t <= K; ++t) at[t] += l.weights[s] * scaled[t];
            if (right_base) row[right_rows - 1] += l.weights[s] * base;
        }
        if (left_base) {
            const T weight = l.weights[kBaseWeight];
            T* at = last_row + r.first;
#pragma GCC unroll 8
            for (int t = 0; t <= K; ++t) at[t] += weight * scaled[t];
            corner += weight * base;
        }
    }
    if (left_base && right_base) last_row[right_rows - 1] = corner;
}

template <class T>
void pair_block_any(int degree, const Record<T>* left, const Record<T>* right, const T* scale, std::int64_t n,
                    int left_degree, std::int64_t left_rows, std::int64_t right_rows, bool left_base, bool right_base,
                    T* block) {
    const auto chosen = degree == 1   ? pair_block<T, 1>
                        : degree == 2 ? pair_block<T, 2>
                        : degree == 3 ? pair_block<T, 3>
                        : degree == 4 ? pair_block<T, 4>
                                      : pair_block<T, 5>;
    chosen(left, right, scale, n, left_degree, left_rows, right_rows, left_base, right_base, block);
}

// Pairs `begin` to `end` of the edges of two layers; of a layer with itself each pair once.
template <class T>
bool normal_part(const NormalMatrix<T>& call, std::int64_t begin, std::int64_t end) {
    const EdgeRows<T>&l = call.left, &r = call.right;
    const std::int64_t n = call.samples;
    T *scale, *block;
    const bool fits = allocate_in_arena([&](Arena& arena) {
        scale = arena.take<T>(n);
        block = arena.take<T>(l.rows * r.rows);
    });
    if (!fits) return false;
    for (std::int64_t pair = begin; pair < end; ++pair) {
        const std::int64_t e = pair / r.edges, f = pair % r.edges;
        if (call.same && f < e) continue;
        for (std::int64_t m = 0; m < call.outputs; ++m) {
            const T* a = l.sensitivities + (l.output_of[e] * call.outputs + m) * n;
            const T* b = r.sensitivities + (r.output_of[f] * call.outputs + m) * n;
            if (m == 0) {
                for (std::int64_t p = 0; p < n; ++p) scale[p] = a[p] * b[p];
            } else {
                for (std::int64_t p = 0; p < n; ++p) scale[p] += a[p] * b[p];
            }
        }
        const auto* left = reinterpret_cast<const Record<T>*>(l.records) + l.input_of[e] * n;
        const auto* right = reinterpret_cast<const Record<T>*>(r.records) + r.input_of[f] * n;
        pair_block_any(r.degree, left, right, scale, n, l.degree, l.rows, r.rows, l.base, r.base, block);
        T* at = call.matrix + (l.start + e * l.rows) * call.size + r.start + f * r.rows;
        T* mirror = call.matrix + (r.start + f * r.rows) * call.size + l.start + e * l.rows;
        for (std::int64_t s = 0; s < l.rows; ++s)
            for (std::int64_t t = 0; t < r.rows; ++t) {
                at[s * call.size + t] = block[s * r.rows + t];
                mirror[t * call.size + s] = block[s * r.rows + t];
            }
    }
    return true;
}

template <class T>
bool normal_matrix(const NormalMatrix<T>& call) {
    const std::int64_t pairs = call.left.edges * call.right.edges;
    const double work = double(pairs) * double(call.samples);
#ifdef _OPENMP
    // Pairs times samples below which one thread works. No measurement of other values is recorded.
    const int threads = work < 4000 || call.threads < 2 ? 1 : call.threads;
#else
    const int threads = 1;
#endif
    if (threads == 1) return normal_part(call, 0, pairs);
    int failed = 0;
    // In the block of a layer with itself later edges have fewer pairs: small shares in turn balance the threads.
    const std::int64_t shares = smaller<std::int64_t>(pairs, 16 * threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (std::int64_t share = 0; share < shares; ++share)
        failed |= !normal_part(call, pairs * share / shares, pairs * (share + 1) / shares);
    return !failed;
}

}  // namespace
}  // namespace superpose
