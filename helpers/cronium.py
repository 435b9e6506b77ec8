"""Helpers of a cronium-run script: its input, its output, and variables shared by hosts and runs.

    import cronium

    name = cronium.input(".user.name", default="nobody")
    cronium.setVariable("greeting", "hello " + name)
    count = cronium.incr("visits")
    cronium.output({"visits": count})

Every call is answered when it returns, and raises CroniumError where it was refused. Values are
what JSON holds: None, True, False, numbers, str, list and dict. Threads and forked processes may
call at once. Names exist in snake_case too: get_variable, set_variable.
"""

import json
import os
import re
import socket
import threading

__all__ = [
    "input", "output", "event", "getVariable", "setVariable", "version", "incr", "vars", "unset",
    "condition", "log", "progress", "notify", "get_variable", "set_variable",
    "CroniumError", "MissingVariable", "VersionConflict",
]


class CroniumError(Exception):
    """A call was refused, or nobody is there to answer it.

    status is the helper API's: 400 malformed, 403 forbidden, 413 too large, 429 too many calls,
    503 out of reach.
    """

    def __init__(self, message, status=503):
        super().__init__(message)
        self.message = message
        self.status = status

    def __str__(self):
        return self.message

    def __reduce__(self):
        return type(self), (self.message, self.status)


class MissingVariable(CroniumError, KeyError):
    """There is no such value. It is a KeyError too; status is 404."""


class VersionConflict(CroniumError):
    """ifVersion is not the variable's version any more; status is 409."""


class _Nothing:
    def __repr__(self):
        return "<none>"


_NOTHING = _Nothing()


def input(path="", default=_NOTHING):
    """The run's input; None where there is none.

    path picks inside: ".a.b[0]", '.["odd key"]'. Where it leads to nothing: default, else
    MissingVariable.
    """
    return _part(_ask("input"), path, default, "the input has no such value")


def event(field="", default=_NOTHING):
    """What this run is: a dict of executionId, eventId, eventName, eventType, userId, startTime and
    metadata, or one field of it, such as "eventName" or ".metadata.ticket"."""
    return _part(_ask("event"), field, default, "the run's context has no such field")


def output(value, append=False):
    """Sets the output of the run's result; the last one counts.

    append: puts value behind what stands there, as a list.
    """
    _ask({"output": {"value": value, "append": bool(append)}})


def getVariable(key, default=_NOTHING, scope=None):
    """The value of a variable; where there is none: default, else MissingVariable.

    A key that may not be read is a CroniumError with or without default. scope is "run", "host",
    "project" or "global"; without one, the nearest that has the key counts.
    """
    try:
        return _ask({"getVariable": {"key": key, "scope": scope}})["value"]
    except MissingVariable:
        if default is _NOTHING:
            raise
        return default


def setVariable(key, value, ifVersion=None, scope=None):
    """Sets a variable and returns its new version.

    ifVersion: only while this is its version, else VersionConflict; 0: only while there is none.
    scope: as in getVariable; without one, the nearest that has the key, else "global".
    """
    request = {"key": key, "value": value, "ifVersion": ifVersion, "scope": scope}
    return _version(_ask({"setVariable": request}))


def version(key, scope=None):
    """The version of a variable, for setVariable's ifVersion; 0 where there is none."""
    try:
        return _version(_ask({"getVariable": {"key": key, "scope": scope}}))
    except MissingVariable:
        return 0


def incr(key, n=1, scope=None):
    """Adds n to a variable and returns the sum. A key that is not there counts as 0.

    No addition is lost, however many hosts, runs and processes add at once.
    """
    return _ask({"increment": {"key": key, "by": n, "scope": scope}})["value"]


def vars(pattern="*"):
    """The keys this script may read, as a list. In pattern, * stands for any characters."""
    wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    keys = {variable["key"] for variable in _ask({"variables": {}})}
    return sorted(key for key in keys if wanted.fullmatch(key))


def unset(key, scope=None):
    """Removes a variable; MissingVariable where there is none."""
    _ask({"unset": {"key": key, "scope": scope}})


