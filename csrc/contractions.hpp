// The contractions: the choice of a kernel for each shape, and the share of each thread.
#pragma once

#include "few_outputs_few_intervals.hpp"
#include "few_outputs.hpp"
#include "many_outputs.hpp"
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace superpose {
namespace {

// Calls what(Number<degree>()). module.cpp has checked that the degree is between kMinDegree and kMaxDegree.
template <class F>
SUPERPOSE_INLINE bool by_degree(int degree, F&& what) {
    switch (degree) {
        case 1: return what(Number<1>());
        case 2: return what(Number<2>());
        case 3: return what(Number<3>());
        case 4: return what(Number<4>());
        default: return what(Number<5>());
    }
}

// ------------------------------------------------------------------------------------------------ sums

// Samples [begin, end) and vectors [first_vector, last_vector) of the outputs.
template <class T, int K>
bool sum_part(const EdgeSum<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_vector,
              std::int64_t last_vector) {
    if (begin == end || first_vector == last_vector) return true;
    if (call.shape.outputs > Simd<T>::width) return sum_sorted<T, K>(call, begin, end, first_vector, last_vector);
    return is_dense<T>(call.shape) ? sum_dense<T, K>(call, begin, end) : sum_records<T, K>(call, begin, end);
}

template <class T, int K>
bool edge_sum_of(const EdgeSum<T>& call) {
    const Shape& shape = call.shape;
    const std::int64_t B = shape.batch, O = shape.outputs;
    if (B == 0 || O == 0) return true;
    if (shape.inputs == 0) {
        std::memset(static_cast<void*>(call.out), 0, sizeof(T) * B * O);
        return true;
    }
    const int threads = threads_for(shape);
    const std::int64_t vectors = Tiles<T>(O).vectors;
    if (threads == 1) return sum_part<T, K>(call, 0, B, 0, vectors);
    // With fewer than 16 samples a thread the threads share the outputs instead: coefficients are then read once in all.
    const bool by_outputs = B < 16 * threads && vectors >= 8 * threads;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const int index = thread_index(), count = threads_at_work();
        const Share samples(B, 4, by_outputs ? 0 : index, by_outputs ? 1 : count);
        const Share columns(vectors, tile_vectors(K), by_outputs ? index : 0, by_outputs ? count : 1);
        failed |= !sum_part<T, K>(call, samples.begin, samples.end, columns.begin, columns.end);
    }
    return !failed;
}

template <class T>
bool edge_sum(const EdgeSum<T>& call) {
    return by_degree(call.shape.degree, [&](auto k) { return edge_sum_of<T, decltype(k)::value>(call); });
}

// ------------------------------------------------------------------------------------------------ gradients

// Requests large pages for memory that is about to be written for the first time: page faults of small pages cost more than
// the writes.
inline void advise_large_pages(void* memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = std::uintptr_t(2) << 20;
    // Smaller pieces are usually memory that was freed before and has its pages already.
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

// Samples [begin, end) and inputs [first_input, last_input).
template <class T, int K>
bool vjp_part(const Vjp<T>& call, std::int64_t begin, std::int64_t end, std::int64_t first_input,
               std::int64_t last_input) {
    if (begin == end || first_input == last_input) return true;
    if (is_dense<T>(call.shape)) return vjp_dense<T, K>(call, begin, end, first_input, last_input);
    return uses_records<T>(call.shape, end - begin) ? vjp_records<T, K>(call, begin, end, first_input, last_input)
                                                 : vjp_sorted<T, K>(call, begin, end, first_input, last_input);
}

template <class T, int K>
bool vjp_of(const Vjp<T>& call) {
    const Shape& shape = call.shape;
    const std::int64_t B = shape.batch, I = shape.inputs, O = shape.outputs, rows = shape.rows();
    const std::int64_t size = I * rows * O;
    if (B == 0 || I == 0 || O == 0) {
        if (call.grad_coefficients) std::memset(static_cast<void*>(call.grad_coefficients), 0, sizeof(T) * size);
        if (call.grad_v) std::memset(static_cast<void*>(call.grad_v), 0, sizeof(T) * B * I);
        if (call.grad_x) std::memset(static_cast<void*>(call.grad_x), 0, sizeof(T) * B * I);
        return true;
    }
    if (call.grad_coefficients) advise_large_pages(call.grad_coefficients, sizeof(T) * static_cast<std::size_t>(size));
    const int threads = threads_for(shape);
    if (threads == 1) return vjp_part<T, K>(call, 0, B, 0, I);
    int failed = 0, parts_made = 0;
    if (I % threads == 0 || I >= 4 * threads) {
#pragma omp parallel num_threads(threads) reduction(| : failed)
        {
            const Share inputs(I, 1, thread_index(), threads_at_work());
            failed |= !vjp_part<T, K>(call, 0, B, inputs.begin, inputs.end);
        }
        return !failed;
    }
    // Few inputs: the threads share the samples. Each has a gradient of its own, and these are added in order, so that the
    // result is the same whenever the number of threads is.
    T* parts = nullptr;
    if (call.grad_coefficients) {
        parts = static_cast<T*>(std::malloc(sizeof(T) * static_cast<std::size_t>(size) * (threads - 1)));
        if (!parts) return false;
    }
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const int index = thread_index(), count = threads_at_work();
        const Share samples(B, 16, index, count);
        if (index == 0) parts_made = count - 1;
        Vjp<T> own = call;
        if (parts && index > 0) own.grad_coefficients = parts + (index - 1) * size;
        if (parts && samples.begin == samples.end)
            std::memset(static_cast<void*>(own.grad_coefficients), 0, sizeof(T) * size);
        failed |= !vjp_part<T, K>(own, samples.begin, samples.end, 0, I);
    }
    if (parts) {
        for (int part = 0; part < parts_made; ++part)
            for (std::int64_t n = 0; n < size; ++n) call.grad_coefficients[n] += parts[part * size + n];
        std::free(parts);
    }
    return !failed;
}

template <class T>
bool vjp(const Vjp<T>& call) {
    return by_degree(call.shape.degree, [&](auto k) { return vjp_of<T, decltype(k)::value>(call); });
}

}  // namespace
}  // namespace superpose
