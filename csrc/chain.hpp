// Consecutive layers in one call. Where they are small, each thread takes its samples through all layers, so that the threads
// synchronise once and not once for each layer; else layer after layer, by the contractions.
#pragma once

#include <utility>

#include "contractions.hpp"

namespace superpose {
namespace {

// Coefficients of a small chain, all layers together. Each thread has gradients of its own, 64 KiB of doubles at this size,
// which stay in its second-level cache. No measurement of other values is recorded.
constexpr std::int64_t kSmallChain = 8192;

template <class T>
bool is_small(const Layers<T>& layers) {
    std::int64_t size = 0;
    for (int n = 0; n < layers.depth; ++n) {
        const Shape shape = layers.shape(n);
        if (shape.outputs > Simd<T>::width || shape.inputs == 0 || shape.outputs == 0) return false;
        size += layers.size(n);
    }
    return size <= kSmallChain;
}

template <class T>
int threads_for(const Layers<T>& layers) {
#ifdef _OPENMP
    double work = 0;
    for (int n = 0; n < layers.depth; ++n) work += work_of(layers.shape(n));
    return work < kThreadWork || layers.threads < 2 ? 1 : layers.threads;
#else
    return 1;
#endif
}

// ------------------------------------------------------------------------------------------------ values

// Calls layer(n, inputs, outputs) for each layer in turn; the outputs of all but the last layer are in `hidden`.
template <class T, class F>
bool for_layers(const Chain<T>& call, F&& layer) {
    const Layers<T>& layers = call.layers;
    const T* inputs = call.x;
    T* hidden = call.hidden;
    for (int n = 0; n < layers.depth; ++n) {
        T* outputs = n + 1 == layers.depth ? call.out : hidden;
        if (!layer(n, inputs, outputs)) return false;
        hidden += layers.batch * layers.of[n].outputs;
        inputs = outputs;
    }
    return true;
}

template <class T>
void rescale(const Chain<T>& call, std::int64_t begin, std::int64_t end) {
    if (!call.scale) return;
    const std::int64_t O = call.layers.outputs();
    if (O == 1) {
        const T center = call.center[0], scale = call.scale[0];
        for (std::int64_t b = begin; b < end; ++b) call.out[b] = center + scale * call.out[b];
        return;
    }
    for (std::int64_t b = begin; b < end; ++b)
        for (std::int64_t o = 0; o < O; ++o) {
            T& out = call.out[b * O + o];
            out = call.center[o] + call.scale[o] * out;
        }
}

template <class T>
bool chain(const Chain<T>& call) {
    const Layers<T>& layers = call.layers;
    const auto sum = [&](int n, const T* inputs, T* outputs) -> EdgeSum<T> {
        return {layers.shape(n), nullptr, layers.of[n].coefficients, inputs, layers.of[n].knots, outputs};
    };
    if (!is_small(layers)) {
        const bool worked = for_layers(
            call, [&](int n, const T* inputs, T* outputs) { return edge_sum(sum(n, inputs, outputs)); });
        if (worked) rescale(call, 0, layers.batch);
        return worked;
    }
    const int threads = threads_for(layers);
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed) if (threads > 1)
    {
        const Share samples(layers.batch, 16, thread_index(), threads_at_work());
        failed |= !for_layers(call, [&](int n, const T* inputs, T* outputs) {
            return by_degree(layers.of[n].degree, [&](auto k) {
                return sum_part<T, decltype(k)::value>(sum(n, inputs, outputs), samples.begin, samples.end, 0, 1);
            });
        });
        rescale(call, samples.begin, samples.end);
    }
    return !failed;
}

// ------------------------------------------------------------------------------------------------ gradients

// The backward pass through the layers, for all samples or a share of them.
template <class T>
class Backward {
  public:
    explicit Backward(const ChainVjp<T>& call) : call_(call), layers_(call.layers) {
        while (!call.grad_x && first_ < layers_.depth && !layers_.of[first_].grad_coefficients) ++first_;
        widest_ = call.scale ? layers_.outputs() : 0;
        for (int n = first_ + 1; n < layers_.depth; ++n) widest_ = larger(widest_, layers_.of[n].inputs);
        for (int n = first_; n < layers_.depth; ++n) gradients_ += layers_.size(n);
    }

    // Size of the gradients of the layers from first_ on.
    std::int64_t gradients() const { return gradients_; }
    // Size of the work space: gradients by the inputs of a layer and of the one before.
    std::int64_t work() const { return 2 * layers_.batch * widest_; }

