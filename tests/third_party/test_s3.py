"""Reports delivered to a bucket: botocore's own signer judges each request that the advisor signed."""

import datetime
import hashlib
import http.server
import pathlib
import threading

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lab import program, run

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/session+token=="
REGION = "eu-central-1"


class Bucket(http.server.BaseHTTPRequestHandler):
    """Takes every PUT and keeps it as it came."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, dict(self.headers.items()), body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def bucket():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def signature(request, secret=SECRET, body=None):
    """The signature that botocore gives a request with the headers that the advisor named as signed."""
    path, headers, sent = request
    body = sent if body is None else body
    lower = {name.lower(): value for name, value in headers.items()}
    parts = dict(part.split("=", 1) for part in lower["authorization"].split(" ", 1)[1].split(", "))
    signed = parts["SignedHeaders"].split(";")
    assert set(signed) >= {"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}, signed
    scope = parts["Credential"].split("/")
    assert scope[0] == KEY and scope[2:] == [REGION, "s3", "aws4_request"], scope
    digest = hashlib.sha256(body).hexdigest()
    ours = AWSRequest(method="PUT", url=f"http://{lower['host']}{path}", data=body)
    for name in signed:
        ours.headers[name] = digest if name == "x-amz-content-sha256" else lower[name]
    ours.context["timestamp"] = lower["x-amz-date"]
    judge = S3SigV4Auth(Credentials(KEY, secret, TOKEN), "s3", REGION)
    canonical = judge.canonical_request(ours)
    return judge.signature(judge.string_to_sign(ours, canonical), ours), parts["Signature"]


def test_a_bucket_gets_the_report_and_every_request_is_signed_as_botocore_would(lab, bucket, tmp_path):
    common = ["--config", lab.facts["config"], "--store", f"sqlite:{tmp_path}/nearside.sqlite"]
    address = dict(AWS_ENDPOINT_URL_ROUTE_53=lab.facts["route53"])
    code, _, stderr = run([program("advisor"), *common, "probe", "--for", "3s"], **address)
    assert code == 0, stderr
    # What stands in a path as it is, and what does not.
    to = f"s3://team-reports/our week/a+b~c?region={REGION}"
    host, port = bucket.server_address
    code, stdout, stderr = run(
        [program("advisor"), *common, "report", "--since", "1h", "--out", str(tmp_path / "out"),
         "--deliver", to],
        AWS_ENDPOINT_URL_S3=f"http://{host}:{port}", AWS_ACCESS_KEY_ID=KEY,
        AWS_SECRET_ACCESS_KEY=SECRET, AWS_SESSION_TOKEN=TOKEN, **address,
    )
    assert code == 0, stderr
    assert SECRET not in stdout + stderr and TOKEN not in stdout + stderr, "secrets are not told"
    bodies = {path.rsplit("/", 1)[1]: body for path, _, body in bucket.seen}
    assert sorted(bodies) == ["report.html", "report.json", "report.md"]
    for name, body in bodies.items():
        assert body == (pathlib.Path(tmp_path) / "out" / name).read_bytes(), name
    for request in bucket.seen:
        path, headers, body = request
        assert path.startswith("/team-reports/our%20week/a%2Bb~c"), path
        wanted, found = signature(request)
        assert found == wanted, path
        sent = {name.lower(): value for name, value in headers.items()}
        assert sent["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
        at = datetime.datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ")
        age = datetime.datetime.now(datetime.timezone.utc) - at.replace(tzinfo=datetime.timezone.utc)
        assert abs(age) < datetime.timedelta(minutes=5), age
        # The judge sees a difference: another secret, another body.
        assert signature(request, secret="other")[0] != found
        assert signature(request, body=body + b" ")[0] != found
