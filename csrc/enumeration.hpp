// Enumeration of expressions from small to large. Each is identified by its values on a few rows; each new one is tried as
// the last term of sums for a target, for its outer inverses, and for its quotients by small expressions. The sums are
// evaluated from inner products, so that one candidate costs a few microseconds for thousands of sums.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <unordered_set>
#include <vector>

namespace superpose {

// Loops over vectors of eight numbers, once for each kind of vector registers where the linker can choose between them.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define SUPERPOSE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SUPERPOSE_CLONES
#endif

typedef double Eight __attribute__((vector_size(64), aligned(8)));
constexpr int kBlock = 64;              // candidates that are tried together
constexpr int kLanes = 8;               // numbers of a vector
constexpr int kMostTerms = 8;           // of a sum, beside the candidate and the constant
constexpr double kFlat = 1e-9;          // a smaller relative spread is a constant
constexpr double kLargest = 1e9;        // values beyond this overflow soon
constexpr double kIndependent = 1e-10;  // a smaller share of a candidate outside the other terms is rounding
constexpr double kRounding = 1e-13;     // residuals below this, from inner products, may be rounding
constexpr double kExact = 1e-28;        // residuals below this are equal

enum Operation : std::int32_t {
    kColumn, kShift, kScale, kSquare, kCube, kRoot, kExp, kLog, kSin, kCos, kTanh, kInverse, kPlusOne, kMinusOne, kOneMinus,
    kAdd, kSubtract, kMultiply, kDivide
};

struct Node {
    std::int32_t operation, left, right, size;
    double number;
};

// What a sum is of: a target (or its product or quotient with a base), the bases beside the candidate.
struct Group {
    int target = 0, terms = 0, size = 0;
    std::array<int, kMostTerms> members{};
    std::array<double, kMostTerms> along{};                                 // of the target along each direction
    std::array<std::array<double, kMostTerms>, kMostTerms> directions{};  // each direction in terms of the members
    double rest = 1.0;                                                       // of the target outside the members
    std::size_t frame = 0;  // where its directions and the rest of the target are in `frames_`
};

// A row that candidates are multiplied with: an outer inverse, a quotient, a product or a base itself.
enum RowKind : std::int32_t { kTargetRow, kQuotientRow, kBaseRow, kProductRow };
struct Row {
    std::int32_t kind, target, base;
};

struct Hit {
    double key, residual;
    std::int32_t group, candidate;  // a place in `kept`
};

class Enumeration {
  public:
    Enumeration(const double* x, std::int64_t rows, std::int64_t columns, const double* targets, std::int64_t outer,
                std::int64_t most)
        : rows_(static_cast<int>(rows)), columns_(static_cast<int>(columns)), outer_(static_cast<int>(outer)), most_(most) {
        if (rows < 4 || rows > 4096 || columns < 1 || columns > 64 || outer < 1 || outer > 64 || most < 1 || most > 4000000)
            throw std::invalid_argument("no enumeration of these sizes");
        x_.assign(x, x + rows * columns);
        targets_.assign(targets, targets + rows * outer);
        std::uint64_t state = 88172645463325252ull;
        for (int n = 0; n < 2 * rows_; ++n) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            weights_.push_back(static_cast<double>(state >> 11) / 9007199254740992.0 - 0.5);
        }
        block_.resize(static_cast<std::size_t>(rows_) * kBlock);
        starts_ = {0, 0};
        plan(1);
    }

    // Try up to `count` further expressions; returns how many were tried: 0 at the end.
    std::int64_t advance(std::int64_t count) {
        std::int64_t tried = 0;
        while (tried < count && level_ <= kMostSize) {
            if (job_ == jobs_.size()) {
                starts_.push_back(static_cast<std::int32_t>(nodes_.size()));
                if (level_ == kMostSize) { ++level_; break; }
                plan(++level_);
                continue;
            }
            step();
            ++tried;
            if (!ready_ && static_cast<int>(classes_.size()) >= kBases) prepare();
        }
        if (!ready_ && level_ > 2) prepare();
        if (ready_) flush();
        return tried;
    }

