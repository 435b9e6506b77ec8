#!/usr/bin/env python3
"""Runs on every host. Try it here first:  cronium-run exec local ."""

import json
import os
import platform
import subprocess


def cronium(*arguments):
    """Calls a helper and returns what it prints."""
    done = subprocess.run(["cronium", *arguments], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


# What was given with --input; None when nothing was.
given = json.loads(cronium("input"))
print(f"hello from {platform.node()}, level {os.environ['LEVEL']}, input {given}", flush=True)

# What stands here is the host's result.
cronium("output", json.dumps({"host": platform.node(), "kernel": platform.release()}))
