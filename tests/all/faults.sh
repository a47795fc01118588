#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway killed, cut off from power, and refused by the disk at every system call that it makes.
exec make -s fault