    // (target kind, target, base of the target, bases, whether each is multiplied by the target, candidate, residual): bases
    // and candidates are places of `tree`.
    using Found = std::tuple<int, int, int, std::vector<int>, std::vector<int>, int, double>;

    std::vector<Found> results() const {
        std::vector<Found> all;
        for (const std::vector<Hit>& heap : heaps_)
            for (const Hit& hit : heap) {
                const Group& group = groups_[static_cast<std::size_t>(hit.group)];
                const Row& target = table_[static_cast<std::size_t>(group.target)];
                std::vector<int> bases, products;
                for (int k = 0; k < group.terms; ++k) {
                    const Row& row = table_[static_cast<std::size_t>(group.members[static_cast<std::size_t>(k)])];
                    bases.push_back(row.base), products.push_back(row.kind == kProductRow);
                }
                all.emplace_back(target.kind, target.target, target.base, bases, products, hit.candidate, hit.residual);
            }
        return all;
    }

    // In Polish notation: operation and number of each node. Places below 0 are kept candidates that are not in the bank.
    std::vector<std::tuple<int, double>> tree(int place) const {
        std::vector<std::tuple<int, double>> found;
        std::vector<std::int32_t> open{place};
        while (!open.empty()) {
            const std::int32_t at = open.back();
            open.pop_back();
            const Node& node = at < 0 ? kept_.at(static_cast<std::size_t>(-1 - at)) : nodes_.at(static_cast<std::size_t>(at));
            found.emplace_back(node.operation, node.operation == kColumn ? node.left : node.number);
            if (node.operation >= kAdd) open.push_back(node.right);
            if (node.operation != kColumn) open.push_back(node.left);
        }
        return found;
    }

    // Values `[count, rows]` of the first expressions.
    void copy_values(double* out, std::int64_t count) const {
        if (count < 0 || count > stored()) throw std::invalid_argument("more expressions than are stored");
        std::copy_n(values_.begin(), static_cast<std::size_t>(count) * rows_, out);
    }

    std::int64_t stored() const { return static_cast<std::int64_t>(nodes_.size()); }
    std::int64_t sums() const { return static_cast<std::int64_t>(groups_.size()); }
    int level() const { return level_; }

  private:
    static constexpr int kMostSize = 14;
    static constexpr int kBases = 240;       // small expressions that stand beside a candidate
    static constexpr int kPaired = 56;       // of which this many stand there in pairs,
    static constexpr int kTripled = 14;      // and this many in threes
    static constexpr int kProducts = 24;     // bases that are multiplied by the target: quotients of sums
    static constexpr int kQuotients = 90;    // bases that the target is divided by,
    static constexpr int kBeside = 16;       // with one of this many terms beside the candidate
    static constexpr std::size_t kHeap = 160;

    struct Job {
        std::int32_t operation, left, left_end, right, right_end;
        double number;
    };

    void plan(int level) {
        jobs_.clear();
        job_ = 0;
        const auto unary = [&](std::int32_t operation, int size, double number, bool leaves) {
            const int from = level - size;
            if (from < 1 || (leaves && from > 1)) return;
            jobs_.push_back({operation, start(from), start(from + 1), -1, -1, number});
        };
        if (level == 1)
            for (std::int32_t k = 0; k < columns_; ++k) jobs_.push_back({kColumn, k, k + 1, -1, -1, 0.0});
        const auto functions = [&] {
            for (std::int32_t operation = kSquare; operation <= kOneMinus; ++operation) unary(operation, 1, 0.0, false);
            for (double number : {2.0, 3.0, 3.141592653589793, 6.283185307179586, 4.0, 5.0, 0.5}) unary(kScale, 1, number, true);
            for (double number : {2.0, -2.0, 3.0, -3.0, -4.0}) unary(kShift, 1, number, true);
        };
        // Products of columns stand among the first bases; later a function takes few trials and products many.
        if (level > 3) functions();
        // Products of two functions are common, and would come among the many of the seventh level.
        if (level == 6)
            for (std::int32_t operation : {kMultiply, kDivide})
                jobs_.insert(jobs_.begin(), {operation, start(3), start(4), start(3), start(4), 0.0});
        for (int a = 1; a < level - 1; ++a) {
            const int b = level - 1 - a;
            for (std::int32_t operation = kAdd; operation <= kDivide; ++operation)
                if (a <= b || operation == kDivide)
                    jobs_.push_back({operation, start(a), start(a + 1), start(b), start(b + 1), 0.0});
        }
        if (level <= 3) functions();
        at_left_ = jobs_.empty() ? 0 : jobs_[0].left;
        at_right_ = jobs_.empty() ? 0 : jobs_[0].right;
        skip_empty();
    }

