#!/bin/sh
# SPDX-License-Identifier: MIT
# Every closed csv segment, plain or compressed, parses under Python's csv module to the rows that were sent, byte for byte.
. tests/e2e/common.sh

cat >"$WORK/make.py" <<'END'
import random, sys
random.seed(int(sys.argv[2]))
pieces = ["a", "b ", "\"", "\"\"", ",", "\n", "\r\n", "\r", ";", "'", "\t", "\u00e9", "\u2603", "\U0001f600", "NULL", "\\N", "=1+1", " "]
def quoted(text):
    return '"' + text.replace('"', '""') + '"'
with open(sys.argv[1], "w", newline="", encoding="utf-8") as out:
    out.write("at,celsius,note,remark\n")
    for at in range(2000):
        note = "" if at % 7 == 0 else quoted("".join(random.choice(pieces) for _ in range(random.randrange(12))))
        remark = quoted("".join(random.choice(pieces) for _ in range(random.randrange(4))))
        out.write("%d,%d.%02d,%s,%s\n" % (1700000000 + at, at % 90, at % 100, note, remark))
END
cat >"$WORK/compare.py" <<'END'
import csv, glob, gzip, io, subprocess, sys
def text(path):
    if path.endswith(".gz"):
        data = gzip.open(path).read()
    elif path.endswith(".zst"):
        data = subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout
    else:
        data = open(path, "rb").read()
    return data.decode("utf-8")
def rows(source):
    return list(csv.reader(io.StringIO(source, newline=""), strict=True))
sent = rows(open(sys.argv[1], newline="", encoding="utf-8").read())
found, names = [], sorted(glob.glob(sys.argv[2] + "/notes-*.csv*"))
lines = ""
for name in names:
    content = text(name)
    part = rows(content)
    assert part[0] == ["device", "tern_id", "tern_op"] + sent[0], part[0]
    found += part[1:]
    lines += content.split("\n", 1)[1]
assert [row[0] for row in found] == ["dev1"] * len(found)
assert [int(row[1]) & 0xFFFFFFFF for row in found] == list(range(1, len(sent))), "sequence"
assert [row[2] for row in found] == ["put"] * len(found)
assert [row[3:] for row in found] == sent[1:], "values"
# What Python cannot tell apart, NULL and the empty string, the bytes can.
def field(value, null):
    if value == "":
        return "" if null else '""'
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\r\n') else value
expected = ""
for row, got in zip(sent[1:], found):
    null = (int(row[0]) - 1700000000) % 7 == 0
    expected += ",".join(got[:3] + [row[0], row[1], field(row[2], null), field(row[3], False)]) + "\n"
assert expected == lines, "bytes"
print("    %d rows in %d segments" % (len(found), len(names)))
END

python3 "$WORK/make.py" "$WORK/sent.csv" "${SEED:-7}"
for tool in none gzip zstd; do
    compress=
    [ $tool = none ] || compress="--segment-compress $tool"
    # shellcheck disable=SC2086
    start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage-$tool" --sink "csv:$WORK/$tool" --segment-bytes 8192 --segment-seconds 1 $compress || exit 1
    check "$tool: the device ends with everything acknowledged" "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev1 \
        --flash "$WORK/$tool.flash" --table notes --key at --commit 10 --quiet "$WORK/sent.csv"
    check "$tool: the gateway stops" stop_gateway
    check "$tool: every segment parses to what was sent" python3 "$WORK/compare.py" "$WORK/sent.csv" "$WORK/$tool"
    check "$tool: an audit agrees" "$BUILD/tern-gateway" audit --stage "$WORK/stage-$tool" --sink "csv:$WORK/$tool"
    check "$tool: nothing else is left" test -z "$(find "$WORK/$tool" -name '.*.open' -o -name '.*.new')"
done
check "gzip: no segment is there twice" test "$(find "$WORK/gzip" -name '*.csv' | wc -l)" -eq 0

mkdir "$WORK/bin"
printf '#!/bin/sh\ncat >/dev/null\nexit 1\n' >"$WORK/bin/gzip"
chmod +x "$WORK/bin/gzip"
real=$PATH
PATH="$WORK/bin:$PATH"
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage-bad" --sink "csv:$WORK/bad" --segment-compress gzip || exit 1
PATH=$real
"$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev1 --flash "$WORK/bad.flash" --table notes --key at --quiet "$WORK/sent.csv"
stop_gateway
check "where the tool fails segments stay plain" python3 "$WORK/compare.py" "$WORK/sent.csv" "$WORK/bad"
check "and the log says so" grep -q 'event=segment-not-compressed' "$WORK/gateway.log"
[ "$failed" -eq 0 ] || tail -n 20 "$WORK/gateway.log"
report
