// How a call is divided: shares of threads, tiles of outputs, work space from an arena.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace superpose {
namespace {

// Multiply-adds of one row below which a call runs on one thread. No measurement of other values is recorded; both layers of
// [2, 5, 1] with 1,000 samples are above it, where two threads took 118 us a step and one 130 (docs/lab/kernels.md).
constexpr double kThreadWork = 20000;

SUPERPOSE_INLINE std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Index of this thread among the threads of the parallel region, which may be fewer than were requested.
inline int thread_index() {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

inline int threads_at_work() {
#ifdef _OPENMP
    return omp_get_num_threads();
#else
    return 1;
#endif
}

// Multiply-adds of one row. Finding the interval and the basis of a point counts as 8 outputs, an estimate.
inline double work_of(const Shape& shape) {
    return double(shape.batch) * double(shape.inputs) * double(shape.outputs + 8);
}

inline int threads_for(const Shape& shape) {
#ifdef _OPENMP
    return work_of(shape) < kThreadWork || shape.threads < 2 ? 1 : shape.threads;
#else
    return 1;
#endif
}

// Part `index` of `count` of a range of `length`, in whole units.
struct Share {
    std::int64_t begin, end;
    Share(std::int64_t length, std::int64_t unit, int index, int count) {
        const std::int64_t units = ceil_divide(length, unit);
        begin = smaller(units * index / count * unit, length);
        end = smaller(units * (index + 1) / count * unit, length);
    }
};

// Hands out pieces of one block of memory. One allocation a call, and none once the thread's block is large enough: a
// tiny layer takes some microseconds, and an allocation should not be a part of it.
class Arena {
  public:
    explicit Arena(char* memory) : memory_(memory) {}
    template <class U>
    U* take(std::int64_t count) {
        U* piece = reinterpret_cast<U*>(memory_ + used_);
        // Pieces begin at a line of the cache, so that no vector is split between two lines.
        used_ += (count * static_cast<std::int64_t>(sizeof(U)) + 63) / 64 * 64;
        return piece;
    }
    std::int64_t used() const { return used_; }

  private:
    char* memory_;
    std::int64_t used_ = 0;
};

inline Workspace& workspace_of_thread() {
    static thread_local Workspace workspace;
    return workspace;
}

// Calls allocate(arena) twice: on a null arena to measure it, then on memory of that size, which stays valid until the
// thread's next call. Returns false if memory ran out.
template <class F>
bool allocate_in_arena(F&& allocate) {
    Arena count(nullptr);
    allocate(count);
    void* memory = workspace_of_thread().get(static_cast<std::size_t>(count.used()));
    if (!memory) return false;
    Arena arena(static_cast<char*>(memory));
    allocate(arena);
    return true;
}

// How the outputs are divided into vectors.
template <class T>
struct Tiles {
    std::int64_t outputs, vectors;

    explicit Tiles(std::int64_t outputs_) : outputs(outputs_), vectors(ceil_divide(outputs_, Simd<T>::width)) {}
    // Number of outputs from vector `vector` on.
    std::int64_t lanes(std::int64_t vector) const { return outputs - vector * Simd<T>::width; }
};

// Calls tile(first vector, number of vectors) with `most` vectors, a power of two, and fewer at the end. A last vector that
// is not full is a tile of its own.
template <class T, class F>
SUPERPOSE_INLINE void for_tiles(const Tiles<T>& tiles, std::int64_t begin, std::int64_t end, int most, F&& tile) {
    const std::int64_t full = tiles.outputs / Simd<T>::width;
    while (begin < end) {
        int count = most;
        while (count > 1 && begin + count > smaller(end, full)) count /= 2;
        tile(begin, count);
        begin += count;
    }
}

}  // namespace
}  // namespace superpose