    std::int32_t start(int size) const { return starts_.at(static_cast<std::size_t>(size)); }

    void next_job() {
        ++job_;
        if (job_ < jobs_.size()) at_left_ = jobs_[job_].left, at_right_ = jobs_[job_].right;
    }

    void skip_empty() {
        while (job_ < jobs_.size() && (jobs_[job_].left >= jobs_[job_].left_end ||
                                       (jobs_[job_].operation >= kAdd && jobs_[job_].right >= jobs_[job_].right_end)))
            next_job();
    }

    void step() {
        const Job job = jobs_[job_];
        const Node node{job.operation, at_left_, job.operation >= kAdd ? at_right_ : -1, level_, job.number};
        if (job.operation < kAdd || ++at_right_ >= job.right_end) {
            at_right_ = job.right;
            if (++at_left_ >= job.left_end) next_job(), skip_empty();
        }
        const bool symmetric = node.operation == kAdd || node.operation == kMultiply;
        if (symmetric && node.left > node.right) return;
        consider(node);
    }

    const double* values(std::int32_t place) const { return values_.data() + static_cast<std::size_t>(place) * rows_; }

    void evaluate(const Node& node, double* out) const {
        const double* a = node.operation == kColumn ? x_.data() + static_cast<std::size_t>(node.left) * rows_ : values(node.left);
        const double* b = node.operation >= kAdd ? values(node.right) : a;
        const int n = rows_;
        switch (node.operation) {
            case kColumn: for (int s = 0; s < n; ++s) out[s] = a[s]; break;
            case kShift: for (int s = 0; s < n; ++s) out[s] = a[s] + node.number; break;
            case kScale: for (int s = 0; s < n; ++s) out[s] = a[s] * node.number; break;
            case kSquare: for (int s = 0; s < n; ++s) out[s] = a[s] * a[s]; break;
            case kCube: for (int s = 0; s < n; ++s) out[s] = a[s] * a[s] * a[s]; break;
            case kRoot: for (int s = 0; s < n; ++s) out[s] = std::sqrt(a[s]); break;
            case kExp: for (int s = 0; s < n; ++s) out[s] = std::exp(a[s]); break;
            case kLog: for (int s = 0; s < n; ++s) out[s] = a[s] > 0 ? std::log(a[s]) : NAN; break;
            case kSin: for (int s = 0; s < n; ++s) out[s] = std::sin(a[s]); break;
            case kCos: for (int s = 0; s < n; ++s) out[s] = std::cos(a[s]); break;
            case kTanh: for (int s = 0; s < n; ++s) out[s] = std::tanh(a[s]); break;
            case kInverse: for (int s = 0; s < n; ++s) out[s] = 1 / a[s]; break;
            case kPlusOne: for (int s = 0; s < n; ++s) out[s] = a[s] + 1; break;
            case kMinusOne: for (int s = 0; s < n; ++s) out[s] = a[s] - 1; break;
            case kOneMinus: for (int s = 0; s < n; ++s) out[s] = 1 - a[s]; break;
            case kAdd: for (int s = 0; s < n; ++s) out[s] = a[s] + b[s]; break;
            case kSubtract: for (int s = 0; s < n; ++s) out[s] = a[s] - b[s]; break;
            case kMultiply: for (int s = 0; s < n; ++s) out[s] = a[s] * b[s]; break;
            default: for (int s = 0; s < n; ++s) out[s] = a[s] / b[s];
        }
    }

