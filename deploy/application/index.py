import json
import os

import boto3

REGION = os.environ["AWS_REGION"]
TABLE = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def answer(status, body):
    # The Region is what Nearside proves an endpoint by (region_proof = "x-region", or "/region").
    headers = {"content-type": "application/json", "x-region": REGION, "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}


def handler(event, _context):
    route = event["routeKey"]
    if route == "GET /health":
        return answer(200, {"region": REGION, "status": "ok"})
    if route == "GET /ping":
        # The way that a user's request takes, to the data and back.
        TABLE.get_item(Key={"id": "ping"})
        return answer(200, {"region": REGION})
    owner = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    key = {"id": owner + "/" + event["pathParameters"]["id"]}
    if route == "PUT /items/{id}":
        text = event.get("body") or ""
        if len(text) > 100_000:
            return answer(413, {"error": "an item has at most 100,000 characters"})
        TABLE.put_item(Item={**key, "text": text})
        return answer(200, {"region": REGION})
    found = TABLE.get_item(Key=key).get("Item")
    if found is None:
        return answer(404, {"error": "there is no such item"})
    return answer(200, {"region": REGION, "text": found["text"]})
