/* SPDX-License-Identifier: MIT */
/* From reset to main(). Traps end here too: the machine starts again, and the log goes on where it was. */
    .option arch, +zicsr
    .section .start, "ax"
    .globl start
start:
    csrw mie, zero
    la t0, start
    csrw mtvec, t0
    la sp, image_stack
    la t0, image_bss
    la t1, image_bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call main
    j start
