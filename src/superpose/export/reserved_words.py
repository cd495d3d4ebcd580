"""Words that no identifier of exported code may be: those of the languages, and names that the code uses itself."""

from __future__ import annotations

import keyword
from collections.abc import Mapping


def _words(*texts: str) -> tuple[str, ...]:
    return tuple(word for text in texts for word in text.split())


_FUNCTIONS = "abs sign sqrt exp log sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf"
# With those of C++, which compiles the same code.
_C = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false
    nullptr constexpr typeof alignas alignof thread_local static_assert asm fabs pow sign_of
    catch class delete explicit export friend mutable namespace new operator private protected public template this
    throw try typename using virtual
"""
# Macros of math.h, and what some compilers define, in small letters: capital letters make no difference here.
_C_MACROS = """
    nan infinity huge_val huge_valf huge_vall snan domain sing overflow underflow ploss tloss maxfloat linux unix i386
    m_e m_log2e m_log10e m_ln2 m_ln10 m_pi m_pi_2 m_pi_4 m_1_pi m_2_pi m_2_sqrtpi m_sqrt2 m_sqrt1_2 math_errno
    math_errexcept math_errhandling fp_nan fp_infinite fp_zero fp_subnormal fp_normal
"""
_JAVASCRIPT = """
    abstract arguments await boolean break byte case catch char class const continue debugger default delete do double
    else enum eval export extends false final finally float for function goto if implements import in instanceof int
    interface let long native new null package private protected public return short static super switch synchronized
    this throw throws transient true try typeof undefined var void volatile while with yield Math NaN Infinity module
"""
_JULIA = """
    abstract baremodule begin break catch const continue do else elseif end error export false finally for function
    global if import in isa let local macro module mutable outer primitive quote return struct true try type using where
    while defined float nan
"""
_MATLAB = """
    break case catch classdef continue do else elseif end end_try_catch end_unwind_protect endfor endfunction endif
    endswitch endwhile for function global if otherwise parfor persistent return spmd switch try until unwind_protect
    unwind_protect_cleanup while predict defined choose zeros size real imag arrayfun nan
"""
# Excel has cells, and SQL the names x1, x2, ...
RESERVED: Mapping[str, tuple[str, ...]] = {
    "python": (*keyword.kwlist, *keyword.softkwlist, "math", "abs"),
    "torch": (*keyword.kwlist, *keyword.softkwlist, "math", "torch", "abs", "Formula"),
    "c": _words(_FUNCTIONS, _C, _C_MACROS),
    "javascript": _words(_JAVASCRIPT),
    "julia": _words(_FUNCTIONS, _JULIA),
    "matlab": _words(_FUNCTIONS, _MATLAB),
}
