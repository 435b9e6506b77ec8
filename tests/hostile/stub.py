"""A hostile host: says what a runner says until its script has started, and then attacks.

Started instead of the runner by tests/hostile.rs. The wire is the one of runner-stub/wire: a
greeting, then frames `length u32 LE, kind u8, number u64 LE, body`. The job's environment names the
attack (ATTACK) and a folder (ARENA) in which this says that it has begun and the good hosts that
they are done: an attack lasts until then, and no longer than LONGEST.
"""

import json
import os
import socket
import struct
import sys
import threading
import time

SHORTEST, LONGEST = 1.5, 30.0
HELLO, STARTED, STDOUT, STDERR, OPEN_TUNNEL, FINISHED = 101, 103, 104, 105, 106, 108
TOLD, JOURNAL, ARTIFACT, PIECE, ARTIFACT_END = 109, 110, 112, 113, 114
JOB, ATTACH, ATTACHED = 1, 8, 115
# Of one connection, and not of the run.
UNNUMBERED = (1 << 64) - 1
MIB = 1 << 20


class Wire:
    """Both directions of the link."""

    def __init__(self):
        self.number = 0
        os.write(1, b"cronium-run:ready\n")

    def raw(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]

    def send(self, kind, body):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        of_run = kind not in (HELLO, OPEN_TUNNEL, ATTACHED)
        self.raw(struct.pack("<IBQ", len(body), kind, self.number if of_run else UNNUMBERED) + body)
        self.number += of_run

    def receive(self):
        def exactly(count):
            data = b""
            while len(data) < count:
                piece = os.read(0, count - len(data))
                if not piece:
                    raise SystemExit("the operator is gone")
                data += piece
            return data

        length, kind, _ = struct.unpack("<IBQ", exactly(13))
        return kind, exactly(length)