def condition(value):
    """Says whether what the script looked for is so: True or False. The last one counts."""
    if not isinstance(value, bool):
        raise TypeError("a condition is True or False")
    _ask({"condition": {"condition": value}})


def log(level, message, context=None):
    """Tells the operator a message beside the output.

    level is "debug", "info", "warn" or "error"; context is any value that belongs to it.
    """
    level = "warn" if level == "warning" else level
    if level not in ("debug", "info", "warn", "error"):
        raise ValueError("%r is no level: debug, info, warn, error" % (level,))
    _ask({"log": {"level": level, "message": str(message), "context": context}})


def progress(n, step=None):
    """Tells how far the script is: n percent, 0 to 100, and what it is about to do."""
    if not 0 <= n <= 100:
        raise ValueError("progress is a number from 0 to 100, not %r" % (n,))
    _ask({"progress": {"percent": n, "step": None if step is None else str(step)}})


def notify(audience, message):
    """Tells the operator's side a message for people. audience is a word of your own."""
    _ask({"notify": {"audience": str(audience), "message": str(message)}})


def get_variable(key, default=_NOTHING, scope=None):
    """getVariable by another name."""
    return getVariable(key, default, scope)


def set_variable(key, value, if_version=None, scope=None):
    """setVariable by another name."""
    return setVariable(key, value, if_version, scope)


def _version(variable):
    return (variable or {}).get("version")


_STEP = re.compile(r'\[("(?:[^"\\]|\\.)*")\]|\[([0-9]+)\]|([^.\[]+)', re.DOTALL)


def _part(value, path, default, missing):
    path = path or ""
    at = 1 if path.startswith(".") else 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError("%r is no path: see .a.b[0]" % path)
        quoted, index, name = step.groups()
        if index is not None:
            found = isinstance(value, list) and int(index) < len(value)
            value = value[int(index)] if found else _NOTHING
        else:
            name = json.loads(quoted) if name is None else name
            value = value.get(name, _NOTHING) if isinstance(value, dict) else _NOTHING
        at = step.end()
        if path.startswith(".", at):
            at += 1
    if value is not _NOTHING:
        return value
    if default is _NOTHING:
        raise MissingVariable(missing, 404)
    return default


class _Connection:
    """A line to the runner's socket. It belongs to one thread of one process."""

    def __init__(self, work):
        self.pid = os.getpid()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The kernel takes paths of 107 bytes: through a descriptor, every path is short.
        folder = os.open(os.path.dirname(work.rstrip("/")), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.socket.connect("/proc/self/fd/%d/helper.sock" % folder)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(folder)

    def exchange(self, line):
        self.socket.sendall(line)
        pieces = []
        while not pieces or not pieces[-1].endswith(b"\n"):
            pieces.append(self.socket.recv(1 << 16))
            if not pieces[-1]:
                raise ConnectionResetError("the runner hung up")
        return b"".join(pieces)

    def close(self):
        self.socket.close()

    __del__ = close


_thread = threading.local()


def _exchange(line):
    # Taken while in use: a signal handler that calls in between gets a line of its own, and one on
    # which a call was cut off is not used again. A forked process must not share its parent's.
    connection = getattr(_thread, "connection", None)
    _thread.connection = None
    reply = None
    if connection is not None and connection.pid == os.getpid():
        try:
            reply = connection.exchange(line)
        except ConnectionError:
            # The runner closes a line only between two calls: nobody has read this one.
            connection.close()
    if reply is None:
        work = os.environ.get("CRONIUM_WORK_DIR")
        if not work:
            raise CroniumError("this is no cronium-run script: CRONIUM_WORK_DIR is not set")
        connection = _Connection(work)
        reply = connection.exchange(line)
    _thread.connection = connection
    return reply


def _ask(request):
    line = json.dumps(request, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
    try:
        reply = json.loads(_exchange(line).decode("utf-8"))
    except OSError as error:
        raise CroniumError("the runner does not answer: %s" % error) from error
    status = reply["status"]
    if 200 <= status < 300:
        return reply.get("data")
    message = reply.get("error") or "the helper API says %d" % status
    kind = {404: MissingVariable, 409: VersionConflict}.get(status, CroniumError)
    raise kind(message, status)