    // Mean 0 and norm 1; false for values that are not finite, too large or constant.
    bool normalised(const double* from, double* to) const {
        double sum = 0, most = 0;
        for (int s = 0; s < rows_; ++s) sum += from[s], most = std::max(most, std::fabs(from[s]));
        if (!(most < kLargest) || !std::isfinite(sum)) return false;
        const double mean = sum / rows_;
        double square = 0;
        for (int s = 0; s < rows_; ++s) to[s] = from[s] - mean, square += to[s] * to[s];
        const double norm = std::sqrt(square);
        if (!(norm > kFlat * most * std::sqrt(rows_)) || norm < 1e-100) return false;
        for (int s = 0; s < rows_; ++s) to[s] /= norm;
        return true;
    }

    // Of two projections, rounded to nine digits; `either` identifies values of both signs.
    std::uint64_t identity(const double* from, double scale, bool either) const {
        double first = 0, second = 0;
        for (int s = 0; s < rows_; ++s) first += weights_[s] * from[s], second += weights_[rows_ + s] * from[s];
        if (either && first < 0) first = -first, second = -second;
        const auto digits = [scale](double value) { return static_cast<std::uint64_t>(std::llround(value / scale * 1e9)); };
        return digits(first) * 0x9E3779B97F4A7C15ull ^ (digits(second) * 0xC2B2AE3D27D4EB4Full + 0x165667B19E3779F9ull);
    }

    void consider(const Node& node) {
        scratch_.resize(2 * static_cast<std::size_t>(rows_));
        double *raw = scratch_.data(), *unit = raw + rows_;
        evaluate(node, raw);
        if (!normalised(raw, unit)) return;
        double size = 0;
        for (int s = 0; s < rows_; ++s) size = std::max(size, std::fabs(raw[s]));
        // The power of two below the size is the same for values that differ by rounding, but for very few.
        const double scale = std::exp2(std::floor(std::log2(size * 1.0000001)));
        if (!seen_.insert(identity(raw, scale, false) + 0x51ED270B * static_cast<std::uint64_t>(std::ilogb(scale))).second) return;
        std::int32_t place = -1;
        if (static_cast<std::int64_t>(nodes_.size()) < most_) {
            place = static_cast<std::int32_t>(nodes_.size());
            nodes_.push_back(node);
            values_.insert(values_.end(), raw, raw + rows_);
        }
        if (!affine_.insert(identity(unit, 1.0, true)).second) return;
        if (!ready_) {
            if (place >= 0) classes_.push_back(place);
            return;
        }
        add(place, node, unit);
    }

    void add(std::int32_t place, const Node& node, const double* unit) {
        for (int s = 0; s < rows_; ++s) block_[static_cast<std::size_t>(s) * kBlock + filled_] = unit[s];
        waiting_[static_cast<std::size_t>(filled_)] = {node, place};
        if (++filled_ == kBlock) flush();
    }

