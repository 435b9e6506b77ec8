#!/usr/bin/env python3
"""Counts how often each host was visited, and all of them together."""

import os

import cronium

here = cronium.incr("visits/" + os.environ["CRONIUM_HOST"])
# Every host adds to this one at the same time; none of them is lost.
everywhere = cronium.incr("visits")
print(f"visit {here} here, {everywhere} everywhere")
cronium.output({"here": here, "everywhere": everywhere})
