#!/bin/sh
# Installs the last commit from its source archive in fresh environments, with compiled kernels and without, and
# compares what the two compute. Run by `make check-install`: sh tests/check_install.sh PYTHON FOLDER
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
rm -rf "$2"
mkdir -p "$2"
work=$(cd "$2" && pwd)
unset PYTHONPATH CXX SUPERPOSE_BACKEND || true
pip="-m pip --quiet --disable-pip-version-check"

git clone --quiet "$root" "$work/source"
"$python" -m venv "$work/tools"
$work/tools/bin/python $pip install $(cd "$work/source" && "$python" -c \
    'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
(cd "$work/source" && "$work/tools/bin/python" -c \
    "from scikit_build_core.build import build_sdist; build_sdist('$work/archive')")

# wheel NAME [SETTING=VALUE...] [PIP OPTION...]: a wheel in $work/NAME from the archive, in that environment.
wheel() {
    name=$1
    shift
    echo "== $name"
    before=$(date +%s)
    env "$@" --no-deps --wheel-dir "$work/$name" "$work"/archive/superpose-*.tar.gz
    echo "$(($(date +%s) - before)) s to build: $(basename "$work/$name"/*.whl)"
}
build="$work/tools/bin/python $pip wheel"

# A folder for PATH with what building may use, but no compiler.
mkdir "$work/programs"
for program in cmake ninja make sh env uname git; do
    if found=$(command -v $program); then ln -s "$found" "$work/programs/$program"; fi
done
off=--config-settings=cmake.define.CMAKE_DISABLE_FIND_PACKAGE_
wheel compiled $build
wheel without-compiler PATH="$work/programs" $build
wheel compiler-missing CXX=/nonexistent $build
wheel compiler-fails CXX=false $build
wheel without-headers $build ${off}Python=ON
wheel without-nanobind $build ${off}nanobind=ON
wheel compiling-fails CXXFLAGS=-DSUPERPOSE_VECTOR_BYTES=nonsense $build
wheel one-thread $build ${off}OpenMP=ON

cat >"$work/try.py" <<'END'
import sys, warnings
import importlib.util
import torch, superpose

kernels = sys.argv[1] == "compiled"
torch.manual_seed(0)
model = superpose.KAN([2, 5, 1]).double()
x = torch.linspace(-1, 1, 200, dtype=torch.float64).reshape(100, 2).requires_grad_()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        y = model(x)
        y.square().sum().backward()
told = superpose.backends()
assert (told.in_use != "reference") == kernels, told
assert len(caught) == (not kernels), [str(w.message) for w in caught]
for warning in caught:
    print("warned once:", warning.message)
# The benchmarks stay in the checkout.
assert importlib.util.find_spec("benchmarks") is None
results = [y.detach(), x.grad, *(p.grad for p in model.parameters() if p.grad is not None)]
print(told, "in", superpose.__file__)
if sys.argv[2] == "write":
    torch.save(results, sys.argv[3])
else:
    for mine, theirs in zip(results, torch.load(sys.argv[3]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    print("results agree with those of the compiled kernels")
END

# One environment, in which only the wheel changes: torch is large.
"$python" -m venv "$work/user"
user="$work/user/bin/python"
$user $pip install --constraint "$work/source/constraints.txt" "$work"/compiled/*.whl
cd /
echo "== what they compute"
$user -I "$work/try.py" compiled write "$work/results.pt"
for name in one-thread without-compiler compiler-missing compiler-fails without-headers without-nanobind compiling-fails; do
    $user $pip install --no-deps --force-reinstall "$work/$name"/*.whl
    case $name in one-thread) kind=compiled ;; *) kind=plain ;; esac
    echo "-- $name"
    $user -I "$work/try.py" $kind read "$work/results.pt"
done
rm -rf "$work"
echo "all installs work"