    // Rows, groups, and then all candidates so far.
    void prepare() {
        ready_ = true;
        frame_.resize(static_cast<std::size_t>(kMostTerms) * rows_);
        std::vector<double> unit(static_cast<std::size_t>(rows_)), made(unit);
        const auto push = [&](Row row, const double* from) {
            if (!normalised(from, unit.data())) return -1;
            table_.push_back(row);
            units_.insert(units_.end(), unit.begin(), unit.end());
            return static_cast<int>(table_.size()) - 1;
        };
        std::vector<int> targets, quotients, bases, products;
        for (int t = 0; t < outer_; ++t) targets.push_back(push({kTargetRow, t, -1}, target(t)));
        const int count = std::min<int>(kBases, static_cast<int>(classes_.size()));
        for (int k = 0; k < count; ++k) bases.push_back(push({kBaseRow, 0, classes_[k]}, values(classes_[k])));
        // Not of the classes alone: by x - 1 is another quotient than by x. Beside a quotient stand its products with columns.
        std::vector<std::vector<int>> with_columns;
        for (std::int32_t place = 0; place < static_cast<std::int32_t>(nodes_.size()); ++place) {
            const std::int32_t operation = nodes_[static_cast<std::size_t>(place)].operation;
            if (static_cast<int>(quotients.size()) == kQuotients) break;
            if (operation == kScale || operation == kOneMinus) continue;
            const double* base = values(place);
            double least = INFINITY, most = 0;
            for (int s = 0; s < rows_; ++s) {
                made[s] = target(0)[s] / base[s];
                least = std::min(least, std::fabs(base[s])), most = std::max(most, std::fabs(base[s]));
            }
            if (!(least > 1e-5 * most)) continue;
            const int row = push({kQuotientRow, 0, place}, made.data());
            if (row < 0) continue;
            quotients.push_back(row);
            with_columns.emplace_back();
            const std::vector<double> quotient = made;
            // The columns that are not constant stand first in the bank.
            for (std::int32_t column = 0; nodes_[static_cast<std::size_t>(column)].operation == kColumn; ++column) {
                for (int s = 0; s < rows_; ++s) made[s] = quotient[s] * values(column)[s];
                if (int product = push({kProductRow, 0, column}, made.data()); product >= 0) with_columns.back().push_back(product);
            }
        }
        for (int k = 0; k < std::min(count, kProducts); ++k) {
            for (int s = 0; s < rows_; ++s) made[s] = target(0)[s] * values(classes_[k])[s];
            if (int row = push({kProductRow, 0, classes_[k]}, made.data()); row >= 0) products.push_back(row);
        }
        bases.erase(std::remove(bases.begin(), bases.end(), -1), bases.end());
        make_groups(targets, quotients, with_columns, bases, products);
        std::vector<std::int32_t> before = classes_;
        for (std::int32_t place : before) {
            normalised(values(place), unit.data());
            add(place, nodes_[static_cast<std::size_t>(place)], unit.data());
        }
    }

    const double* target(int t) const { return targets_.data() + static_cast<std::size_t>(t) * rows_; }

    void make_groups(const std::vector<int>& targets, const std::vector<int>& quotients,
                     const std::vector<std::vector<int>>& with_columns, const std::vector<int>& bases,
                     const std::vector<int>& products) {
        for (std::size_t t = 0; t < targets.size(); ++t) {
            if (targets[t] < 0) continue;
            group(targets[t], {});
            const std::size_t most = t == 0 ? bases.size() : kPaired;
            for (std::size_t k = 0; k < std::min(most, bases.size()); ++k) group(targets[t], {bases[k]});
        }
        for (std::size_t q = 0; q < quotients.size(); ++q) {
            const int row = quotients[q];
            group(row, {});
            for (int product : with_columns[q]) group(row, {product});
            for (std::size_t k = 0; k < std::min<std::size_t>(kBeside, bases.size()); ++k) group(row, {bases[k]});
        }
        const int y = targets[0];
        if (y < 0) return;
        std::vector<int> beside = first(bases, kPaired);
        beside.insert(beside.end(), products.begin(), products.end());
        for (int row : products) group(y, {row});
        for (std::size_t a = 0; a < beside.size(); ++a)
            for (std::size_t b = 0; b < a; ++b) group(y, {beside[b], beside[a]});
        std::vector<int> few = first(bases, kTripled);
        for (int row : first(products, 4)) few.push_back(row);
        for (std::size_t a = 0; a < few.size(); ++a)
            for (std::size_t b = 0; b < a; ++b)
                for (std::size_t c = 0; c < b; ++c) group(y, {few[c], few[b], few[a]});
        polynomials(y, bases);
    }

    static std::vector<int> first(const std::vector<int>& rows, std::size_t most) {
        return {rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(std::min(most, rows.size()))};
    }

    // Powers of one column up to the third, and another base.
    void powers(int y, const std::vector<int>& linear, const std::vector<int>& bases) {
        for (int row : linear) {
            const double* x = values(table_[static_cast<std::size_t>(row)].base);
            std::vector<int> all{row};
            std::vector<double> power(x, x + rows_), one(power.size()), other(power.size());
            for (int degree = 2; degree <= 3; ++degree) {
                for (int s = 0; s < rows_; ++s) power[s] *= x[s];
                if (!normalised(power.data(), one.data())) return;
                for (int base : bases) {
                    double along = 0;
                    for (int s = 0; s < rows_; ++s) along += one[s] * unit(base)[s];
                    if (std::fabs(along) > 1 - 1e-12) { all.push_back(base); break; }
                }
            }
            group(y, all);
            for (int base : first(bases, kPaired)) {
                if (std::find(all.begin(), all.end(), base) != all.end()) continue;
                all.push_back(base);
                group(y, all);
                all.pop_back();
            }
        }
    }

