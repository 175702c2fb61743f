"""Asks a program one question and reads its answer."""

import base64
import gzip
import json
import re
import select
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from urllib.parse import unquote

SECONDS = 10


@dataclass
class Answer:
    """What came back: one code and text, or why nothing did."""

    code: str
    text: str = ""
    marks: list = field(default_factory=list)

    def show(self):
        """Code, what matters of the headers, and the text."""
        return f"{self.key()} \u201c{self.text}\u201d" if self.text else self.key()

    def key(self):
        """What has to be the same: everything but the wording."""
        return ", ".join([self.code, *self.marks])


def ask(question, ports):
    """The answer of the program with these ports: (of gRPC, of HTTP)."""
    port = ports[0] if question.grpc_port else ports[1]
    if question.raw:
        return over_socket(port, question)
    if question.http2:
        with Held(port) as held:
            return over_curl(held.port, question)
    return over_curl(port, question)


class Held:
    """Passes one connection on, once nothing more comes from the client by itself.

    curl 7.88 forgets an answer that comes before it has sent the body, if a reset of the stream
    comes with it. RFC 9113, section 8.1, forbids that.
    """

    def __init__(self, port):
        self.to = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.thread.join(SECONDS)

    def run(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.to) as server:
            first = b""
            while select.select([client], [], [], 0.02)[0] and (piece := client.recv(65536)):
                first += piece
            try:
                server.sendall(first)
                while self.pump(client, server):
                    pass
            except OSError:
                # Either side has ended the connection; curl says what that means.
                pass

    @staticmethod
    def pump(client, server):
        """Passes on what there is; whether both are open."""
        for side in select.select([client, server], [], [])[0]:
            piece = side.recv(65536)
            if not piece:
                return False
            (server if side is client else client).sendall(piece)
        return True


def over_curl(port, question):
    # -D: headers and trailers; the body comes on stdout.
    command = ["curl", "--silent", "--show-error", "--path-as-is", "--max-time", SECONDS]
    command += ["--request", question.method, "--dump-header", "/dev/stderr", "--noproxy", "*"]
    command += ["--http2-prior-knowledge"] if question.http2 else ["--http1.1"]
    bare = ["accept:", "user-agent:", "expect:"]
    if "content-type" not in question.headers:
        bare.append("content-type:")
    for header in bare:
        command += ["--header", header]
    for name, value in question.headers.items():
        command += ["--header", f"{name}: {value}" if value else f"{name};"]
    if question.method != "HEAD":
        command += ["--data-binary", "@-"]
    command += [*question.options, f"http://127.0.0.1:{port}{question.path}"]
    command = [str(part) for part in command]
    done = subprocess.run(command, input=question.body, capture_output=True)
    said = done.stderr.decode("latin-1")
    heads = re.findall(r"^HTTP/\S+ (\d+)[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)", said, re.M)
    if not heads:
        return Answer("no HTTP answer", said.strip())
    headers = {}
    for line in said.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    body = b"" if question.method == "HEAD" else done.stdout
    return answer(heads[-1][0], headers, body)


def answer(status, headers, body):
    kind = headers.get("content-type", "")
    if "grpc-status" in headers:
        text = unquote(headers.get("grpc-message", ""), errors="replace")
        code = grpc_name(headers["grpc-status"])
        found = Answer(code, text, marks(headers))
        if status != "200":
            found.marks.insert(0, f"HTTP {status}")
        gzipped = headers.get("grpc-encoding") == "gzip"
        # The collector compresses its answer as the request was, if need be with what we can't read.
        if code == "OK" and len(body) > 5 and (body[0] == 0 or gzipped):
            partial(found, gzip.decompress(body[5:]) if body[0] else body[5:])
        return found
    found = Answer(status, marks=marks(headers))
    if kind.startswith("application/x-protobuf"):
        found.marks.append("protobuf")
        if status == "200":
            partial(found, body)
        else:
            found.text = clean(strings(body).get(2, b""))
    elif kind.startswith("application/json"):
        found.marks.append("JSON")
        told = json.loads(body or b"{}")
        success = told.get("partialSuccess") or {}
        if "rejectedSpans" in success:
            found.marks.append(f"rejected {success['rejectedSpans']}")
        found.text = clean(success.get("errorMessage", told.get("message", "")))
    else:
        found.text = clean(body)
    return found


def marks(headers):
    """The headers that clients act on."""
    found = [name for name in ("retry-after", "allow", "www-authenticate") if name in headers]
    details = headers.get("grpc-status-details-bin", "")
    if b"google.rpc.RetryInfo" in base64.b64decode(details + "=" * (-len(details) % 4)):
        found.append("RetryInfo")
    if "access-control-allow-origin" in headers:
        found.append("allows the origin")
    return found


def partial(found, message):
    """The `partial_success` of an answer."""
    inside = strings(message).get(1)
    # Other services' answers have other things there.
    rejected = strings(inside).get(1) if isinstance(inside, bytes) else None
    if rejected:
        found.marks.append(f"rejected {rejected}")
        found.text = clean(strings(inside).get(2, b""))


def strings(message):
    """Field number -> value of a protobuf message of varints and bytes."""
    found, at = {}, 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at, number, shift = at + 1, number | (byte & 127) << shift, shift + 7
            if byte < 128:
                return number

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            found[tag >> 3] = varint()
        else:
            length = varint()
            found[tag >> 3] = message[at : at + length]
            at += length
    return found


def clean(text):
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return " ".join(text.split())


CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()


def grpc_name(code):
    return CODES[int(code)] if code.isdigit() and int(code) < len(CODES) else code


def over_socket(port, question):
    """Sends bytes as they are; the codes of the answers, and whether the connection stays."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.settimeout(2)
        got = b""
        try:
            connection.sendall(question.raw)
            while len(re.findall(rb"HTTP/1\.\d (\d+)", got)) < question.answers or (
                b"\r\n\r\n" not in got
            ):
                piece = connection.recv(65536)
                if not piece:
                    break
                got += piece
        except TimeoutError:
            pass
        except OSError as error:
            got += f"({error.strerror})".encode()
    codes = re.findall(rb"HTTP/1\.\d (\d+)", got)
    if not codes:
        return Answer("no answer" if not got else "no HTTP answer")
    body = got.split(b"\r\n\r\n")[-1]
    protobuf = b"application/x-protobuf" in got
    text = "" if protobuf else clean(re.sub(rb"HTTP/1.*", b"", body, flags=re.S))
    return Answer(", ".join(code.decode() for code in codes), text)
