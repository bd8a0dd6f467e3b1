#!/usr/bin/env bash
# Every check that wants a GPU, in one call under 8 minutes.
#
#     scripts/gpu_checks.sh
#
# Kernel parity, compile report, roofline and throughput, each under its own time limit;
# a step that fails or runs out of time is recorded and the next one runs. Needs Python
# 3.11 or newer with jax, the library's other dependencies, pytest and hypothesis; no
# network, and nothing is installed. PYTHON names the interpreter (default python3);
# SURROGATE_DATA the released dumps (default: the embedded sweep). One JSON file is
# written to bench/results/ under device and date, and to $OUT where that is set.
# Without a GPU it runs to the end all the same and says so.
set -uo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The package need not be installed, and kernels/ is imported under another name.
mkdir "$work/path" "$work/steps"
ln -s "$PWD/surrogate" "$work/path/surrogate"
ln -s "$PWD/kernels" "$work/path/surrogate_kernels"
export PYTHONPATH="$work/path${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1

count=0
# step NAME SECONDS COMMAND...: all limits in this file sum to under 8 minutes.
step() {
  local name limit file begin rc
  name=$1 limit=$2
  shift 2
  count=$((count + 1))
  file=$work/steps/$count-$name
  echo "$name: at most $limit s" >&2
  begin=$(date +%s.%N)
  # --kill-after: a hung driver call does not hear the first signal.
  timeout --kill-after=5 "$limit" "$@" >"$file.out" 2>"$file.err"
  rc=$?
  # Errors first, so that a JSON document stays the last line.
  cat "$file.err" "$file.out" >"$file.both" && mv "$file.both" "$file.out"
  echo "$rc" >"$file.rc"
  echo "$(date +%s.%N) - $begin" | bc >"$file.seconds" 2>/dev/null ||
    echo "$SECONDS" >"$file.seconds"
}

platform=$(timeout 30 "$python" -c 'import jax; print(jax.devices()[0].platform)')
echo "device: ${platform:-none}" >&2

shopt -s nullglob
step parity 100 "$python" -m pytest -q -p no:cacheprovider tests/test_kernels*.py
step compile-report 70 "$python" scripts/compile_report.py
step roofline 30 "$python" bench/harness/machine.py $([ "$platform" = gpu ] || echo --quick)
if [ "$platform" = gpu ]; then
  step posynomial 110 "$python" bench/throughput.py --json --only gpu-posynomial
  step quadratic 40 "$python" bench/throughput.py --json --only gpu-quadratic
  step gpufit 40 "$python" bench/throughput.py --json --only gpufit
else
  step quadratic 90 "$python" bench/throughput.py --json --quick --only quadratic
  step gpufit 60 "$python" bench/throughput.py --json --quick --only gpufit
fi
timeout 30 "$python" bench/collect.py "$work/steps" "$SECONDS"
