// Compiled once for each instruction set: SUPERPOSE_TABLE names the table it offers, SUPERPOSE_NAME what users call it.
#include "edge_sum.hpp"
#include "normal_matrix.hpp"
#include "pulls.hpp"

namespace superpose {
namespace {

// Chooses the function for a degree; degrees outside kLeastDegree to kMostDegree never come here.
#define SUPERPOSE_BY_DEGREE(function, call)            \
    switch ((call).shape.degree) {                     \
        case 1: return function<T, 1>(call);           \
        case 2: return function<T, 2>(call);           \
        case 3: return function<T, 3>(call);           \
        case 4: return function<T, 4>(call);           \
        default: return function<T, 5>(call);          \
    }

template <class T>
bool edge_sum_any(const EdgeSum<T>& call) {
    SUPERPOSE_BY_DEGREE(edge_sum, call)
}

template <class T>
bool pulls_any(const Pulls<T>& call) {
    SUPERPOSE_BY_DEGREE(pulls, call)
}

template <class T>
bool records_any(const Records<T>& call) {
    SUPERPOSE_BY_DEGREE(records, call)
}

}  // namespace

extern const Table SUPERPOSE_TABLE;
const Table SUPERPOSE_TABLE = {SUPERPOSE_NAME, edge_sum_any<float>, edge_sum_any<double>, pulls_any<float>,
                               pulls_any<double>, records_any<float>, records_any<double>, normal_matrix<float>,
                               normal_matrix<double>};

}  // namespace superpose
