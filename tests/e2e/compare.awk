# SPDX-License-Identifier: MIT
# awk -f compare.awk [-v skip=N] EXPECTED ACTUAL: compares rows field by field as decimals; 721.20 is 721.2, and an empty field (NULL) is
# not "". Prints how many rows and how many differences; status 1 when there is one. Fields hold no comma. `skip` is the
# number of leading fields of ACTUAL to pass over.
function plain(text) {
    if (text ~ /^-?[0-9]+\.[0-9]+$/) {
        sub(/0+$/, "", text)
        sub(/\.$/, "", text)
    }
    return text == "-0" ? "0" : text
}
function row(start,    i, text) {
    text = plain($start)
    for (i = start + 1; i <= NF; i++)
        text = text "," plain($i)
    return text
}
BEGIN { FS = ","; differences = 0 }
{ sub(/\r$/, "") }
FNR == NR { expected[FNR] = row(1); rows = FNR; next }
{
    found = FNR
    if (row(1 + skip) != expected[FNR]) {
        differences++
        if (differences <= 5)
            print "    row " FNR ": expected " expected[FNR] ", found " row(1 + skip)
    }
}
END {
    print "    " rows " rows expected, " found + 0 " found, " differences " differ"
    exit (differences != 0 || found + 0 != rows)
}
