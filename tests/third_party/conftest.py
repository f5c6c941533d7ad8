"""What the tests of the lab by clients of others share: one lab, and clients of its addresses."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import boto3
import pytest
from botocore.config import Config

import lab as labs

# boto3 reads the environment when a client is made: nothing of this machine's may lead it away.
_clean = labs.clean_environment()
for _key in list(os.environ):
    if _key not in _clean and _key != "NEARSIDE_BIN":
        del os.environ[_key]
os.environ.update(_clean)


@pytest.fixture(scope="session")
def lab():
    """The running lab. Its end by SIGTERM is part of what is tested."""
    running = labs.Lab(HERE / "world.toml")
    yield running
    died = running.process.poll()
    assert died is None, f"the lab ended by itself with {died}: {running.stderr()}"
    assert running.stop() == 0, "the lab does not end well by SIGTERM"


@pytest.fixture(scope="session")
def pace():
    """One pace for all clients: the account's bucket is shared."""
    return labs.Pace()


@pytest.fixture(scope="session")
def client(lab, pace):
    """Makes a boto3 client of a service of the lab."""

    def make(service, region="us-east-1", validate=True):
        settings = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 4},
            parameter_validation=validate,
        )
        address = "apigateway" if service == "apigatewayv2" else service
        made = boto3.client(
            service, region_name=region, endpoint_url=lab.facts[address], config=settings
        )
        if service == "route53":
            made.meta.events.register("before-send", pace)
        return made

    return make


@pytest.fixture(scope="session")
def route53(client):
    """Route 53, as boto3 speaks to it."""
    return client("route53")


@pytest.fixture(scope="session")
def unchecked(client):
    """Route 53 without the client's own checks, so that the server has to refuse."""
    return client("route53", validate=False)


@pytest.fixture
def zone(route53, request):
    """An empty zone of the test's own: its id and its name, with the final dot."""
    name = f"{request.node.originalname or request.node.name}.test".replace("_", "-").lower()
    made = route53.create_hosted_zone(Name=name, CallerReference=f"{name}-{os.urandom(6).hex()}")
    return made["HostedZone"]["Id"], made["HostedZone"]["Name"]