    // Products of the target with powers of a single column up to the fourth, and another base: quotients of polynomials.
    void denominators(int y, const std::vector<int>& linear, const std::vector<int>& bases) {
        if (linear.size() != 1) return;
        const double* x = values(table_[static_cast<std::size_t>(linear[0])].base);
        std::vector<int> all;
        std::vector<double> power(static_cast<std::size_t>(rows_), 1.0), one(power.size());
        for (int degree = 1; degree <= 4; ++degree) {
            for (int s = 0; s < rows_; ++s) power[s] *= x[s];
            if (!normalised(power.data(), one.data())) return;
            for (int base : bases) {
                double along = 0;
                for (int s = 0; s < rows_; ++s) along += one[s] * unit(base)[s];
                if (std::fabs(along) < 1 - 1e-12) continue;
                const std::int32_t place = table_[static_cast<std::size_t>(base)].base;
                for (int s = 0; s < rows_; ++s) power[s] = target(0)[s] * values(place)[s];
                if (!normalised(power.data(), one.data())) return;
                all.push_back(static_cast<int>(table_.size()));
                table_.push_back({kProductRow, 0, place});
                units_.insert(units_.end(), one.begin(), one.end());
                for (int s = 0; s < rows_; ++s) power[s] = std::pow(x[s], degree);
                break;
            }
            if (static_cast<int>(all.size()) < degree) return;
            if (degree == 1) continue;
            group(y, all);
            for (int base : first(bases, kPaired)) {
                all.push_back(base);
                group(y, all);
                all.pop_back();
            }
        }
    }

    // All columns; all columns and their products; powers of a single column.
    void polynomials(int y, const std::vector<int>& bases) {
        std::vector<int> linear, products, squares;
        for (int row : bases) {
            const Node& node = nodes_[static_cast<std::size_t>(table_[static_cast<std::size_t>(row)].base)];
            const auto leaf = [&](std::int32_t place) { return nodes_[static_cast<std::size_t>(place)].operation == kColumn; };
            if (node.operation == kColumn) linear.push_back(row);
            else if (node.operation == kMultiply && leaf(node.left) && leaf(node.right) && node.left != node.right) products.push_back(row);
            else if (node.operation == kSquare && leaf(node.left)) squares.push_back(row);
        }
        std::vector<int> all = linear;
        if (linear.size() > 2) group(y, all);
        all.insert(all.end(), products.begin(), products.end());
        if (!products.empty()) group(y, all);
        all.insert(all.end(), squares.begin(), squares.end());
        group(y, all);
        if (all.size() + 1 < kMostTerms)
            for (int row : first(bases, kPaired))
                if (std::find(all.begin(), all.end(), row) == all.end()) {
                    all.push_back(row);
                    group(y, all);
                    all.pop_back();
                }
        powers(y, linear, bases);
        denominators(y, linear, bases);
    }

