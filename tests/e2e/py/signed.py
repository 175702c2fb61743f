"""An endpoint that takes what is signed for AWS, as botocore signs it.

signed.py PORT SINK KEYS FATES: KEYS is JSON, secret and session token (or null) by access key.
FATES is a JSON list of what becomes of the first requests: "pass", "expired" or "slow". What is
signed well goes on to SINK, host:port. Prints a line of JSON for each request.
"""

import http.client
import json
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PORT, SINK = int(sys.argv[1]), sys.argv[2]
KEYS, FATES = json.loads(sys.argv[3]), json.loads(sys.argv[4])
# As AWS.
MAX_SKEW = 300
SLOW = 1.0

lock = threading.Lock()


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with lock:
            fate = FATES.pop(0) if FATES else "pass"
        authorization = self.headers.get("authorization", "")
        algorithm, _, rest = authorization.partition(" ")
        said = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        scope = said.get("Credential", "////").split("/")
        names = said.get("SignedHeaders", "").split(";")
        known = KEYS.get(scope[0])
        code = None
        equal = False
        if known is None:
            code = "UnrecognizedClientException"
        else:
            equal = algorithm == "AWS4-HMAC-SHA256" and self.is_signed(
                body, scope, names, known, said.get("Signature")
            )
            if not equal:
                code = "InvalidSignatureException"
            elif fate == "expired":
                code = "ExpiredTokenException"
        if fate == "slow":
            time.sleep(SLOW)
        if code is None:
            status, answer, kind = self.passed_on(body)
        else:
            status, kind = 403, "application/json"
            answer = json.dumps({"__type": code, "message": code}).encode()
        line = {
            "key": scope[0],
            "path": self.path,
            "scope": scope[2:],
            "names": names,
            "equal": equal,
            "encoding": self.headers.get("content-encoding"),
            "version": self.request_version,
            "status": status,
        }
        with lock:
            print(json.dumps(line), flush=True)
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def is_signed(self, body, scope, names, known, signature):
        """Whether botocore makes this signature of the signed headers and the body."""
        key, date, region, service, _ = scope
        secret, token = known
        stamp = self.headers["x-amz-date"]
        then = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        if abs((datetime.now(timezone.utc) - then).total_seconds()) > MAX_SKEW:
            return False
        if date != stamp[:8] or self.headers.get("x-amz-security-token") != token:
            return False
        request = AWSRequest(
            method="POST",
            url=f"http://{self.headers['host']}{self.path}",
            headers={name: self.headers[name] for name in names},
            data=body,
        )
        request.context["timestamp"] = stamp
        auth = SigV4Auth(Credentials(key, secret, token), service, region)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return auth.signature(text, request) == signature

    def passed_on(self, body):
        kept = ("content-type", "content-encoding", "authorization", "x-amz-date")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        sink = http.client.HTTPConnection(SINK)
        sink.request("POST", self.path, body, headers)
        answer = sink.getresponse()
        result = answer.status, answer.read(), answer.getheader("content-type", "")
        sink.close()
        return result

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Endpoint).serve_forever()
