#!/usr/bin/env python3
"""Runs on every host. Try it here first:  cronium-run exec local . --input '{"name": "Ada"}'"""

import os
import platform
from pathlib import Path

import cronium

# What was given with --input; a path picks inside it.
name = cronium.input(".name", default="world")

# A variable, kept on your side: no addition is lost, however many hosts add at once.
visits = cronium.incr("visits/" + os.environ["CRONIUM_HOST"])
print(f"hello {name} from {platform.node()}, visit {visits}, level {os.environ['LEVEL']}")

# What is put here comes back:  cronium-run artifacts last -o out
Path(os.environ["CRONIUM_OUT"], "platform.txt").write_text(platform.platform() + "\n")

# The host's result, in the ledger and in -o json.
cronium.output({"kernel": platform.release(), "visits": visits})
