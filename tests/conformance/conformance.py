"""What helpers do, told in python. Arguments name the sections to check. Its sisters in shell and
node check the same; tests/conformance.rs runs all of them in every mode."""

import os
import sys
import threading

import cronium


def same(what, got, want):
    # True == 1 and 1 == 1.0 in python; their texts differ.
    if repr(got) != repr(want):
        sys.exit("FAILED: %s: %.200r instead of %.200r" % (what, got, want))


def raises(kind, status, call, *args, **options):
    try:
        call(*args, **options)
    except kind as error:
        same("status of %r" % (args,), getattr(error, "status", None), status)
    else:
        sys.exit("FAILED: %s%r raised nothing" % (call.__name__, args))


def check_input():
    same("whole input", sorted(cronium.input()), ["deep", "odd.key [0]", "values"])
    same("a place", cronium.input(".deep.list[1].name"), "Zoë")
    same("an odd key", cronium.input('.["odd.key [0]"]'), True)
    same("null is there", cronium.input(".deep.nothing", default=5), None)
    same("default", cronium.input(".no.such", default=5), 5)
    raises(cronium.MissingVariable, 404, cronium.input, ".no.such")
    raises(KeyError, 404, cronium.input, ".deep.list[9]")
    raises(ValueError, None, cronium.input, ".deep.list[0")


def check_values():
    for name, value in cronium.input(".values").items():
        cronium.setVariable("conf/v/" + name, value)
        same(name, cronium.getVariable("conf/v/" + name), value)
    for value in [None, False, True, 0, 1, "", "0", [], {}, 2**53, 2**63, -(2**63), 1.5, "ü" * 450000]:
        cronium.setVariable("conf/plain", value)
        same("plain", cronium.getVariable("conf/plain"), value)
    raises(TypeError, None, cronium.setVariable, "conf/plain", object())
    raises(ValueError, None, cronium.setVariable, "conf/plain", float("nan"))
    big = "x" * 900000
    cronium.set_variable("conf/big", big)
    same("900 kB", cronium.get_variable("conf/big"), big)


def check_keys():
    for key in ["a/b", "a?b", "a#b", "a%2Fb", "two words", "grün", ".", "it's"]:
        cronium.setVariable("conf/k/" + key, key)
        same("key " + key, cronium.getVariable("conf/k/" + key), key)


def check_missing():
    raises(cronium.MissingVariable, 404, cronium.getVariable, "conf/none")
    same("default", cronium.getVariable("conf/none", default={"a": 1}), {"a": 1})
    same("empty default", cronium.getVariable("conf/none", ""), "")
    same("the default is not stored", cronium.getVariable("conf/none", default=None), None)


def check_before():
    same("set by a run before", cronium.getVariable("locked/before"), {"by": "another run"})


def check_versions():
    key = "conf/version"
    same("none", cronium.version(key), 0)
    same("first", cronium.setVariable(key, 1, ifVersion=0), 1)
    raises(cronium.VersionConflict, 409, cronium.setVariable, key, 2, ifVersion=0)
    same("second", cronium.set_variable(key, 2, if_version=cronium.version(key)), 2)
    raises(cronium.VersionConflict, 409, cronium.setVariable, key, 3, ifVersion=1)
    same("what was refused is not there", cronium.getVariable(key), 2)
    same("version", cronium.version(key), 2)


def check_counters():
    same("from nothing", cronium.incr("conf/count"), 1)
    same("by 5", cronium.incr("conf/count", 5), 6)
    same("by -2.5", cronium.incr("conf/count", -2.5), 3.5)
    cronium.setVariable("conf/word", "abc")
    raises(cronium.CroniumError, 400, cronium.incr, "conf/word")


def check_unset():
    cronium.setVariable("conf/gone", 1)
    cronium.unset("conf/gone")
    raises(cronium.MissingVariable, 404, cronium.getVariable, "conf/gone")
    raises(cronium.MissingVariable, 404, cronium.unset, "conf/gone")


