"""Compares the counts of a channel by function and by stack: what the subscriber wrote, and folded stacks of Davy.

    python3 compare.py LINES CHANNEL TIMES FOLDED    counts of LINES are multiplied by TIMES; exits with 1 if any differs
"""

import collections
import gzip
import sys


def counts(lines):
    functions, stacks = collections.Counter(), collections.Counter()
    for line in lines:
        stack, count = line.rsplit(b" ", 1)
        frames = [frame for frame in stack.split(b";") if frame]
        for frame in set(frames):
            functions["total", frame] += int(count)
        functions["self", frames[-1]] += int(count)
        stacks[tuple(frames)] += int(count)
    return functions, stacks


def differences(a, b, times):
    return [(key, a[key] * times, b[key]) for key in a.keys() | b.keys() if a[key] * times != b[key]]


def main():
    path, channel, times, folded = sys.argv[1:]
    channel, times = channel.encode() + b"\t", int(times)
    with open(path, "rb") as lines:
        heard = [line[len(channel) :] for line in lines.read().splitlines() if line.startswith(channel)]
    with open(folded, "rb") as file:
        text = file.read()
    text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
    (a, stacks), (b, others) = counts(heard), counts(text.splitlines())
    differing = differences(a, b, times) + differences(stacks, others, times)
    samples = sum(stacks.values()) * times
    names = sum(kind == "total" for kind, _ in a)
    print(
        f"{sys.argv[2]} x {times}: {len(heard) * times} lines, {samples} samples, {names} functions, "
        f"{len(stacks)} stacks; {len(differing)} differ"
    )
    for key, heard, stored in differing[:10]:
        print(f"  {key}: heard {heard}, stored {stored}")
    sys.exit(1 if differing or not samples else 0)


main()