class Attack:
    def __init__(self):
        self.wire = Wire()
        self.wire.send(HELLO, {"stub_digest": "0" * 64, "arch": "linux/amd64"})
        kind, body = self.wire.receive()
        if kind == ATTACH:
            # Its connection broke: it knows of no run.
            self.wire.send(ATTACHED, {"state": "absent"})
            raise SystemExit
        assert kind == JOB, kind
        self.job = json.loads(body)
        self.arena = self.job["environment"]["ARENA"]
        self.name = self.job["environment"]["ATTACK"]
        self.token, self.execution = self.job["token"], self.job["execution"]
        self.begun = time.monotonic()
        # What was seen of the operator: told as output in the end.
        self.seen, self.lock = {}, threading.Lock()

    def run(self):
        if self.name == "starts_nothing":
            self.begin()
            self.last()
            return
        self.wire.send(STARTED, {"pid": 1, "pinned": False})
        getattr(self, self.name)()
        self.tell()
        self.finish()

    def begin(self):
        open(os.path.join(self.arena, "attacking"), "w").close()
        self.begun = time.monotonic()

    def over(self):
        lasted = time.monotonic() - self.begun
        done = sum(name.startswith("done-") for name in os.listdir(self.arena)) >= 3
        return lasted > LONGEST or (done and lasted > SHORTEST)

    def last(self):
        while not self.over():
            time.sleep(0.02)

    def saw(self, what):
        with self.lock:
            self.seen[what] = self.seen.get(what, 0) + 1

    def tell(self):
        text = json.dumps({"seen": self.seen, "lasted": time.monotonic() - self.begun}) + "\n"
        self.wire.send(STDOUT, text.encode())

    def finish(self):
        end = {"end": "exited", "code": 0}
        self.wire.send(FINISHED, {"end": end, "cpu_ms": None, "max_rss_kb": None, "helpers": None})

    # Through the tunnel.

    def open_tunnel(self):
        self.socket = os.path.join(os.environ["HOME"], f"t{os.getpid()}")
        self.wire.send(OPEN_TUNNEL, {"path": self.socket})
        while True:
            kind, body = self.wire.receive()
            if kind == 3:
                return
            assert kind in (2, 7), (kind, body)

    def connect(self):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(5)
        stream.connect(self.socket)
        return stream

    def head(self, method, path, *more, token=None):
        token = self.token if token is None else token
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *more]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def of(self, call):
        return f"/executions/{self.execution}/{call}"

    def call(self, stream, method, path, body=b"", token=None):
        """Status and body of the answer; 0 where the connection is closed instead."""
        try:
            stream.sendall(self.head(method, path, f"Content-Length: {len(body)}", token=token) + body)
            return self.answer(stream)
        except OSError:
            return 0, b""

    def answer(self, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = stream.recv(1)
            if not byte:
                return 0, b""
            head += byte
        status, length = int(head.split(b" ")[1]), 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = b""
        while len(body) < length:
            piece = stream.recv(length - len(body))
            if not piece:
                return 0, b""
            body += piece
        return status, body

    def with_many(self, count, work):
        """`count` threads do `work` on new connections until the attack is over."""

        def one():
            while not self.over():
                try:
                    with self.connect() as stream:
                        work(stream)
                except OSError as error:
                    self.saw(type(error).__name__)
                    time.sleep(0.005)

        self.begin()
        threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        self.last()
        for thread in threads:
            thread.join(0.1)

    def calls(self):
        self.open_tunnel()
        bodies = [b'{"value":1}', json.dumps({"value": "x" * 900_000}).encode()]

        def work(stream):
            for turn in range(50):
                for method, path, body in [
                    ("GET", self.of("input"), b""),
                    ("PUT", self.of("variables/flood"), bodies[turn % 25 == 0]),
                    ("GET", self.of("variables"), b""),
                    ("GET", self.of("variables/flood"), b""),
                ]:
                    status, _ = self.call(stream, method, path, body)
                    self.saw(status)
                    if status == 0:
                        # Closed: others wait for the processor too.
                        time.sleep(0.02)
                    if status == 0 or self.over():
                        return

        self.with_many(64, work)

    def unread_answers(self):
        """Asks for large values on and on and reads none."""
        self.open_tunnel()
        with self.connect() as stream:
            body = json.dumps({"value": "x" * 900_000}).encode()
            self.saw(self.call(stream, "PUT", self.of("variables/flood"), body)[0])
        ask = self.head("GET", self.of("variables/flood"))

        def work(stream):
            while not self.over():
                stream.sendall(ask * 100)

        self.with_many(64, work)

    def silent(self, token):
        """Hundreds of connections at once that say nothing, behind a good token or without."""
        self.open_tunnel()
        self.begin()
        held = []
        while not self.over():
            if len(held) >= 300:
                held.pop(0).close()
            try:
                stream = self.connect()
                if token:
                    self.saw(self.call(stream, "GET", "/health")[0])
                held.append(stream)
            except OSError as error:
                self.saw(type(error).__name__)
                time.sleep(0.01)
        self.saw("held" if held else "none held")

    def silent_strangers(self):
        self.silent(False)

    def silent_callers(self):
        self.silent(True)

    def endless_bodies(self):
        self.open_tunnel()
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"

        def work(stream):
            stream.sendall(self.head("PUT", self.of("variables/flood"), "Transfer-Encoding: chunked"))
            try:
                while not self.over():
                    stream.sendall(chunk)
            except OSError:
                pass
            self.saw(self.answer(stream)[0])

        self.with_many(64, work)

    def dripping_bodies(self):
        """All but the last KiB of a MiB at once, and that byte by byte."""
        self.open_tunnel()

        def work(stream):
            stream.sendall(self.head("PUT", self.of("variables/flood"), f"Content-Length: {MIB}"))
            stream.sendall(b" " * (MIB - 1024))
            while not self.over():
                stream.sendall(b" ")
                time.sleep(0.02)

        self.with_many(64, work)

    def heavy_bodies(self):
        """A MiB of JSON that takes many times its size when it is parsed."""
        self.open_tunnel()
        bodies = [
            b'{"value":[' + part * ((MIB - 100) // len(part)) + last + b"]}"
            for part, last in [(b'{"":0},', b"0"), (b"0,", b"0"), (b"[],", b"0"), (b'{"":{}},', b"0")]
        ]

        def work(stream):
            for body in bodies:
                self.saw(self.call(stream, "PUT", self.of("variables/flood"), body)[0])
                if self.over():
                    return

        self.with_many(32, work)

    def deep_body_and_more(self):
        """Bodies that are worked on, with as much behind them as the connection takes."""
        self.open_tunnel()
        body = b'{"value":[' + b"[]," * 300_000 + b"0]}"

        def work(stream):
            stream.sendall(self.head("PUT", self.of("variables/flood"), f"Content-Length: {len(body)}") + body)
            while not self.over():
                stream.sendall(b"x" * 65536)

        self.with_many(64, work)

    def endless_heads(self):
        self.open_tunnel()
        self.heads = 0

        def work(stream):
            self.heads += 1
            stream.sendall(b"GET /health HTTP/1.1\r\nX: ")
            while not self.over():
                # Every other one slowly.
                if self.heads % 2:
                    time.sleep(0.05)
                stream.sendall(b"x" * (1 if self.heads % 2 else 4096))

        self.with_many(64, work)

    def trespass(self):
        """What no script may do; each answer is told."""
        self.open_tunnel()
        self.begin()
        run, number = self.execution.rsplit(".", 1)
        asked = [
            ("GET", f"/executions/{run}.{int(number) + 1}/input", b""),
            ("GET", f"/executions/{run}.{int(number) + 1}/variables/secret", b""),
            ("POST", f"/executions/{run}.{int(number) + 1}/output", b'{"data":"forged"}'),
            ("GET", "/executions/x/context", b""),
            ("GET", self.of("variables/secret"), b""),
            ("PUT", self.of("variables/secret"), b'{"value":"forged"}'),
            ("DELETE", self.of("variables/secret"), b""),
            ("POST", self.of("variables/secret/increment"), b'{"by":1}'),
            ("GET", self.of("variables/%73ecret"), b""),
            ("PUT", self.of("variables/k?scope=host:other"), b'{"value":"forged"}'),
            ("PUT", self.of("variables/k?scope=run:other"), b'{"value":"forged"}'),
            ("GET", self.of("variables/..%2F..%2Finput"), b""),
            ("CONNECT", "127.0.0.1:22", b""),
            ("GET", "http://127.0.0.1:22/", b""),
            ("GET", f"http://x{self.of('input')}", b""),
        ]
        answers = []
        for method, path, body in asked:
            with self.connect() as stream:
                status, text = self.call(stream, method, path, body)
                path = path.replace(self.execution, "MINE").replace(run, "RUN")
                answers.append([f"{method} {path}", status, "classified" in text.decode(errors="replace")])
        self.seen["answers"] = answers
        # Tokens that nobody made.
        part = self.token.split(".")
        forged = [part[0] + "." + part[1] + "." + "A" * 43, "eyJhbGciOiJub25lIn0." + part[1] + ".", "x", ""]
        with_forged = []
        for token in forged:
            with self.connect() as stream:
                head = self.head("GET", self.of("input"), token=token)
                stream.sendall(head)
                with_forged.append(self.answer(stream)[0])
        self.seen["forged"] = with_forged
        self.last()

    # Over the link.

    def journal_without_end(self):
        self.begin()
        self.wire.send(JOURNAL, b'{"id":"1","op":{"set":{"key":"k","if_version":null,"scope":null,"value":"')
        while not self.over():
            self.wire.send(JOURNAL, b"x" * 65536)

    def journal_that_stops(self):
        self.begin()
        self.wire.send(JOURNAL, b'{"id":"1","op":{"set":{"key":"k","if_version":null,"scope":null,"value":"')
        for _ in range(8):
            self.wire.send(JOURNAL, b"x" * 65536)
        self.last()

    def journal_of(self, value):
        number = 0
        self.begin()
        while not self.over():
            number += 1
            op = b'"key":"flood","if_version":null,"scope":null,"value":' + value
            line = b'{"id":"%d","op":{"set":{%s}}}\n' % (number, op)
            for at in range(0, len(line), 65536):
                self.wire.send(JOURNAL, line[at : at + 65536])
        self.saw("ended")

    def large_journal(self):
        self.journal_of(b'"' + b"x" * (MIB - 100) + b'"')

    def heavy_journal(self):
        self.journal_of(b"[" + b'{"":0},' * ((MIB - 100) // 7) + b"0]")

    def malformed_journal(self):
        self.begin()
        self.wire.send(JOURNAL, b'{"id":"1","op":{"set":{"key":"good","value":1}}}\n{"id":"2","op":"drop"}\n')
        self.last()

    def frame_of(self, length):
        self.begin()
        self.wire.raw(struct.pack("<IBQ", length, STDOUT, self.wire.number))
        while not self.over():
            self.wire.raw(b"x" * 65536)

    def frame_of_4_gib(self):
        self.frame_of((1 << 32) - 1)

    def frame_of_3_mib(self):
        self.frame_of(3 * MIB)

    def artifact(self, path, size):
        self.wire.send(ARTIFACT, {"path": path, "size": size, "mode": 0o644})

    def many_artifacts(self):
        self.begin()
        number = 0
        while not self.over():
            number += 1
            self.artifact(f"a{number}", 1)
            self.wire.send(PIECE, b"x")
            self.wire.send(ARTIFACT_END, {"digest": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"})

    def endless_artifact(self):
        self.begin()
        self.artifact("a", 1 << 20)
        while not self.over():
            self.wire.send(PIECE, b"x" * 65536)

    def unannounced_piece(self):
        self.begin()
        self.wire.send(PIECE, b"x")
        self.last()

    def climbing_artifact(self):
        self.begin()
        self.artifact("../../../climbed", 1)
        self.last()

    def flood(self, kind, body):
        self.begin()
        count = 0
        while not self.over():
            self.wire.send(kind, body)
            count += 1
        self.seen["frames"] = count

    def endless_logs(self):
        log = {"level": "info", "message": "x" * (16 << 10), "context": ""}
        self.flood(TOLD, json.dumps({"log": log}).encode())

    def heavy_logs(self):
        """Contexts that take many times their size when they are parsed."""
        context = json.dumps("[" + '{"":0},' * (4000 // 7) + "0]").encode()
        self.flood(TOLD, b'{"log":{"level":"info","message":"x","context":%s}}' % context)

    def endless_notes(self):
        self.flood(TOLD, {"notify": {"audience": "ops", "message": "x" * 30_000}})

    def endless_progress(self):
        self.flood(TOLD, {"progress": {"percent": 50.0, "step": "x" * 30_000}})

    def endless_conditions(self):
        self.flood(TOLD, {"condition": {"condition": True}})

    def endless_warnings(self):
        self.flood(107, {"reason": "x" * 60_000})

    def endless_stdout(self):
        self.flood(STDOUT, b"x" * 65536)

    def endless_stderr_beside(self):
        """Not in frames: the other stream of the SSH channel."""
        self.begin()
        while not self.over():
            os.write(2, b"x" * 65536)

    def never_ends(self):
        self.begin()
        while True:
            self.wire.send(STDOUT, b"on and on\n")
            time.sleep(0.01)


try:
    Attack().run()
except BrokenPipeError:
    sys.exit(1)