    // Address of layer n's gradient in a thread's `own` gradients, or the caller's array where `own` is null.
    T* gradient(int n, T* own) const {
        if (!layers_.of[n].grad_coefficients || !own) return layers_.of[n].grad_coefficients;
        for (int m = first_; m < n; ++m) own += layers_.size(m);
        return own;
    }

    void clear(T* own) const {
        for (int n = first_; n < layers_.depth; ++n)
            if (T* to = gradient(n, own)) std::memset(static_cast<void*>(to), 0, sizeof(T) * layers_.size(n));
    }

    void add(T* own) const {
        for (int n = first_; n < layers_.depth; ++n) {
            T* const to = layers_.of[n].grad_coefficients;
            const T* const from = gradient(n, own);
            for (std::int64_t at = 0; to && at < layers_.size(n); ++at) to[at] += from[at];
        }
    }

    // Calls vjp(call of layer n) from the last layer to first_, for samples [begin, end). A share of the samples uses the
    // same part of `work` for every layer, since other threads may be at other layers at the same time.
    template <class F>
    bool run(std::int64_t begin, std::int64_t end, T* work, T* own, F&& vjp) const {
        const T* g = call_.g;
        T *to = work, *other = work + layers_.batch * widest_;
        if (call_.scale) {
            const std::int64_t O = layers_.outputs();
            T* const scaled = to + begin * (widest_ - O);
            for (std::int64_t b = begin; b < end; ++b)
                for (std::int64_t o = 0; o < O; ++o) scaled[b * O + o] = call_.scale[o] * g[b * O + o];
            g = scaled;
            std::swap(to, other);
        }
        const T* inputs = call_.hidden;
        for (int n = 1; n < layers_.depth - 1; ++n) inputs += layers_.batch * layers_.of[n].inputs;
        for (int n = layers_.depth - 1; n >= first_; --n) {
            const Link<T>& link = layers_.of[n];
            T* grad_x = n == 0 ? call_.grad_x : nullptr;
            if (n > first_) grad_x = to + begin * (widest_ - link.inputs);
            if (!vjp(Vjp<T>{layers_.shape(n), nullptr, g, link.coefficients, n == 0 ? call_.x : inputs, link.knots,
                           nullptr, grad_x, gradient(n, own)}))
                return false;
            g = grad_x;
            std::swap(to, other);
            if (n > 1) inputs -= layers_.batch * layers_.of[n - 1].inputs;
        }
        return true;
    }

  private:
    const ChainVjp<T>& call_;
    const Layers<T>& layers_;
    // The first layer that needs a gradient.
    int first_ = 0;
    std::int64_t widest_, gradients_ = 0;
};

template <class T>
bool chain_vjp(const ChainVjp<T>& call) {
    const Layers<T>& layers = call.layers;
    const Backward<T> backward(call);
    const bool small = is_small(layers);
    const int threads = small ? threads_for(layers) : 1;
    const std::int64_t size = backward.work() + (threads - 1) * backward.gradients();
    T* const work = static_cast<T*>(std::malloc(sizeof(T) * static_cast<std::size_t>(larger<std::int64_t>(size, 1))));
    if (!work) return false;
    T* const parts = work + backward.work();
    int failed = 0, parts_made = 0;
    if (!small) {
        failed = !backward.run(0, layers.batch, work, nullptr, [](const Vjp<T>& layer) { return vjp(layer); });
    } else {
#pragma omp parallel num_threads(threads) reduction(| : failed) if (threads > 1)
        {
            const int index = thread_index(), count = threads_at_work();
            if (index == 0) parts_made = count - 1;
            T* const own = index == 0 ? nullptr : parts + (index - 1) * backward.gradients();
            const Share samples(layers.batch, 16, index, count);
            if (samples.begin == samples.end) backward.clear(own);
            failed |= !backward.run(samples.begin, samples.end, work, own, [&](const Vjp<T>& layer) {
                return by_degree(layer.shape.degree, [&](auto k) {
                    return vjp_part<T, decltype(k)::value>(layer, samples.begin, samples.end, 0, layer.shape.inputs);
                });
            });
        }
        // In order, so that the result is the same whenever the number of threads is.
        for (int part = 0; part < parts_made; ++part) backward.add(parts + part * backward.gradients());
    }
    std::free(work);
    return !failed;
}

}  // namespace
}  // namespace superpose
