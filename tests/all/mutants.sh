#!/bin/sh
# SPDX-License-Identifier: MIT
# A sample of the mutants of core/: are 95 of 100 noticed by a test? Where a small sample has fewer, a larger one decides, since chance alone
# may take some from it. The sample is the same as long as the code is, so that nothing fails by chance; SEED=$(date +%Y%m%d) takes another.
seed=${SEED:-20261121}
build=${BUILD:-build}/mutants
echo "seed $seed"
for size in 90 270; do
    python3 tests/mutants/mutants.py --plain --build "$build" --sample "$size" --seed "$seed" && {
        echo "1 passed, 0 failed"
        exit 0
    }
done
echo "FAIL fewer than 95 of 100 mutants of core/ are noticed: make mutants SAMPLE=$size SEED=$seed MUTANTS=--plain"
echo "0 passed, 1 failed"
exit 1
