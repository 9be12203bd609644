"""A program that is busy for a while under Pyroscope's own Python agent."""

import sys
import time

import pyroscope

pyroscope.configure(
    application_name="python-program",
    server_address=sys.argv[1],
    sample_rate=100,
    tags={"language": "python"},
)


def busy(seconds):
    end = time.process_time() + seconds
    total = 0
    while time.process_time() < end:
        total += sum(range(1000))
    return total


print("busy for 12 s; profiles are pushed as python-program", flush=True)
busy(12)
pyroscope.shutdown()
