// How a call is cut into shares for threads, tiles of outputs and pieces of memory.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace superpose {
namespace {

// Less work than this, in multiply-adds of one row, is not worth a second thread.
constexpr double kThreadWork = 20000;

SUPERPOSE_INLINE std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Of the threads at work, which may be fewer than were asked for.
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

// Share `index` of `count` of a range of `length`, in whole units.
struct Share {
    std::int64_t begin, end;
    Share(std::int64_t length, std::int64_t unit, int index, int count) {
        const std::int64_t units = ceil_divide(length, unit);
        begin = smaller(units * index / count * unit, length);
        end = smaller(units * (index + 1) / count * unit, length);
    }
};

// Memory for a call, cut from one piece.
class Cutter {
  public:
    explicit Cutter(char* memory) : memory_(memory) {}
    template <class U>
    U* cut(std::int64_t count) {
        U* piece = reinterpret_cast<U*>(memory_ + used_);
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

// Runs lay(cutter) twice: once to count, once on memory of that size, which is the thread's until its next call.
template <class F>
bool lay_out(F&& lay) {
    Cutter count(nullptr);
    lay(count);
    void* memory = workspace_of_thread().get(static_cast<std::size_t>(count.used()));
    if (!memory) return false;
    Cutter cutter(static_cast<char*>(memory));
    lay(cutter);
    return true;
}

// How the outputs are cut into vectors.
template <class T>
struct Tiles {
    std::int64_t outputs, vectors;

    explicit Tiles(std::int64_t outputs_) : outputs(outputs_), vectors(ceil_divide(outputs_, Simd<T>::width)) {}
    // Lanes that count in the vectors from `vector` on.
    std::int64_t lanes(std::int64_t vector) const { return outputs - vector * Simd<T>::width; }
};

// Calls tile(first vector, number of vectors) with numbers `most`, a power of two, and smaller ones. A last vector that
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