def check_vars():
    for key in ["b", "a", "c/d"]:
        cronium.setVariable("conf/l/" + key, 1)
    same("keys", cronium.vars("conf/l/*"), ["conf/l/a", "conf/l/b", "conf/l/c/d"])
    same("pattern", cronium.vars("conf/*/c/d"), ["conf/l/c/d"])
    same("none", cronium.vars("none/*"), [])
    same("not what may not be read", [key for key in cronium.vars() if key.startswith("other")], [])


def check_scopes():
    for scope, value in [("global", "widest"), ("host", "host"), ("run", "run")]:
        cronium.setVariable("conf/scoped", value, scope=scope)
    same("nearest", cronium.getVariable("conf/scoped"), "run")
    same("named", cronium.getVariable("conf/scoped", scope="host"), "host")
    cronium.unset("conf/scoped", scope="run")
    same("next", cronium.getVariable("conf/scoped"), "host")
    cronium.unset("conf/scoped", scope="host")
    same("widest", cronium.getVariable("conf/scoped"), "widest")
    raises(cronium.CroniumError, 400, cronium.getVariable, "conf/scoped", scope="planet")


def check_limits():
    raises(cronium.CroniumError, 403, cronium.getVariable, "other/secret")
    raises(cronium.CroniumError, 403, cronium.getVariable, "other/secret", default=1)
    raises(cronium.CroniumError, 403, cronium.setVariable, "other/secret", 2)
    raises(cronium.CroniumError, 403, cronium.setVariable, "locked/before", 2)
    raises(cronium.CroniumError, 403, cronium.incr, "locked/count")
    raises(cronium.CroniumError, 403, cronium.unset, "locked/before")
    raises(cronium.CroniumError, 413, cronium.setVariable, "conf/huge", "x" * 1100000)


def check_event():
    same("execution", cronium.event("executionId"), os.environ["CRONIUM_EXECUTION_ID"])
    same("event", cronium.event()["eventId"], "42")
    same("metadata", cronium.event(".metadata.ticket"), "T-1")
    same("default", cronium.event("none", default=0), 0)
    raises(cronium.MissingVariable, 404, cronium.event, "none")


def check_told():
    cronium.log("info", "hello", {"a": [1, None]})
    cronium.log("warning", "zwölf % done")
    cronium.progress(12.5, "copying files")
    cronium.progress(100)
    cronium.notify("oncall", "wake up")
    cronium.condition(False)
    cronium.condition(True)
    raises(ValueError, None, cronium.log, "loud", "hello")
    raises(ValueError, None, cronium.progress, 101)
    raises(TypeError, None, cronium.condition, "maybe")


def one_of_many(number):
    cronium.setVariable("conf/own/%d" % number, number)
    for _ in range(10):
        cronium.incr("conf/sum")
    same("own", cronium.getVariable("conf/own/%d" % number), number)


def check_processes():
    # The parent has a line to the runner open, which no child may write to.
    cronium.input()
    children = []
    for number in range(1, 21):
        child = os.fork()
        if child == 0:
            one_of_many(number)
            os._exit(0)
        children.append(child)
    for child in children:
        same("one of 20 processes", os.waitpid(child, 0)[1], 0)
    same("sum", cronium.getVariable("conf/sum"), 200)
    threads = [threading.Thread(target=cronium.incr, args=("conf/threads",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same("sum of threads", cronium.getVariable("conf/threads"), 20)


def check_output():
    cronium.output("not the last")
    cronium.output("behind a string", append=True)
    cronium.output(None)
    cronium.output(1, append=True)
    cronium.output("two", append=True)
    cronium.output({"three": [3], "four": ""}, append=True)
    cronium.output({"checked": "all"}, append=True)


for section in sys.argv[1:]:
    globals()["check_" + section]()