    void group(int target, std::vector<int> members) {
        if (members.size() > kMostTerms || members.size() + 3 > static_cast<std::size_t>(rows_)) return;
        Group made;
        made.target = target;
        made.terms = static_cast<int>(members.size());
        const Row& aim = table_[static_cast<std::size_t>(target)];
        made.size = aim.base >= 0 ? nodes_[static_cast<std::size_t>(aim.base)].size + 1 : (aim.target > 0);
        for (int k = 0; k < made.terms; ++k) {
            made.members[k] = members[k];
            made.size += nodes_[static_cast<std::size_t>(table_[static_cast<std::size_t>(members[k])].base)].size + 2;
            // Gram-Schmidt, twice: the second pass takes away what rounding left.
            std::vector<double> rest(unit(members[k]), unit(members[k]) + rows_);
            std::array<double, kMostTerms> direction{};
            direction[k] = 1;
            for (int pass = 0; pass < 2; ++pass)
                for (int j = 0; j < k; ++j) {
                    double along = 0;
                    for (int s = 0; s < rows_; ++s) along += rest[s] * frame_[static_cast<std::size_t>(j) * rows_ + s];
                    for (int s = 0; s < rows_; ++s) rest[s] -= along * frame_[static_cast<std::size_t>(j) * rows_ + s];
                    for (int i = 0; i <= j; ++i) direction[i] -= along * made.directions[j][i];
                }
            double square = 0;
            for (double value : rest) square += value * value;
            if (square < kIndependent) return;
            const double norm = std::sqrt(square);
            double along = 0;
            for (int s = 0; s < rows_; ++s) {
                frame_[static_cast<std::size_t>(k) * rows_ + s] = rest[s] / norm;
                along += unit(target)[s] * rest[s] / norm;
            }
            for (int i = 0; i <= k; ++i) made.directions[k][i] = direction[i] / norm;
            made.along[k] = along;
            made.rest -= along * along;
        }
        made.frame = frames_.size();
        frames_.insert(frames_.end(), frame_.begin(), frame_.begin() + static_cast<std::ptrdiff_t>(made.terms) * rows_);
        std::vector<double> rest(unit(target), unit(target) + rows_);
        for (int pass = 0; pass < 2; ++pass) take_away(frame_.data(), made.terms, rest.data());
        frames_.insert(frames_.end(), rest.begin(), rest.end());
        groups_.push_back(made);
    }

    void take_away(const double* frame, int directions, double* from) const {
        for (int k = 0; k < directions; ++k, frame += rows_) {
            double along = 0;
            for (int s = 0; s < rows_; ++s) along += frame[s] * from[s];
            for (int s = 0; s < rows_; ++s) from[s] -= along * frame[s];
        }
    }

    // What a sum leaves of the target, by its values: inner products lose what is below their rounding.
    double precise(const Group& group, int b) {
        scratch_.resize(2 * static_cast<std::size_t>(rows_));
        double* candidate = scratch_.data() + rows_;
        for (int s = 0; s < rows_; ++s) candidate[s] = block_[static_cast<std::size_t>(s) * kBlock + b];
        const double* frame = frames_.data() + group.frame;
        for (int pass = 0; pass < 2; ++pass) take_away(frame, group.terms, candidate);
        const double* rest = frame + static_cast<std::size_t>(group.terms) * rows_;
        double along = 0, square = 0, left = 0;
        for (int s = 0; s < rows_; ++s) along += rest[s] * candidate[s], square += candidate[s] * candidate[s];
        for (int s = 0; s < rows_; ++s) {
            const double value = rest[s] - along / square * candidate[s];
            left += value * value;
        }
        return left;
    }

    const double* unit(int row) const { return units_.data() + static_cast<std::size_t>(row) * rows_; }

    void flush() {
        if (filled_ == 0) return;
        const std::size_t wide = table_.size();
        products_.resize(wide * kBlock);
        for (int s = 0; s < rows_; ++s)
            for (int b = filled_; b < kBlock; ++b) block_[static_cast<std::size_t>(s) * kBlock + b] = 0;
        multiply(units_.data(), static_cast<int>(wide), rows_, block_.data(), products_.data());
        alignas(64) double residual[kBlock];
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            const Group& group = groups_[g];
            const int kind = which(group);
            const double bound = std::max(kRounding, worst_[static_cast<std::size_t>(kind)]);
            if (!residuals(group, products_.data(), bound, residual)) continue;
            for (int b = 0; b < filled_; ++b)
                if (residual[b] < bound)
                    keep(kind, static_cast<int>(g), b, residual[b] < kRounding ? precise(group, b) : residual[b]);
        }
        filled_ = 0;
    }

    // Few terms, for which constants may be fitted inside; sums for the target; sums for what was made of it.
    int which(const Group& group) const {
        if (group.target != 0) return 2;
        return group.terms <= 1 ? 0 : 1;
    }

    // g[k][b] = sum over s of a[k][s] c[s][b].
    SUPERPOSE_CLONES static void multiply(const double* a, int wide, int rows, const double* c, double* g) {
        for (int k = 0; k < wide; ++k) {
            const double* of = a + static_cast<std::size_t>(k) * rows;
            Eight sums[kBlock / kLanes] = {};
            for (int s = 0; s < rows; ++s) {
                const Eight* from = reinterpret_cast<const Eight*>(c + static_cast<std::size_t>(s) * kBlock);
                for (int v = 0; v < kBlock / kLanes; ++v) sums[v] += of[s] * from[v];
            }
            Eight* to = reinterpret_cast<Eight*>(g + static_cast<std::size_t>(k) * kBlock);
            for (int v = 0; v < kBlock / kLanes; ++v) to[v] = sums[v];
        }
    }

    // What a sum leaves of the target with each candidate; whether any of them is below the bound.
    SUPERPOSE_CLONES static bool residuals(const Group& group, const double* products, double bound, double* residual) {
        bool any = false;
        for (int v = 0; v < kBlock / kLanes; ++v) {
            const auto row = [&](int k) { return products + static_cast<std::size_t>(k) * kBlock + v * kLanes; };
            const double* aim = row(group.target);
            double above[kLanes], below[kLanes];
            for (int l = 0; l < kLanes; ++l) above[l] = aim[l], below[l] = 1.0;
            for (int k = 0; k < group.terms; ++k) {
                double along[kLanes] = {};
                for (int i = 0; i <= k; ++i) {
                    const double* member = row(group.members[k - i]);
                    const double factor = group.directions[k][k - i];
                    for (int l = 0; l < kLanes; ++l) along[l] += factor * member[l];
                }
                for (int l = 0; l < kLanes; ++l) above[l] -= group.along[k] * along[l], below[l] -= along[l] * along[l];
            }
            double* to = residual + v * kLanes;
            int small = 0;
            for (int l = 0; l < kLanes; ++l) {
                const double left = group.rest - above[l] * above[l] / below[l];
                to[l] = below[l] > kIndependent ? left : 1.0;
                small |= to[l] < bound;
            }
            any |= small != 0;
        }
        return any;
    }

    void keep(int kind, int group, int b, double residual) {
        std::vector<Hit>& heap = heaps_[static_cast<std::size_t>(kind)];
        const auto [node, place] = waiting_[static_cast<std::size_t>(b)];
        // A node is worth a constant share of the residual.
        const double weight = kind == 0 ? 0.25 : 0.15;
        const int size = node.size + groups_[static_cast<std::size_t>(group)].size;
        const double key = std::log(std::max(residual, kExact)) + weight * size;
        const auto less = [](const Hit& a, const Hit& c) { return a.key < c.key; };
        if (heap.size() == kHeap && key >= heap.front().key) return;
        std::int32_t candidate = place;
        if (place < 0) {
            kept_.push_back(node);
            candidate = -static_cast<std::int32_t>(kept_.size());
            waiting_[static_cast<std::size_t>(b)].second = candidate;
        }
        heap.push_back({key, residual, group, candidate});
        std::push_heap(heap.begin(), heap.end(), less);
        if (heap.size() > kHeap) {
            std::pop_heap(heap.begin(), heap.end(), less);
            heap.pop_back();
        }
        // No smaller sum than this many nodes is in any heap: what is larger need not be looked at.
        if (heap.size() == kHeap) worst_[static_cast<std::size_t>(kind)] = std::exp(heap.front().key - weight);
    }

    int rows_, columns_, outer_;
    std::int64_t most_;
    std::vector<double> x_, targets_, weights_, values_, units_, frame_, frames_, block_, products_, scratch_;
    std::vector<Node> nodes_, kept_;
    std::vector<std::int32_t> starts_, classes_;
    std::unordered_set<std::uint64_t> seen_, affine_;
    std::vector<Job> jobs_;
    std::size_t job_ = 0;
    std::int32_t at_left_ = 0, at_right_ = 0;
    int level_ = 1, filled_ = 0;
    bool ready_ = false;
    std::vector<Row> table_;
    std::vector<Group> groups_;
    std::array<std::pair<Node, std::int32_t>, kBlock> waiting_{};
    std::array<std::vector<Hit>, 3> heaps_;
    std::array<double, 3> worst_{{1.0, 1.0, 1.0}};
};

}  // namespace superpose
